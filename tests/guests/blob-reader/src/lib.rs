//! Reads blobs: all of one, or a few bytes somewhere.

meshhost_sdk::plugin!({
    path: ["../../../wit/blob/0.1.0", "wit"],
    world: "fixture:blobs/provider",
    with: { "meshhost:blob/types@0.1.0": meshhost_sdk::blob::types },
});

use meshhost_sdk::blob::Blob;

/// Bytes that are read at once, as many as the host gives.
const PIECE_BYTES: u32 = 1024 * 1024;

struct Reader;

export!(Reader with_types_in bindings);

impl bindings::Guest for Reader {
    fn drain(content: &Blob) -> Result<u64, String> {
        let length = content.length();
        let mut read = 0;
        while read < length {
            let piece = content.read(read, PIECE_BYTES).map_err(|error| error.to_string())?;
            read += piece.len() as u64;
        }
        Ok(read)
    }

    fn peek(content: &Blob, offset: u64, length: u32) -> Result<Vec<u8>, String> {
        content.read(offset, length.min(1_024)).map_err(|error| error.to_string())
    }
}
