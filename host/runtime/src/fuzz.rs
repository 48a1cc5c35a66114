//! What is fuzzed inside this crate, because nothing outside can reach it: plain functions of any
//! bytes, as in `tests/fuzz`. Built for tests and by `cargo xtask fuzz`, never else.

pub(crate) mod shape;
#[cfg(test)]
mod tests;

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    sync::OnceLock,
};

use meshhost_core::{
    id::Digest,
    json::{self, Bounds},
};
use serde_json::{Value, json};

use self::shape::{Shape, spoil};
use crate::{
    cache::CodeCache,
    convert::{ConvertError, Returned},
    engine::{self, EngineKind},
    fixture::Converter,
};

/// Types inside each other.
const DEPTH_MAX: usize = 4;
/// More than any value made here.
const OUTPUT_BYTES: u64 = 1024 * 1024;
/// Values that are tried with one type.
const ROUNDS: usize = 4;

/// A type and values of it, both made from the bytes; what is left of them is tried as JSON.
pub fn conversion(bytes: &[u8]) {
    let mut rest = bytes;
    let mut dice = |sides: usize| {
        let Some((first, left)) = rest.split_first() else { return 0 };
        rest = left;
        usize::from(*first) % sides
    };
    let shape = Shape::random(DEPTH_MAX, &mut dice);
    let mut declared = Vec::new();
    let ty = shape.wit(&mut declared);
    let mut converter = Converter::new(&declared.join(" "), &format!("func(x: {ty}) -> {ty}"));
    converter.output.output_bytes = OUTPUT_BYTES;
    for _ in 0..ROUNDS {
        let value = shape.value(&mut dice);
        let mut input = json!({ "x": value });
        let found = there_and_back(&mut converter, &input);
        match (&shape, found) {
            // Its own result is unwrapped; inside other types it comes back.
            (Shape::Result(..), found) => assert!(found.is_ok(), "{ty}: {value}"),
            (_, found) => assert_eq!(found, Ok(Returned::Output(value)), "{ty}"),
        }
        spoil(&mut input, &mut dice);
        accepted_is_stable(&mut converter, &shape, &input);
    }
    if let Ok(value) = json::parse(rest, Bounds::SMALL) {
        accepted_is_stable(&mut converter, &shape, &json!({ "x": value }));
        accepted_is_stable(&mut converter, &shape, &value);
    }
}

/// What is accepted in any spelling comes back in one that means the same.
fn accepted_is_stable(converter: &mut Converter, shape: &Shape, input: &Value) {
    let Ok(Returned::Output(value)) = there_and_back(converter, input) else { return };
    if !matches!(shape, Shape::Result(..)) {
        let again = there_and_back(converter, &json!({ "x": value }));
        assert_eq!(again, Ok(Returned::Output(value)), "{shape:?}: {input}");
    }
}

fn there_and_back(converter: &mut Converter, input: &Value) -> Result<Returned, ConvertError> {
    let values = converter.lower(input)?;
    let lifted = converter.lift(&values)?;
    let (Returned::Output(value) | Returned::PluginError(value)) = &lifted.returned;
    assert_eq!(u64::try_from(value.to_string().len()), Ok(lifted.bytes), "{value}");
    Ok(lifted.returned)
}

/// A cache with one genuine file.
struct Cached {
    cache: CodeCache,
    fingerprint: [u8; 32],
    file: PathBuf,
    genuine: Vec<u8>,
    _folder: tempfile::TempDir,
}

impl Cached {
    const COMPONENT: &[u8] = b"component";

    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cache = CodeCache { folder: folder.path().to_owned(), key: [7; 32] };
        cache.put(&Digest::of(Self::COMPONENT), EngineKind::Plain, &[0xc3; 300]).unwrap();
        let file = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        let fingerprint = engine::code_fingerprint(&engine::compiling(EngineKind::Plain).unwrap());
        let genuine = fs::read(&file).unwrap();
        Self { cache, fingerprint, file, genuine, _folder: folder }
    }

    /// Whether a file with this content would be loaded.
    fn takes(&self, content: &[u8]) -> bool {
        fs::write(&self.file, content).unwrap();
        fs::set_permissions(&self.file, Permissions::from_mode(0o600)).unwrap();
        self.cache.open(&Digest::of(Self::COMPONENT), &self.fingerprint).is_ok()
    }
}

/// The bytes as a whole file of the code cache, and as a change of a genuine one (where, and what
/// is put there): only the genuine file is taken.
pub fn cache(bytes: &[u8]) {
    static CACHED: OnceLock<Cached> = OnceLock::new();
    let cached = CACHED.get_or_init(Cached::new);
    assert!(cached.takes(&cached.genuine));
    assert_eq!(cached.takes(bytes), bytes == cached.genuine);
    let Some((place, with)) = bytes.split_first_chunk::<2>() else { return };
    let place = usize::from(u16::from_le_bytes(*place)) % cached.genuine.len();
    let mut changed = cached.genuine.clone();
    for (old, new) in changed.iter_mut().skip(place).zip(with) {
        *old = *new;
    }
    assert_eq!(cached.takes(&changed), changed == cached.genuine);
    let cut = cached.genuine.get(..place).unwrap_or_default();
    assert!(!cached.takes(cut), "{place} bytes of the genuine file");
}
