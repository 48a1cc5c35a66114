//! What a component gives to a function of another one, to the JSON input of a call.

use meshhost_core::{code::Code, id::Digest};
use serde_json::{Map, Value};
use wasmtime::component::{ResourceAny, Val, types::ComponentFunc};

use super::{BlobHandles, Budget, ConvertError, Lifting, OutputRules, Path, wrong_type};
use crate::convert::BlobSource;

/// Makes the input object of a call from the arguments of the imported `function`, and says how long
/// it is as compact JSON.
///
/// # Errors
/// output-invalid when a value has no JSON form (NaN, an infinity); limit-output and
/// limit-list-bytes when it is larger than the rules allow, found before it is built.
pub(crate) fn lift_arguments(
    arguments: &[Val],
    function: &ComponentFunc,
    rules: &OutputRules,
) -> Result<(Value, u64), ConvertError> {
    let budget = Budget::new(rules.output_bytes);
    let mut lifting =
        Lifting { budget, rules, received: Vec::new().into_iter(), blobs: &mut NoBlobs };
    let root = Path::Root("argument");
    if arguments.len() != function.params().len() {
        return Err(wrong_type(&root));
    }
    let mut input = Map::with_capacity(arguments.len());
    lifting.budget.charge_brackets(arguments.len())?;
    for ((name, ty), value) in function.params().zip(arguments) {
        lifting.budget.charge_key(name)?;
        let value = lifting.value(&root.key(name), &ty, value)?;
        input.insert(name.replace('-', "_"), value);
    }
    Ok((Value::Object(input), lifting.budget.used()))
}

/// No function that takes or gives a blob is linked.
struct NoBlobs;

fn no_blobs<T>() -> Result<T, ConvertError> {
    Err(ConvertError::new(Code::HostFault, "blobs do not pass between linked plugins"))
}

impl BlobHandles for NoBlobs {
    fn lower(&mut self, _: BlobSource, _: bool) -> Result<ResourceAny, ConvertError> {
        no_blobs()
    }

    fn lift(&mut self, _: ResourceAny) -> Result<Digest, ConvertError> {
        no_blobs()
    }

    fn bytes(&mut self, _: &Digest, _: u64) -> Result<Vec<u8>, ConvertError> {
        no_blobs()
    }
}
