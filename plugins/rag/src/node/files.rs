//! The granted folders, through WASI.

use std::fs::{self, File, FileType};
use std::io::{self, Read};
use std::path::Path;

use crate::ports::{Files, Node};

/// The file system.
#[derive(Debug, Clone, Copy)]
pub(crate) struct System;

impl Files for System {
    fn look(&self, path: &Path) -> io::Result<Node> {
        fs::metadata(path).map(|metadata| node(metadata.file_type()))
    }

    fn names(&self, folder: &Path, at_most: usize) -> io::Result<Vec<(Option<String>, Node)>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)?.take(at_most) {
            let entry = entry?;
            names.push((entry.file_name().into_string().ok(), node(entry.file_type()?)));
        }
        Ok(names)
    }

    fn read(&self, path: &Path, at_most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(at_most).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

fn node(file_type: FileType) -> Node {
    if file_type.is_dir() {
        Node::Folder
    } else if file_type.is_file() {
        Node::File
    } else {
        Node::Other
    }
}
