//! Graphs, nodes, attributes and tensors, to the bottom.

use std::collections::HashSet;

use super::{
    DEPTH_MAX, NODES_MAX, ScanError, TENSORS_MAX, name,
    protobuf::{Malformed, Message},
};

/// One look through the graphs of a model; counts over all of them.
#[derive(Debug)]
pub(super) struct Scan {
    /// Domain and name of the functions that the model defines itself.
    defined: HashSet<(String, String)>,
    nodes: usize,
    tensors: usize,
}

impl Scan {
    pub(super) const fn new(defined: HashSet<(String, String)>) -> Self {
        Self { defined, nodes: 0, tensors: 0 }
    }

    pub(super) const fn nodes(&self) -> usize {
        self.nodes
    }

    /// A graph, `depth` graphs deep.
    pub(super) fn graph(&mut self, bytes: &[u8], depth: usize) -> Result<(), ScanError> {
        if depth >= DEPTH_MAX {
            return Err(ScanError::TooLarge("graphs within graphs"));
        }
        for field in Message::new(bytes) {
            let field = field?;
            match field.number {
                1 => self.node(field.bytes()?, depth)?,
                5 => self.tensor(field.bytes()?)?,
                15 => self.sparse_tensor(field.bytes()?)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// A function that the model defines.
    pub(super) fn function(&mut self, bytes: &[u8]) -> Result<(), ScanError> {
        for field in Message::new(bytes) {
            let field = field?;
            match field.number {
                7 => self.node(field.bytes()?, 0)?,
                11 => self.attribute(field.bytes()?, 0)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn node(&mut self, bytes: &[u8], depth: usize) -> Result<(), ScanError> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(ScanError::TooLarge("nodes"));
        }
        let (mut operator, mut domain) = (String::new(), String::new());
        for field in Message::new(bytes) {
            let field = field?;
            match field.number {
                4 => operator = name(field.bytes()?, "names of operators")?,
                5 => self.attribute(field.bytes()?, depth)?,
                7 => domain = name(field.bytes()?, "names of operators")?,
                _ => {}
            }
        }
        let allowed = match domain.as_str() {
            "" | "ai.onnx" | "ai.onnx.ml" => true,
            // It loads compiled code or a file that it names.
            "com.microsoft" => operator != "EPContext",
            _ => false,
        };
        if allowed || self.defined.contains(&(domain.clone(), operator.clone())) {
            return Ok(());
        }
        Err(ScanError::Operator(format!("{domain}::{operator}")))
    }

    fn attribute(&mut self, bytes: &[u8], depth: usize) -> Result<(), ScanError> {
        for field in Message::new(bytes) {
            let field = field?;
            match field.number {
                5 | 10 => self.tensor(field.bytes()?)?,
                6 | 11 => self.graph(field.bytes()?, depth + 1)?,
                22 | 23 => self.sparse_tensor(field.bytes()?)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn sparse_tensor(&mut self, bytes: &[u8]) -> Result<(), ScanError> {
        for field in Message::new(bytes) {
            let field = field?;
            if matches!(field.number, 1 | 2) {
                self.tensor(field.bytes()?)?;
            }
        }
        Ok(())
    }

    fn tensor(&mut self, bytes: &[u8]) -> Result<(), ScanError> {
        self.tensors += 1;
        if self.tensors > TENSORS_MAX {
            return Err(ScanError::TooLarge("tensors"));
        }
        for field in Message::new(bytes) {
            let field = field?;
            let external = match field.number {
                13 => true,
                14 => field.varint()? != 0,
                _ => false,
            };
            if external {
                return Err(ScanError::ExternalData);
            }
        }
        Ok(())
    }
}

/// Domain and name of a function. A definition in an engine's own domain is refused: it would say
/// for itself what an operator of that set means.
pub(super) fn function_name(bytes: &[u8]) -> Result<(String, String), ScanError> {
    let (mut function, mut domain) = (String::new(), String::new());
    for field in Message::new(bytes) {
        let field = field?;
        match field.number {
            1 => function = name(field.bytes()?, "names of functions")?,
            10 => domain = name(field.bytes()?, "names of functions")?,
            _ => {}
        }
    }
    if matches!(domain.as_str(), "" | "ai.onnx" | "ai.onnx.ml" | "com.microsoft") {
        return Err(Malformed("it defines an operator of a standard set").into());
    }
    Ok((domain, function))
}
