//! Reading a journal again: every frame that was written whole, in order.

use std::{collections::VecDeque, fs::OpenOptions, io::BufReader};

use super::{
    File, HEADER_BYTES, MAGIC, OpenOptionsExt, PAYLOAD_BYTES_MAX, Path, PathBuf, Span, StoreError,
    check, directory, io, list, read_whole,
};

/// The frames of a journal, oldest first. Reading a segment ends where a frame is not whole.
#[derive(Debug)]
pub(in crate::store) struct Frames {
    segments: VecDeque<PathBuf>,
    current: Option<Reader>,
}

/// One segment that is being read.
#[derive(Debug)]
struct Reader {
    file: BufReader<File>,
    /// Bytes that are left: what a frame says of its length is believed up to here.
    left: u64,
}

impl Frames {
    /// Begins at the oldest segment of `folder`.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub(in crate::store) fn of(folder: &Path) -> Result<Self, StoreError> {
        Ok(Self { segments: segments(folder)?.into(), current: None })
    }

    /// The next frame: which sequences it holds, and its payload.
    ///
    /// # Errors
    /// When a segment cannot be read.
    pub(in crate::store) fn next(&mut self) -> Result<Option<(Span, Vec<u8>)>, StoreError> {
        loop {
            if let Some(reader) = &mut self.current {
                if let Some(frame) = reader.frame().map_err(fault())? {
                    return Ok(Some(frame));
                }
                self.current = None;
            }
            let Some(path) = self.segments.pop_front() else { return Ok(None) };
            self.current = Reader::open(&path).map_err(fault())?;
        }
    }
}

impl Reader {
    /// `None` when the file was cut before its first frame.
    fn open(path: &Path) -> io::Result<Option<Self>> {
        let mut options = OpenOptions::new();
        let file = options.read(true).custom_flags(directory::no_follow()).open(path)?;
        let left = file.metadata()?.len().saturating_sub(MAGIC.len() as u64);
        let mut file = BufReader::new(file);
        let mut magic = [0; MAGIC.len()];
        // A machine that lost its power leaves zeros where nothing had reached the disk.
        if !read_whole(&mut file, &mut magic)? || magic == [0; MAGIC.len()] {
            return Ok(None);
        }
        if magic != *MAGIC {
            return Err(io::Error::other("a segment is not one that this program writes"));
        }
        Ok(Some(Self { file, left }))
    }

    fn frame(&mut self) -> io::Result<Option<(Span, Vec<u8>)>> {
        let mut header = [0; HEADER_BYTES];
        if !read_whole(&mut self.file, &mut header)? {
            return Ok(None);
        }
        self.left = self.left.saturating_sub(HEADER_BYTES as u64);
        let (length, rest) = header.split_at(4);
        let (first, rest) = rest.split_at(8);
        let (last, expected) = rest.split_at(8);
        let length = u64::from(u32::from_le_bytes(length.try_into().unwrap_or_default()));
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap_or_default());
        let span = Span { first: number(first), last: number(last) };
        let size = usize::try_from(length).unwrap_or(usize::MAX);
        if length > self.left || size > PAYLOAD_BYTES_MAX {
            return Ok(None);
        }
        let mut payload = vec![0; size];
        let whole = read_whole(&mut self.file, &mut payload)?
            && check(span, &payload).as_bytes().as_slice() == expected;
        self.left -= length;
        Ok(whole.then_some((span, payload)))
    }
}

/// The segments of `folder`, oldest first.
pub(super) fn segments(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    list(folder).map_err(fault())
}

fn fault() -> impl FnOnce(io::Error) -> StoreError {
    StoreError::io("read the journal")
}
