//! Taking files into a corpus.
//!
//! Files are read one after the other and embedded in groups, so that small ones share calls of the
//! model. Each file is put into the index as soon as its vectors are there: however a call ends, the
//! next one goes on from there.

mod group;

use std::collections::BTreeMap;
use std::path::Path;

use self::group::{Group, Pending};
use crate::corpus::{self, Opened};
use crate::cut::Draft;
use crate::document::Document;
use crate::failure::{after, of_path, reason};
use crate::keys;
use crate::kind::{self, Kind};
use crate::library;
use crate::poison;
use crate::ports::{Node, Ports};
use crate::read::{self, PDF_BYTES_MAX, Unreadable};
use crate::retrieval::{Error, Ingested, Problem};
use crate::selection::Selection;
use crate::walk::{Found, walk};

/// Bytes that one ingest reads.
const BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Problems that are named in an answer.
const PROBLEMS_MAX: usize = 200;
/// Bytes at the beginning of a large file that tell whether it is text.
const LOOK_BYTES: usize = 8 * 1024;

/// What to take in; see the contract.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The corpus.
    pub corpus: String,
    /// A file or a folder.
    pub path: String,
    /// Which files.
    pub include: Option<Vec<String>>,
    /// Which not.
    pub exclude: Option<Vec<String>>,
    /// The embedding model.
    pub model: Option<String>,
    /// Whether the corpus is dropped first.
    pub anew: bool,
}

/// Takes files into a corpus; see the contract.
///
/// # Errors
/// When the path or a parameter is wrong, the corpus was made otherwise, or the index or the embedder
/// does not answer. What is done by then stays done.
pub fn ingest(ports: &Ports<'_>, wanted: &Wanted) -> Result<Ingested, Error> {
    let root = keys::normal(&wanted.path)?;
    let selection = Selection::new(wanted.include.as_deref(), wanted.exclude.as_deref())?;
    // Before the corpus is made: a path that is not there leaves nothing behind.
    let found = look(ports, &root, &selection)?;
    let corpus = corpus::open(ports, &wanted.corpus, wanted.model.as_deref(), wanted.anew)?;
    let known = library::known(ports.index, &corpus.name, &root)?;
    let mut ingest = Ingest::new(*ports, corpus, known);
    match ingest.run(found) {
        Ok(()) => Ok(ingest.done),
        Err(error) => Err(after(error, &progress(&ingest.done))),
    }
}

fn look(ports: &Ports<'_>, root: &str, selection: &Selection) -> Result<Found, Error> {
    match ports.files.look(Path::new(root)).map_err(|error| of_path(root, &error))? {
        Node::Folder => {
            // What may not be read at all is an error, not an empty folder.
            ports.files.names(Path::new(root), 1).map_err(|error| of_path(root, &error))?;
            Ok(walk(ports.files, root, selection))
        }
        Node::File => Ok(Found { files: vec![root.to_owned()], ..Found::default() }),
        Node::Other => Err(Error::Invalid(format!("{root} is neither a file nor a folder"))),
    }
}

fn progress(done: &Ingested) -> String {
    let files = u64::from(done.added) + u64::from(done.updated);
    format!("{files} files were taken in before that: ingest again to go on")
}

struct Ingest<'a> {
    ports: Ports<'a>,
    corpus: Opened,
    /// What the corpus had at the beginning: versions by key.
    known: BTreeMap<String, String>,
    group: Group,
    bytes: u64,
    done: Ingested,
}

impl<'a> Ingest<'a> {
    fn new(ports: Ports<'a>, corpus: Opened, known: BTreeMap<String, String>) -> Self {
        let done = Ingested {
            corpus: corpus.name.clone(),
            model: corpus.model.name.clone(),
            added: 0,
            updated: 0,
            unchanged: 0,
            removed: 0,
            binary: 0,
            failed: 0,
            problems: Vec::new(),
            passages: 0,
            truncated: false,
        };
        Self { ports, corpus, known, group: Group::default(), bytes: 0, done }
    }

    fn run(&mut self, found: Found) -> Result<(), Error> {
        self.done.truncated = found.truncated;
        self.remove_gone(&found)?;
        for problem in found.problems {
            self.problem(problem.path, problem.reason);
        }
        // PDFs come last: one that ends the call takes nothing of the others with it.
        let (late, early): (Vec<_>, Vec<_>) =
            found.files.into_iter().partition(|path| kind::of(path, &[]) == Kind::Pdf);
        for paths in [early, late] {
            for path in paths {
                if self.bytes > BYTES_MAX {
                    self.done.truncated = true;
                    break;
                }
                self.file(path)?;
                if self.group.is_full() {
                    self.flush()?;
                }
            }
            self.flush()?;
        }
        Ok(())
    }

    /// First of all: it is quick, and makes room.
    fn remove_gone(&mut self, found: &Found) -> Result<(), Error> {
        if found.truncated {
            return Ok(());
        }
        let mut gone = Vec::new();
        for key in self.known.keys() {
            let part = keys::path_of(key);
            let Some(path) = part.map(|(path, _)| path).or_else(|| poison::path_of(key)) else {
                continue;
            };
            let is_there = found.files.binary_search_by(|file| file.as_str().cmp(path)).is_ok();
            if is_there || found.unread.iter().any(|folder| keys::is_within(path, folder)) {
                continue;
            }
            self.done.removed += u32::from(matches!(part, Some((_, 0))));
            gone.push(key.clone());
        }
        library::remove(self.ports.index, &self.corpus.name, &gone)
    }

    fn file(&mut self, path: String) -> Result<(), Error> {
        let bytes = match self.ports.files.read(Path::new(&path), PDF_BYTES_MAX + 1) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.problem(path, reason(&error));
                return Ok(());
            }
        };
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        let digest = format!("blake3:{}", blake3::hash(&bytes).to_hex());
        if self.known.get(&path) == Some(&digest) {
            self.done.unchanged += 1;
            return Ok(());
        }
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        let kind = kind::of(&name, &bytes);
        match self.read(&path, kind, &digest, bytes)? {
            Ok(document) => {
                let draft = Draft::new(document, &name, self.corpus.limits);
                let known = self.parts_of(&path);
                self.group.push(Pending { path, kind, digest, draft, known });
            }
            Err(unreadable) => {
                // What the corpus has of it is no longer what it says.
                let keys: Vec<_> = self.parts_of(&path).into_keys().collect();
                library::remove(self.ports.index, &self.corpus.name, &keys)?;
                match unreadable {
                    Unreadable::Binary => self.done.binary += 1,
                    Unreadable::Wrong(reason) => self.problem(path, reason),
                }
            }
        }
        Ok(())
    }

    fn read(
        &mut self,
        path: &str,
        kind: Kind,
        digest: &str,
        bytes: Vec<u8>,
    ) -> Result<Result<Document, Unreadable>, Error> {
        let most = read::bytes_max(kind);
        if bytes.len() as u64 > most {
            let begins = bytes.get(..LOOK_BYTES).unwrap_or(&bytes);
            return Ok(Err(if kind != Kind::Pdf && begins.contains(&0) {
                Unreadable::Binary
            } else {
                Unreadable::Wrong(format!("it has more than {} MiB", most / 1024 / 1024))
            }));
        }
        if kind != Kind::Pdf {
            return Ok(read::read(kind, bytes));
        }
        if self.known.contains_key(&poison::key(path)) {
            self.flush()?;
        }
        let index = self.ports.index;
        let Some(note) = poison::begin(index, &self.corpus.name, path, digest)? else {
            let reason = "reading it has ended two calls; it is left out until it changes";
            return Ok(Err(Unreadable::Wrong(reason.to_owned())));
        };
        let document = read::read(kind, bytes);
        note.end(index, &self.corpus.name)?;
        Ok(document)
    }

    /// What the corpus has of a file: versions by key.
    fn parts_of(&self, path: &str) -> BTreeMap<String, String> {
        let parts = self.known.range(path.to_owned()..);
        let parts = parts.take_while(|(key, _)| key.starts_with(path));
        let own = parts.filter(|(key, _)| keys::path_of(key).is_some_and(|(of, _)| of == path));
        own.map(|(key, version)| (key.clone(), version.clone())).collect()
    }

    fn flush(&mut self) -> Result<(), Error> {
        let group = std::mem::take(&mut self.group);
        for problem in group.put(&self.ports, &self.corpus, &mut self.done)? {
            self.problem(problem.path, problem.reason);
        }
        Ok(())
    }

    fn problem(&mut self, path: String, reason: String) {
        self.done.failed += 1;
        if self.done.problems.len() < PROBLEMS_MAX {
            self.done.problems.push(Problem { path, reason });
        }
    }
}
