//! Libraries that are no ONNX Runtime, or not one that can be used.

use std::{path::PathBuf, process::Command};

use meshhost_inference::library::{ProbeError, probe_all};

use crate::{node::program, onnx};

const OLD: &str = r#"
static const char *version(void) { return "1.10.0"; }
static const void *api(unsigned number) { return 0; }
static const struct { const void *(*api)(unsigned); const char *(*version)(void); } base = { api, version };
const void *OrtGetApiBase(void) { return &base; }
"#;
const CRASHING: &str = r#"
#include <stdlib.h>
__attribute__((constructor)) static void crash(void) { abort(); }
"#;
const OTHER: &str = "int something_else(void) { return 0; }";

/// A library of this source; none where the machine has no C compiler.
fn library(folder: &tempfile::TempDir, name: &str, source: &str) -> Option<PathBuf> {
    let (code, library) = (folder.path().join("code.c"), folder.path().join(name));
    std::fs::write(&code, source).unwrap();
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&code).output();
    match built {
        Ok(output) if output.status.success() => Some(library),
        _ => {
            println!("skipped: no C compiler here");
            None
        }
    }
}

#[test]
fn bad_libraries_are_passed_over_and_the_first_good_one_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.so");
    std::fs::write(&text, "this is no library").unwrap();
    let missing = folder.path().join("missing.so");
    let built = [("old.so", OLD), ("crashing.so", CRASHING), ("other.so", OTHER)]
        .map(|(name, source)| library(&folder, name, source));
    let [Some(old), Some(crashing), Some(other)] = built else { return };
    let mut candidates = vec![missing, text, other, old, crashing];
    candidates.extend(onnx::library());
    let probed = probe_all(&program(), &candidates, onnx::provider());
    let said = |at: usize| match &probed[at].result {
        Err(ProbeError::Refused(message)) => message.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(probed[0].result, Err(ProbeError::Missing));
    assert!(said(1).contains("text.so"), "{}", said(1));
    assert!(said(2).contains("OrtGetApiBase"), "{}", said(2));
    assert!(said(3).contains("1.10.0"), "{}", said(3));
    assert!(matches!(&probed[4].result, Err(ProbeError::Crashed(_))), "{:?}", probed[4]);
    if let Some(good) = probed.get(5) {
        assert!(good.result.as_ref().is_ok_and(|version| version.starts_with("1.")), "{good:?}");
    }
}
