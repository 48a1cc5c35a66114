//! What a function of another component answered, to the value that the importing one gets.

use wasmtime::component::{Type, Val, types::ComponentFunc};

use super::{ConvertError, INPUT_HOST_BYTES_MAX, InputRules, Lowering, Path};
use crate::convert::Returned;

/// Makes the result of the imported `function`; none where it has no result.
///
/// # Errors
/// input-invalid when the answer is not of the function's type; limit-list-bytes and
/// limit-host-memory when it is too large.
pub(crate) fn lower_returned(
    returned: &Returned,
    function: &ComponentFunc,
    rules: &InputRules,
) -> Result<Option<Val>, ConvertError> {
    let mut lowering = Lowering { rules, blobs: None, host_bytes: INPUT_HOST_BYTES_MAX };
    let path = Path::Root("answer");
    match (returned, function.results().next()) {
        (Returned::Output(_), None) => Ok(None),
        (Returned::Output(value), Some(Type::Result(ty))) => {
            let value = lowering.payload(&path, ty.ok(), value)?;
            Ok(Some(Val::Result(Ok(value))))
        }
        (Returned::PluginError(value), Some(Type::Result(ty))) => {
            let value = lowering.payload(&path, ty.err(), value)?;
            Ok(Some(Val::Result(Err(value))))
        }
        (Returned::Output(value), Some(ty)) => lowering.value(&path, &ty, value).map(Some),
        (Returned::PluginError(_), _) => {
            Err(ConvertError::input(&path, "an error where the type has none"))
        }
    }
}
