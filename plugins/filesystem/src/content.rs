//! Reading ranges, writing and appending.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};

use meshhost_sdk::blob::{self, Blob};
use meshhost_sdk::path::absolute;

use crate::failure::failure;
use crate::files::{Content, Contents, Entry, Error, Existing, Form};
use crate::listing;

/// Bytes that come back by value; more becomes a blob. The host refuses longer lists.
const INLINE_BYTES_MAX: u64 = 64 * 1024;
/// Bytes that come back as text when the caller asks for text.
const TEXT_BYTES_MAX: u64 = 1024 * 1024;

/// A range of a file.
pub(crate) fn read(
    path: &str,
    offset: u64,
    length: Option<u64>,
    form: Form,
) -> Result<Contents, Error> {
    let failed = |error: std::io::Error| failure(path, &error);
    let mut file = File::open(absolute(path)).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(Error::IsAFolder(path.to_owned()));
    }
    let size = metadata.len();
    let Some(rest) = size.checked_sub(offset) else {
        return Err(Error::Invalid(format!("{path}: has {size} bytes, offset is {offset}")));
    };
    let wanted = length.unwrap_or(rest).min(rest);
    file.seek(SeekFrom::Start(offset)).map_err(failed)?;
    let range = file.take(wanted);
    let (content, length) = match form {
        Form::Automatic if wanted <= INLINE_BYTES_MAX => inline(range, by_value),
        Form::Text if wanted <= TEXT_BYTES_MAX => inline(range, as_text),
        Form::Text => {
            return Err(Error::Invalid(format!(
                "{path}: {wanted} bytes are too many for text, the most is {TEXT_BYTES_MAX}"
            )));
        }
        Form::Automatic | Form::Blob => stored(range),
    }
    .map_err(failed)?;
    Ok(Contents { content, offset, length, size })
}

/// Reads all of `range` and turns it into content.
fn inline(
    mut range: impl Read,
    content: fn(Vec<u8>) -> Content,
) -> std::io::Result<(Content, u64)> {
    let mut bytes = Vec::new();
    range.read_to_end(&mut bytes)?;
    let length = bytes.len() as u64;
    Ok((content(bytes), length))
}

fn by_value(bytes: Vec<u8>) -> Content {
    match String::from_utf8(bytes) {
        Ok(text) => Content::Text(text),
        Err(error) => Content::Bytes(error.into_bytes()),
    }
}

fn as_text(bytes: Vec<u8>) -> Content {
    Content::Text(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

fn stored(range: impl Read) -> std::io::Result<(Content, u64)> {
    let blob = blob::from_reader(range)?;
    let length = blob.length();
    Ok((Content::Blob(blob), length))
}

/// Writes a whole file.
pub(crate) fn write(
    path: &str,
    text: Option<String>,
    content: Option<&Blob>,
    existing: Existing,
) -> Result<Entry, Error> {
    let source = Source::new(text, content)?;
    let mut options = OpenOptions::new();
    options.write(true);
    match existing {
        Existing::Replace => options.create(true).truncate(true),
        Existing::Keep => options.create_new(true),
    };
    put(path, &options, &source)
}

/// Appends to a file.
pub(crate) fn append(
    path: &str,
    text: Option<String>,
    content: Option<&Blob>,
) -> Result<Entry, Error> {
    let source = Source::new(text, content)?;
    put(path, OpenOptions::new().append(true).create(true), &source)
}

fn put(path: &str, options: &OpenOptions, source: &Source<'_>) -> Result<Entry, Error> {
    let written = options.open(absolute(path)).and_then(|mut file| {
        match source {
            Source::Text(text) => file.write_all(text.as_bytes())?,
            Source::Blob(blob) => {
                blob::copy_to(blob, &mut file)?;
            }
        }
        file.flush()
    });
    written.map_err(|error| failure(path, &error))?;
    listing::stat(path, true)
}

/// What is written.
enum Source<'a> {
    Text(String),
    Blob(&'a Blob),
}

impl<'a> Source<'a> {
    fn new(text: Option<String>, content: Option<&'a Blob>) -> Result<Self, Error> {
        match (text, content) {
            (Some(text), None) => Ok(Self::Text(text)),
            (None, Some(blob)) => Ok(Self::Blob(blob)),
            _ => Err(Error::Invalid("give either text or content".to_owned())),
        }
    }
}
