//! What a graph says of its inputs and outputs, for engines that do not say it themselves.

use std::collections::HashSet;

use meshhost_core::inference::{ElementType, NAME_BYTES_MAX, RANK_MAX, TENSORS_MAX, ValueInfo};

use super::{
    ScanError,
    protobuf::{Field, Malformed, Message, text},
};

/// A value as the graph declares it: the type is none where it is no tensor of a type that plugins
/// can hold, or the shape is not declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Its name.
    pub name: String,
    /// Its type and shape.
    pub info: Option<ValueInfo>,
}

/// Inputs and outputs of a graph. What has a value already (an initializer) is no input.
pub(super) fn declared(graph: &[u8]) -> Result<(Vec<Declared>, Vec<Declared>), ScanError> {
    let (mut inputs, mut outputs, mut known) = (Vec::new(), Vec::new(), HashSet::new());
    for field in Message::new(graph) {
        let field = field?;
        match field.number {
            5 => known.extend(initializer(field)?),
            11 => inputs.push(value(field.bytes()?)?),
            12 => outputs.push(value(field.bytes()?)?),
            _ => {}
        }
        // Also those that are none in the end take memory.
        if inputs.len() > super::TENSORS_MAX || outputs.len() > TENSORS_MAX {
            return Err(ScanError::TooLarge("inputs or outputs"));
        }
    }
    inputs.retain(|input| !known.contains(&input.name));
    if inputs.len() > TENSORS_MAX {
        return Err(ScanError::TooLarge("inputs or outputs"));
    }
    Ok((inputs, outputs))
}

fn initializer(field: Field<'_>) -> Result<Option<String>, ScanError> {
    for field in Message::new(field.bytes()?) {
        let field = field?;
        // Names of initializers may be longer than those of inputs; then they are none.
        if field.number == 8 && field.bytes()?.len() <= NAME_BYTES_MAX {
            return Ok(Some(text(field.bytes()?, NAME_BYTES_MAX)?));
        }
    }
    Ok(None)
}

fn value(bytes: &[u8]) -> Result<Declared, ScanError> {
    let (mut name, mut tensor) = (String::new(), None);
    for field in Message::new(bytes) {
        let field = field?;
        match field.number {
            1 if field.bytes()?.len() > NAME_BYTES_MAX => {
                return Err(ScanError::TooLarge("names of inputs or outputs"));
            }
            1 => name = text(field.bytes()?, NAME_BYTES_MAX)?,
            2 => tensor = inner(field.bytes()?, 1)?,
            _ => {}
        }
    }
    let info = match tensor {
        Some(tensor) => tensor_info(&name, tensor)?,
        None => None,
    };
    Ok(Declared { name, info })
}

/// The last message under this number.
fn inner(bytes: &[u8], number: u32) -> Result<Option<&[u8]>, Malformed> {
    let mut found = None;
    for field in Message::new(bytes) {
        let field = field?;
        if field.number == number {
            found = Some(field.bytes()?);
        }
    }
    Ok(found)
}

fn tensor_info(name: &str, tensor: &[u8]) -> Result<Option<ValueInfo>, ScanError> {
    let (mut number, mut shape) = (0, None);
    for field in Message::new(tensor) {
        let field = field?;
        match field.number {
            1 => number = field.varint()?,
            2 => shape = Some(dimensions(field.bytes()?)?),
            _ => {}
        }
    }
    let (Some(element_type), Some(shape)) = (element_type(number), shape) else { return Ok(None) };
    Ok(Some(ValueInfo { name: name.to_owned(), element_type, shape }))
}

fn dimensions(bytes: &[u8]) -> Result<Vec<Option<u32>>, ScanError> {
    let mut shape = Vec::new();
    for field in Message::new(bytes) {
        let field = field?;
        if field.number == 1 {
            shape.push(size(field.bytes()?)?);
        }
        if shape.len() > RANK_MAX {
            return Err(ScanError::TooLarge("dimensions"));
        }
    }
    Ok(shape)
}

/// A size; none where any fits. Zero and negative ones are written for that as well.
fn size(bytes: &[u8]) -> Result<Option<u32>, Malformed> {
    let mut size = None;
    for field in Message::new(bytes) {
        let field = field?;
        if field.number == 1 {
            size = u32::try_from(field.varint()?).ok().filter(|size| *size > 0);
        }
    }
    Ok(size)
}

/// The type with this number in ONNX.
const fn element_type(number: u64) -> Option<ElementType> {
    Some(match number {
        1 => ElementType::Float32,
        2 => ElementType::Uint8,
        3 => ElementType::Int8,
        4 => ElementType::Uint16,
        5 => ElementType::Int16,
        6 => ElementType::Int32,
        7 => ElementType::Int64,
        8 => ElementType::Text,
        9 => ElementType::Boolean,
        10 => ElementType::Float16,
        11 => ElementType::Float64,
        12 => ElementType::Uint32,
        13 => ElementType::Uint64,
        16 => ElementType::Bfloat16,
        _ => return None,
    })
}
