//! `meshhost:mesh/invoke`: calling a capability by name. The call must be granted (`call=…`), with its
//! arguments where the grant fixes them; without a grant it answers `denied`. Then it takes the
//! same way as every call, one level deeper and within what is left of the deadline.

use meshhost_core::{
    code::Code,
    decide,
    id::CapabilityId,
    limits::LimitKind,
    link::Callee,
    outcome::{Outcome, Refusal},
    ports::Remaining,
};
use serde_json::{Value, json};
use wasmtime::component::Linker;

use self::bindings::meshhost::mesh::invoke::{self, CallError};
use super::{Context, Imports, View};
use crate::{convert::referenced_blobs, state::HostState};

pub(super) mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/mesh/0.1.0",
        world: "meshhost:mesh/imports",
        imports: { default: async | trappable },
        require_store_data_send: true,
    });
}

/// The function's name in records.
const FUNCTION: &str = "meshhost:mesh/invoke#call";

/// Links `meshhost:mesh/invoke`.
///
/// # Errors
/// When the name is linked already.
pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    invoke::add_to_linker::<_, Imports>(linker, View::of)
}

impl invoke::Host for View<'_> {
    async fn call(
        &mut self,
        capability: String,
        input: String,
    ) -> wasmtime::Result<Result<String, CallError>> {
        let _held = self.context.record.charge_buffer(input.len() as u64)?;
        let answer = self.context.call_by_name(&capability, &input).await;
        let length = answer.as_ref().map_or(0, |text| text.len() as u64);
        if length > self.context.call.limits.hostcall_fuel {
            return Err(self.context.record.stop(LimitKind::HostMemory).into());
        }
        Ok(answer)
    }
}

impl Context {
    async fn call_by_name(&self, capability: &str, input: &str) -> Result<String, CallError> {
        let id: CapabilityId = capability
            .parse()
            .map_err(|error: meshhost_core::id::IdError| CallError::Invalid(error.to_string()))?;
        let input: Value = serde_json::from_str(input)
            .map_err(|_| CallError::Invalid("the input is not JSON".to_owned()))?;
        if !input.is_object() {
            return Err(CallError::Invalid("the input is not a JSON object".to_owned()));
        }
        match self.call_other(Callee::named(id), input, FUNCTION).await? {
            Outcome::Success(value) => Ok(value.to_string()),
            other => Err(not_answered(other)),
        }
    }

    /// Calls another capability through the door, when it is granted. `function` is the host
    /// function's name in records.
    ///
    /// # Errors
    /// When the plugin may not, or may not call so deeply.
    pub(super) async fn call_other(
        &self,
        callee: Callee,
        input: Value,
        function: &str,
    ) -> Result<Outcome, CallError> {
        if self.call.invocation.depth >= self.call.limits.call_depth {
            self.record.reach(LimitKind::CallDepth);
            return Err(denied(Code::LimitCallDepth, "plugins call plugins too deeply"));
        }
        let id = &callee.capability;
        if let Err(missing) = decide::call(&self.rules().calls, &id.folded(), &input) {
            self.record.deny(missing.permission, function, &missing.target);
            let message = format!("calling {id} with these arguments is not granted");
            return Err(denied(Code::PermissionDenied, &message));
        }
        self.hand_on_blobs(&input).await?;
        let ms = u64::try_from(self.remaining().as_millis()).unwrap_or(u64::MAX);
        let fuel = self.call.invocation.fuel.map(|allowed| self.record.fuel().left_below(allowed));
        let remaining = Remaining { ms, fuel };
        let (parent, plugin) = (self.call.invocation.clone(), self.call.plugin.clone());
        let effect = self.record.begin_effect();
        let invoker = &self.shared.ports.invoker;
        let result = invoker.invoke(parent, plugin, callee, input, remaining).await;
        effect.complete();
        self.record.fuel().use_below(result.usage.fuel);
        Ok(result.outcome)
    }
}

impl Context {
    /// The blobs that a call names are this call's own, and here in full.
    async fn hand_on_blobs(&self, input: &Value) -> Result<(), CallError> {
        let digests =
            referenced_blobs(input).map_err(|error| CallError::Invalid(error.to_string()))?;
        for digest in digests {
            self.call.blobs.ready(&digest).await.map_err(|error| {
                CallError::Invalid(format!("the blob {digest} cannot be given to others: {error}"))
            })?;
        }
        Ok(())
    }
}

/// What a component is told of a call that did not succeed.
pub(super) fn not_answered(outcome: Outcome) -> CallError {
    match outcome {
        Outcome::Success(_) => CallError::Failure("the answer does not fit".to_owned()),
        Outcome::Failure(refusal) => CallError::Failure(failure_text(&refusal)),
        Outcome::Denied(refusal) => denied(refusal.code, &refusal.message),
        Outcome::Skipped(refusal) => CallError::Skipped(text(&refusal)),
        Outcome::Indeterminate(refusal) => CallError::Indeterminate(text(&refusal)),
    }
}

fn denied(code: Code, message: &str) -> CallError {
    CallError::Denied(format!("{}: {message}", code.info().name))
}

fn text(refusal: &Refusal) -> String {
    format!("{}: {}", refusal.code.info().name, refusal.message)
}

fn failure_text(refusal: &Refusal) -> String {
    let mut failure = json!({ "code": refusal.code.info().name, "message": refusal.message });
    if let (Some(object), Some(details)) = (failure.as_object_mut(), &refusal.details) {
        object.insert("details".to_owned(), details.clone());
    }
    failure.to_string()
}
