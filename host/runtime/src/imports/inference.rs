//! `meshhost:inference`: models that run natively. A model is named as it was granted
//! (`model=NAME`); a name without a grant and one that the node does not have answer alike, so that
//! nobody can feel for other plugins' models. Tensors are checked here and the model's own
//! description is held against them before an engine sees anything.

mod tensors;
mod text;

use std::sync::Arc;

use meshhost_core::{
    id::Digest,
    inference::{
        Description, FILE_BYTES_MAX, InferenceCaller, InferenceError, InferenceErrorCode,
        InferenceQuota, TENSORS_MAX, Tensor,
    },
};
use wasmtime::component::{Linker, Resource};

use self::bindings::meshhost::inference::{
    sessions::{self, ErrorCode},
    text as text_interface,
};
use super::{Context, Imports, View};
use crate::state::HostState;

#[expect(clippy::error_impl_error, reason = "the interface calls its error that")]
pub(super) mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/inference/0.1.0",
        world: "meshhost:inference/imports",
        imports: { default: async | trappable },
        with: { "meshhost:inference/sessions.session": super::Session },
        require_store_data_send: true,
    });
}

/// The functions' names in records.
const OPEN: &str = "meshhost:inference/sessions#session.open";
const DESCRIBE: &str = "meshhost:inference/sessions#session.describe";
const RUN: &str = "meshhost:inference/sessions#session.run";
const FILE: &str = "meshhost:inference/sessions#session.file";

/// What a function answers, or what ends the call.
type Answer<T> = wasmtime::Result<Result<T, sessions::Error>>;

/// Links `meshhost:inference`.
///
/// # Errors
/// When the names are linked already.
pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    sessions::add_to_linker::<_, Imports>(linker, View::of)?;
    text_interface::add_to_linker::<_, Imports>(linker, View::of)
}

/// A model that the guest has opened. It names the model's bytes: when the operator gives the name
/// to another model, an open session stays with its own.
#[derive(Debug, Clone)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Session {
    name: Arc<str>,
    model: Digest,
}

impl Context {
    /// Opens a model by name.
    pub(super) async fn session(
        &self,
        name: String,
        function: &str,
    ) -> Result<Session, InferenceError> {
        let model = self.model(&name, function).await?;
        Ok(Session { name: name.into(), model })
    }

    /// Finds the model that the guest names, when it may use it.
    async fn model(&self, name: &str, function: &str) -> Result<Digest, InferenceError> {
        self.check_granted(name, function)?;
        let found = self.shared.ports.model_names.digest_of(name).await;
        found.ok_or_else(|| not_found(name))
    }

    /// Whether the model is granted now: a revoked grant ends the use of an open session too.
    fn check_granted(&self, name: &str, function: &str) -> Result<(), InferenceError> {
        if self.rules().grants.models.iter().any(|granted| granted == name) {
            return Ok(());
        }
        let permission =
            meshhost_core::permission::is_model_name(name).then(|| format!("model={name}"));
        self.record.deny(permission, function, name);
        Err(not_found(name))
    }

    fn inference_caller(&self) -> InferenceCaller {
        let quota = InferenceQuota::of(&self.call.limits);
        InferenceCaller { plugin: self.call.plugin.clone(), quota }
    }

    async fn describe(&self, session: &Session) -> Result<Arc<Description>, InferenceError> {
        self.check_granted(&session.name, DESCRIBE)?;
        let caller = self.inference_caller();
        self.shared.ports.inference.describe(&caller, &session.model).await
    }

    /// Runs a model that is granted still, and counts it.
    pub(super) async fn run_model(
        &self,
        session: &Session,
        function: &str,
        inputs: Vec<Tensor>,
        outputs: Vec<String>,
    ) -> Result<Vec<Tensor>, InferenceError> {
        self.check_granted(&session.name, function)?;
        let caller = self.inference_caller();
        let run = self.shared.ports.inference.run(&caller, &session.model, inputs, outputs);
        let (outputs, report) = run.await?;
        self.record.ran(&report);
        Ok(outputs)
    }

    async fn run_session(
        &self,
        session: &Session,
        inputs: Vec<sessions::Tensor>,
        outputs: Vec<String>,
    ) -> Result<Vec<sessions::Tensor>, InferenceError> {
        let inputs = tensors::read(inputs, self.call.limits.tensor_bytes)?;
        let outputs = self.run_model(session, RUN, inputs, outputs).await?;
        Ok(outputs.into_iter().map(tensors::write).collect())
    }

    async fn model_file(&self, session: &Session, name: &str) -> Result<Vec<u8>, InferenceError> {
        self.check_granted(&session.name, FILE)?;
        let caller = self.inference_caller();
        let bytes = self.shared.ports.inference.file(&caller, &session.model, name).await?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            let message = "the file is larger than 32 MiB";
            return Err(InferenceError::new(InferenceErrorCode::TooLarge, message));
        }
        Ok(bytes)
    }
}

fn not_found(name: &str) -> InferenceError {
    let message = format!(
        "no model `{name}` is granted to this plugin and present on this node; \
         `meshhost model add {name} --from PATH` adds one"
    );
    InferenceError::new(InferenceErrorCode::NotFound, &message)
}

/// What the guest is told.
fn told(error: InferenceError) -> sessions::Error {
    let code = match error.code {
        InferenceErrorCode::NotFound => ErrorCode::NotFound,
        InferenceErrorCode::InvalidArgument => ErrorCode::InvalidArgument,
        InferenceErrorCode::TooLarge => ErrorCode::TooLarge,
        InferenceErrorCode::Busy => ErrorCode::Busy,
        InferenceErrorCode::Quota => ErrorCode::Quota,
        InferenceErrorCode::Failed => ErrorCode::Failed,
        InferenceErrorCode::Unavailable => ErrorCode::Unavailable,
        InferenceErrorCode::Cancelled => ErrorCode::Cancelled,
    };
    sessions::Error { code, message: error.message }
}

impl sessions::Host for View<'_> {}

impl sessions::HostSession for View<'_> {
    async fn open(&mut self, model: String) -> Answer<Resource<Session>> {
        match self.context.session(model, OPEN).await {
            Ok(session) => Ok(Ok(self.table.push(session)?)),
            Err(error) => Ok(Err(told(error))),
        }
    }

    async fn describe(&mut self, session: Resource<Session>) -> Answer<sessions::Description> {
        let session = self.table.get(&session)?.clone();
        let described = self.context.describe(&session).await;
        Ok(described.map(|description| tensors::describe(&description)).map_err(told))
    }

    async fn run(
        &mut self,
        session: Resource<Session>,
        inputs: Vec<sessions::Tensor>,
        outputs: Vec<String>,
    ) -> Answer<Vec<sessions::Tensor>> {
        let session = self.table.get(&session)?.clone();
        if inputs.len() > TENSORS_MAX || outputs.len() > TENSORS_MAX {
            let message = format!("a run takes and gives at most {TENSORS_MAX} tensors");
            return Ok(Err(told(InferenceError::new(InferenceErrorCode::TooLarge, &message))));
        }
        let mut held = self.context.record.charge_buffer(tensors::bytes(&inputs))?;
        let answer = self.context.run_session(&session, inputs, outputs).await;
        if let Ok(outputs) = &answer {
            held.grow(tensors::bytes(outputs))?;
        }
        Ok(answer.map_err(told))
    }

    async fn file(&mut self, session: Resource<Session>, name: String) -> Answer<Vec<u8>> {
        let session = self.table.get(&session)?.clone();
        let answer = self.context.model_file(&session, &name).await;
        if let Ok(bytes) = &answer {
            drop(self.context.record.charge_buffer(bytes.len() as u64)?);
        }
        Ok(answer.map_err(told))
    }

    async fn drop(&mut self, session: Resource<Session>) -> wasmtime::Result<()> {
        self.table.delete(session)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
