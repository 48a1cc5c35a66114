//! The TOML files that people write.

use meshhost_core::{
    capability::Risk, config::NodeConfig, diagnostic::Diagnostic, grant::GrantFile,
    manifest::Manifest, outcome::Refusal, permission::Permission, profile::Profile,
};

use crate::text;

/// Stands between a manifest and its overlay.
const OVERLAY: &str = "\n#overlay\n";
/// Most bytes of a shown error: bounded file name, message, hint and line, of four bytes a letter.
const SHOWN_BYTES_MAX: usize = 8 * 1024;

/// A manifest, and perhaps an overlay behind it.
pub(crate) fn manifest(bytes: &[u8]) {
    let Some(all) = text(bytes) else { return };
    let (own, overlay) = all.split_once(OVERLAY).unwrap_or((all, ""));
    let manifest = match Manifest::parse("plugin.toml", own) {
        Ok(manifest) => manifest,
        Err(error) => return shown(error),
    };
    manifest.asks.iter().for_each(|ask| comes_back(&ask.permission));
    match manifest.tightened("overlay.toml", overlay) {
        Ok(tightened) => {
            assert_eq!(tightened.asks, manifest.asks, "an overlay has no asks");
            // What tightened once does not loosen the tightened; an id of an invariant, though, is
            // taken then.
            if !overlay.contains("invariants") {
                assert_eq!(tightened.tightened("overlay.toml", overlay), Ok(tightened.clone()));
            }
        }
        Err(error) => shown(error),
    }
}

/// A grant file.
pub(crate) fn grants(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    match GrantFile::parse("grants.toml", text) {
        Ok(grants) => {
            let written = grants.to_toml();
            let read = GrantFile::parse("grants.toml", &written);
            assert_eq!(read.as_ref(), Ok(&grants), "{written}");
            assert_eq!(grants.to_toml(), written);
            grants.entries.iter().for_each(|entry| comes_back(&entry.permission));
        }
        Err(error) => shown(error),
    }
}

/// A node's configuration.
pub(crate) fn configuration(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    match NodeConfig::parse("meshhost.toml", text) {
        Ok(config) => {
            let ceiling = config.ceiling;
            assert_eq!(ceiling.default_limits, ceiling.default_limits.min(ceiling.limits));
            assert!(config.risk.user < Risk::Critical && config.risk.plugin < Risk::Critical);
        }
        Err(error) => shown(error),
    }
}

/// A permission profile.
pub(crate) fn profile(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    match Profile::parse("profile.toml", text) {
        Ok(profile) => {
            for permission in profile.select(None) {
                assert_eq!(permission.risk(), Risk::Low, "{permission}");
                assert!(profile.grants(&permission), "{permission}");
                comes_back(&permission);
            }
        }
        Err(error) => shown(error),
    }
}

/// A permission is written as it was understood.
pub(crate) fn comes_back(permission: &Permission) {
    let written = permission.to_string();
    assert_eq!(written.parse().as_ref(), Ok(permission), "{written}");
}

/// An error is shown bounded, on few lines, without a letter that steers a terminal, and travels
/// unchanged.
fn shown(error: Diagnostic) {
    let rendered = error.render();
    assert!(rendered.lines().count() <= 6 && rendered.len() <= SHOWN_BYTES_MAX, "{rendered}");
    assert!(!rendered.contains(|letter: char| letter != '\n' && letter.is_control()));
    let refusal = Refusal::from(error.clone());
    assert_eq!(Diagnostic::of(&refusal), Some(error));
}
