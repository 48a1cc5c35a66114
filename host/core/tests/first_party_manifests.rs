//! The manifests of the plugins in this repository are read by the same code as everybody's.

use std::fs;
use std::path::Path;

use meshhost_core::manifest::Manifest;

#[test]
fn every_first_party_manifest_is_valid_and_has_the_folders_name() {
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins");
    let mut found = 0;
    for entry in fs::read_dir(plugins).unwrap() {
        let file = entry.unwrap().path().join("plugin.toml");
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let shown = file.display().to_string();
        let manifest = Manifest::parse(&shown, &text).unwrap_or_else(|error| panic!("{error}"));
        let folder = file.parent().and_then(Path::file_name).unwrap();
        assert_eq!(manifest.name.to_string().as_str(), folder.to_str().unwrap());
        found += 1;
    }
    assert!(found >= 2, "{found} manifests");
}
