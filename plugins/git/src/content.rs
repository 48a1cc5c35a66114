//! Bytes of any size as content of the contract.

use meshhost_sdk::blob;

use crate::failure::fault;
use crate::repository::{Content, Error};

/// Bytes that come back as text; more becomes a blob.
const TEXT_BYTES_MAX: usize = 256 * 1024;
/// Bytes that come back as a list; the host refuses longer ones.
const LIST_BYTES_MAX: usize = 64 * 1024;

/// The content: text, a list, or a blob.
pub(crate) fn content(bytes: Vec<u8>) -> Result<Content, Error> {
    let is_text = bytes.len() <= TEXT_BYTES_MAX && std::str::from_utf8(&bytes).is_ok();
    if !is_text && bytes.len() > LIST_BYTES_MAX {
        return blob::from_bytes(&bytes).map(Content::Blob).map_err(fault);
    }
    Ok(match String::from_utf8(bytes) {
        Ok(text) => Content::Text(text),
        Err(error) => Content::Bytes(error.into_bytes()),
    })
}
