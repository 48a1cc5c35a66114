//! What a component is built from, as one digest: its own folder and what all of them share.

use super::Guest;
use crate::inputs::add;
use crate::tools;

/// What every component depends on, or may: the contracts, the SDK, the versions of its workspace,
/// what several plugins share, and how we build.
const SHARED: [&str; 10] = [
    "wit",
    "sdk/rust",
    "plugins/Cargo.toml",
    "plugins/Cargo.lock",
    "plugins/tokens",
    "tests/guests/Cargo.toml",
    "tests/guests/Cargo.lock",
    "host/xtask/src/embed.rs",
    "host/xtask/src/guests.rs",
    "host/xtask/src/guests",
];

/// The digest of what every component depends on.
pub(super) fn shared() -> anyhow::Result<String> {
    let mut hasher = blake3::Hasher::new();
    for place in SHARED {
        let path = tools::root().join(place);
        if path.exists() {
            add(&mut hasher, &path, place)?;
        }
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// The digest of everything that `guest` is built from.
pub(super) fn of(guest: &Guest, shared: &str) -> anyhow::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(shared.as_bytes());
    add(&mut hasher, &guest.folder, &guest.name)?;
    Ok(hasher.finalize().to_hex().to_string())
}
