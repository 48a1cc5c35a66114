//! Interfaces that other plugins provide. A component that imports one is linked when it is made
//! ready; each call of such a function takes the same way as one by name (`meshhost:mesh/invoke`):
//! it must be granted (`call=…`), is decided, limited and recorded, and runs one level deeper.
//!
//! The provider is found at each call, so that one that was updated or replaced counts at once; its
//! function must have the very type of the import. What keeps the provider from answering goes to
//! the component where the function's error has a case `call` for it
//! (`meshhost:mesh/invoke.call-error`), and ends its call where it has none.

use std::sync::Arc;

use meshhost_core::{code::Code, link::Link, outcome::Outcome};
use wasmtime::{
    StoreContextMut,
    component::{
        Linker, Type, Val,
        types::{ComponentFunc, Variant},
    },
};

use super::{
    Context, View,
    invoke::{bindings::meshhost::mesh::invoke::CallError, not_answered},
};
use crate::{
    aside,
    convert::{
        ConvertError, InputRules, OutputRules, Returned, UnknownInput, lift_arguments,
        lower_returned,
    },
    state::{HostState, Stop},
};

/// The case of an error that carries a call's.
const CALL_CASE: &str = "call";

/// Links these functions.
///
/// # Errors
/// When one of them is linked already.
pub(crate) fn link(linker: &mut Linker<HostState>, links: &[Link]) -> wasmtime::Result<()> {
    for link in links {
        let mut instance = linker.instance(&link.interface)?;
        let called = Arc::new(link.clone());
        instance.func_new_async(
            &link.function,
            move |mut store, function, arguments, results| {
                let link = Arc::clone(&called);
                Box::new(async move {
                    let value = call(&mut store, &link, &function, arguments).await?;
                    if let (Some(result), Some(value)) = (results.first_mut(), value) {
                        *result = value;
                    }
                    Ok(())
                })
            },
        )?;
    }
    Ok(())
}

async fn call(
    store: &mut StoreContextMut<'_, HostState>,
    link: &Link,
    function: &ComponentFunc,
    arguments: &[Val],
) -> wasmtime::Result<Option<Val>> {
    let context = View::of(store.data_mut()).context.clone();
    let limits = context.call.limits;
    let rules = OutputRules { output_bytes: limits.hostcall_fuel, list_bytes: limits.list_bytes };
    let large = aside::is_large_output(arguments);
    let lifted = aside::convert(large, || lift_arguments(arguments, function, &rules));
    let (input, bytes) = match lifted {
        Ok(lifted) => lifted,
        Err(error) => return unanswered(function, CallError::Invalid(told(&context, &error)?)),
    };
    let _held = context.record.charge_buffer(bytes)?;
    let name = format!("{}#{}", link.interface, link.function);
    let returned = match context.call_other(link.callee.clone(), input, &name).await {
        Ok(Outcome::Success(output)) => Returned::Output(output),
        Ok(outcome) => match plugin_error(outcome) {
            Ok(data) => Returned::PluginError(data),
            Err(error) => return unanswered(function, error),
        },
        Err(error) => return unanswered(function, error),
    };
    let (Returned::Output(value) | Returned::PluginError(value)) = &returned;
    let rules = InputRules { unknown: UnknownInput::Refuse, list_bytes: limits.list_bytes };
    let large = aside::is_large_input(value);
    match aside::convert(large, || lower_returned(&returned, function, &rules)) {
        Ok(value) => Ok(value),
        Err(error) => unanswered(function, CallError::Failure(told(&context, &error)?)),
    }
}

/// What is wrong with a value.
///
/// # Errors
/// Ends the call when a limit was reached.
fn told(context: &Context, error: &ConvertError) -> wasmtime::Result<String> {
    match error.limit {
        Some(limit) => Err(context.record.stop(limit).into()),
        None => Ok(error.to_string()),
    }
}

/// The error that the provider answered with, when it is one of its own.
fn plugin_error(outcome: Outcome) -> Result<serde_json::Value, CallError> {
    match outcome {
        Outcome::Failure(mut refusal) if refusal.code == Code::PluginFailure => {
            Ok(refusal.details.take().unwrap_or_default())
        }
        other => Err(not_answered(other)),
    }
}

/// What the component gets when the provider did not answer.
///
/// # Errors
/// Ends the call when the function has no error that could carry it.
fn unanswered(function: &ComponentFunc, error: CallError) -> wasmtime::Result<Option<Val>> {
    let (case, text) = match error {
        CallError::Denied(text) => ("denied", text),
        CallError::Failure(text) => ("failure", text),
        CallError::Skipped(text) => ("skipped", text),
        CallError::Indeterminate(text) => ("indeterminate", text),
        CallError::Invalid(text) => ("invalid", text),
    };
    if !carries_call_errors(function, case) {
        return Err(Stop::NotAnswered(text).into());
    }
    let error = Val::Variant(case.to_owned(), Some(Box::new(Val::String(text))));
    let error = Val::Variant(CALL_CASE.to_owned(), Some(Box::new(error)));
    Ok(Some(Val::Result(Err(Some(Box::new(error))))))
}

/// Whether the function's error has a case `call` with this case of `call-error`.
fn carries_call_errors(function: &ComponentFunc, case: &str) -> bool {
    let Some(Type::Result(result)) = function.results().next() else { return false };
    let payload = |ty: Option<Type>, name: &str| match ty {
        Some(Type::Variant(variant)) => payload_of(&variant, name),
        _ => None,
    };
    matches!(payload(payload(result.err(), CALL_CASE), case), Some(Type::String))
}

fn payload_of(variant: &Variant, name: &str) -> Option<Type> {
    variant.cases().find(|case| case.name == name)?.ty
}
