//! Which parts of WebAssembly the engines run, and which of them a component uses.

use wasmparser::{Parser, Validator, WasmFeatures};

/// The features of the first engine.
fn engine_features() -> WasmFeatures {
    WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::REFERENCE_TYPES
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::SIMD
        | WasmFeatures::FLOATS
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::COMPONENT_MODEL
        | WasmFeatures::CM_MAP
}

/// A part of the component model, and what it is called.
type Part = (WasmFeatures, &'static str);

/// What the second engine runs besides what the first does.
const SECOND_ENGINE: &[Part] = &[
    (
        WasmFeatures::CM_ASYNC.union(WasmFeatures::CM_ASYNC_STACKFUL),
        "asynchronous functions, streams or futures (WASI 0.3)",
    ),
    (WasmFeatures::CM_FIXED_LENGTH_LISTS, "lists of fixed length"),
];

/// What no engine runs: the report says so by name, instead of calling the bytes damaged.
const UNSUPPORTED: &[Part] = &[
    (
        WasmFeatures::CM_MORE_ASYNC_BUILTINS,
        "operations on streams and tasks that WASI 0.3 does not have",
    ),
    (WasmFeatures::CM_ERROR_CONTEXT, "error contexts"),
    (WasmFeatures::CM_THREADING, "threads of the component model"),
];

/// All that is read and validated: what some engine runs, and what is refused by name.
pub(super) fn read_features() -> WasmFeatures {
    let parts = SECOND_ENGINE.iter().chain(UNSUPPORTED);
    parts.fold(engine_features(), |all, (feature, _)| all | *feature)
}

/// Parts of the component model that a component uses beyond what the first engine has.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// What the second engine has.
    pub(super) second_engine: Vec<String>,
    /// What neither has.
    pub(super) unsupported: Vec<String>,
}

/// What of the parts the component uses. It is valid with all of them; function bodies cannot
/// use any, so they are not looked at again.
pub(super) fn needs(bytes: &[u8]) -> Needs {
    let valid_with = |features| {
        let mut validator = Validator::new_with_features(features);
        Parser::new(0)
            .parse_all(bytes)
            .all(|payload| payload.is_ok_and(|payload| validator.payload(&payload).is_ok()))
    };
    if valid_with(engine_features()) {
        return Needs::default();
    }
    let used = |parts: &[Part]| {
        let used = parts.iter().filter(|(part, _)| !valid_with(read_features().difference(*part)));
        used.map(|(_, name)| (*name).to_owned()).collect()
    };
    Needs { second_engine: used(SECOND_ENGINE), unsupported: used(UNSUPPORTED) }
}
