//! Looks through the bytes of an ONNX model before an engine parses them. An engine's parser is
//! large and written for models that somebody trusts; this one is small, bounded and refuses
//! whatever it does not need:
//!
//! - data outside of the file, wherever a tensor may stand (a path in a model reads files);
//! - operators of other domains than `ai.onnx`, `ai.onnx.ml` and `com.microsoft`, unless the
//!   model brings their definition itself. `com.microsoft` is what ONNX Runtime has built in and
//!   quantised or fused models use; its `EPContext` is refused, since it names a file;
//! - versions outside of the bounds, more nodes, tensors or nested graphs than a model needs;
//! - what ONNX Runtime would take for its own format: such a file could show one model to this
//!   scan and another to the engine;
//! - protobuf that two parsers could read differently: groups, known fields with a foreign wire
//!   type, field number zero.

use std::collections::HashSet;

mod graph;
mod protobuf;
mod values;

use graph::Scan;
pub use protobuf::Malformed;
use protobuf::{Field, Message};
pub use values::Declared;

/// Nodes of all graphs and functions of a model.
const NODES_MAX: usize = 100_000;
/// Tensors of all graphs and attributes of a model.
const TENSORS_MAX: usize = 200_000;
/// Functions that a model may define.
const FUNCTIONS_MAX: usize = 4_096;
/// Graphs within graphs.
const DEPTH_MAX: usize = 8;
/// Domains that a model may import.
const IMPORTS_MAX: usize = 64;
/// Keys that an author wrote into a model.
const METADATA_MAX: usize = 256;
/// Bytes of all keys and texts of the metadata: the characters of a recogniser are some 30 KiB.
const METADATA_BYTES_MAX: usize = 1024 * 1024;
/// Longest name of a domain or operator, in bytes.
const NAME_BYTES_MAX: usize = 128;
/// Versions of the file format that engines read.
const IR_VERSIONS: std::ops::RangeInclusive<u64> = 3..=14;

/// Why a model was refused before an engine saw it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// It is not a whole ONNX file.
    #[error("the file is not a whole ONNX model: {0}")]
    Malformed(#[from] Malformed),
    /// A tensor's data lies outside of the file.
    #[error("the model keeps data in other files, which is not allowed: convert it to one file")]
    ExternalData,
    /// An operator that no engine has by itself.
    #[error("the model uses the operator `{0}`, which is not one of the allowed sets")]
    Operator(String),
    /// A version outside of the bounds.
    #[error("the model uses version {version} of `{what}`, which is not supported")]
    Version {
        /// The operator set, or the file format.
        what: String,
        /// As the model says.
        version: u64,
    },
    /// A bound is passed.
    #[error("the model has too many or too long {0}")]
    TooLarge(&'static str),
}

/// What the scan learnt on its way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// Nodes of all graphs and functions.
    pub nodes: usize,
    /// Keys and texts that the author wrote into the model.
    pub metadata: Vec<(String, String)>,
    /// What its graph declares as inputs.
    pub inputs: Vec<Declared>,
    /// What its graph declares as outputs.
    pub outputs: Vec<Declared>,
}

/// Looks through a model. Takes time linear in its length and memory linear in its metadata.
///
/// # Errors
/// The first [`ScanError`] that it meets.
pub fn scan(bytes: &[u8]) -> Result<Summary, ScanError> {
    // ONNX Runtime looks for this mark before it looks for protobuf.
    if bytes.get(4..8) == Some(b"ORTM") {
        return Err(Malformed("it is in ONNX Runtime's own format").into());
    }
    let mut found = Found::default();
    for field in Message::new(bytes) {
        found.field(field?)?;
    }
    found.finish()
}

/// The parts of a model: graphs can only be judged when the functions are known.
#[derive(Debug, Default)]
struct Found<'a> {
    ir_version: Option<u64>,
    graphs: Vec<&'a [u8]>,
    functions: Vec<&'a [u8]>,
    imports: Vec<(String, u64)>,
    metadata: Vec<(String, String)>,
    metadata_bytes: usize,
}

impl<'a> Found<'a> {
    fn field(&mut self, field: Field<'a>) -> Result<(), ScanError> {
        match field.number {
            1 => self.ir_version = Some(field.varint()?),
            7 => self.graphs.push(field.bytes()?),
            8 => self.import(field.bytes()?)?,
            14 => self.metadata(field.bytes()?)?,
            // Training is not what this is for, and it holds graphs of its own.
            20 => return Err(Malformed("it holds training information").into()),
            25 => self.functions.push(field.bytes()?),
            _ => {}
        }
        if self.functions.len() > FUNCTIONS_MAX {
            return Err(ScanError::TooLarge("functions"));
        }
        // Parsers merge a second graph into the first: nobody needs that.
        if self.graphs.len() > 1 {
            return Err(Malformed("it holds more than one graph").into());
        }
        Ok(())
    }

    fn import(&mut self, bytes: &[u8]) -> Result<(), ScanError> {
        let (mut domain, mut version) = (String::new(), 0);
        for field in Message::new(bytes) {
            let field = field?;
            match field.number {
                1 => domain = name(field.bytes()?, "domains")?,
                2 => version = field.varint()?,
                _ => {}
            }
        }
        self.imports.push((domain, version));
        if self.imports.len() > IMPORTS_MAX { Err(ScanError::TooLarge("imports")) } else { Ok(()) }
    }

    fn metadata(&mut self, bytes: &[u8]) -> Result<(), ScanError> {
        let (mut key, mut value) = (String::new(), String::new());
        for field in Message::new(bytes) {
            let field = field?;
            match field.number {
                1 => key = protobuf::text(field.bytes()?, METADATA_BYTES_MAX)?,
                2 => value = protobuf::text(field.bytes()?, METADATA_BYTES_MAX)?,
                _ => {}
            }
        }
        self.metadata_bytes = self.metadata_bytes.saturating_add(key.len() + value.len());
        self.metadata.push((key, value));
        if self.metadata.len() > METADATA_MAX || self.metadata_bytes > METADATA_BYTES_MAX {
            return Err(ScanError::TooLarge("metadata"));
        }
        Ok(())
    }

    fn finish(self) -> Result<Summary, ScanError> {
        let ir_version = self.ir_version.ok_or(Malformed("it says no version"))?;
        if !IR_VERSIONS.contains(&ir_version) {
            return Err(ScanError::Version { what: "the ONNX format".into(), version: ir_version });
        }
        let graph = self.graphs.first().ok_or(Malformed("it holds no graph"))?;
        let mut defined = HashSet::new();
        for function in &self.functions {
            defined.insert(graph::function_name(function)?);
        }
        for (domain, version) in &self.imports {
            check_import(domain, *version)?;
        }
        let mut scan = Scan::new(defined);
        scan.graph(graph, 0)?;
        for function in &self.functions {
            scan.function(function)?;
        }
        let (inputs, outputs) = values::declared(graph)?;
        Ok(Summary { nodes: scan.nodes(), metadata: self.metadata, inputs, outputs })
    }
}

/// Whether an operator set may be imported in this version.
fn check_import(domain: &str, version: u64) -> Result<(), ScanError> {
    let supported = match domain {
        "" | "ai.onnx" => (7..=30).contains(&version),
        "ai.onnx.ml" => (1..=10).contains(&version),
        "com.microsoft" => version == 1,
        // Exporters import sets that no node uses; a node that uses one is refused by itself.
        _ => true,
    };
    if supported { Ok(()) } else { Err(ScanError::Version { what: shown(domain), version }) }
}

fn shown(domain: &str) -> String {
    if domain.is_empty() { "ai.onnx".to_owned() } else { domain.to_owned() }
}

/// A short name; longer ones are `what` too long.
fn name(bytes: &[u8], what: &'static str) -> Result<String, ScanError> {
    if bytes.len() > NAME_BYTES_MAX {
        return Err(ScanError::TooLarge(what));
    }
    Ok(protobuf::text(bytes, NAME_BYTES_MAX)?)
}

#[cfg(test)]
mod tests;
