//! How deep component types are declared inside each other, found without recursion.
//!
//! wasmparser reads such declarations recursively, three bytes of file for one frame of stack.
//! This walk comes first and keeps its own stack.

use wasmparser::{
    BinaryReader, ComponentAlias, ComponentExternName, ComponentType, ComponentTypeRef, CoreType,
};

use super::{InspectError, structure::damaged};

/// Deepest declaration of component and instance types inside each other. A component type with
/// instance types in it, as tools write it, has two or three levels.
const DECLARATION_DEPTH_MAX: usize = 16;

/// Checks the contents of one component type section.
///
/// # Errors
/// When declarations nest too deeply, or the section is damaged.
pub(super) fn check(mut reader: BinaryReader<'_>) -> Result<(), InspectError> {
    let types = reader.read_var_u32().map_err(damaged)?;
    for _ in 0..types {
        check_type(&mut reader)?;
    }
    Ok(())
}

fn check_type(reader: &mut BinaryReader<'_>) -> Result<(), InspectError> {
    // How many declarations are still to come, for each open type.
    let mut open: Vec<u32> = Vec::new();
    begin_type(reader, &mut open)?;
    while let Some(left) = open.last_mut() {
        if *left == 0 {
            open.pop();
            continue;
        }
        *left -= 1;
        declaration(reader, &mut open)?;
    }
    Ok(())
}

fn begin_type(reader: &mut BinaryReader<'_>, open: &mut Vec<u32>) -> Result<(), InspectError> {
    let start = reader.clone();
    match reader.read_u8().map_err(damaged)? {
        0x41 | 0x42 => {
            if open.len() >= DECLARATION_DEPTH_MAX {
                return Err(InspectError::too_large(format!(
                    "types are declared deeper than {DECLARATION_DEPTH_MAX} levels"
                )));
            }
            open.push(reader.read_var_u32().map_err(damaged)?);
        }
        _ => {
            *reader = start;
            reader.read::<ComponentType<'_>>().map_err(damaged)?;
        }
    }
    Ok(())
}

fn declaration(reader: &mut BinaryReader<'_>, open: &mut Vec<u32>) -> Result<(), InspectError> {
    match reader.read_u8().map_err(damaged)? {
        0x00 => {
            reader.read::<CoreType<'_>>().map_err(damaged)?;
        }
        0x01 => begin_type(reader, open)?,
        0x02 => {
            reader.read::<ComponentAlias<'_>>().map_err(damaged)?;
        }
        0x03 | 0x04 => {
            reader.read::<ComponentExternName<'_>>().map_err(damaged)?;
            reader.read::<ComponentTypeRef>().map_err(damaged)?;
        }
        _ => return Err(InspectError::invalid("a type declaration is damaged")),
    }
    Ok(())
}
