//! Requests about models and what runs them.

use meshhost_core::outcome::Refusal;
use meshhost_inference::{LoadedModel, WorkerState};

use super::{Node, misrouted};
use crate::{
    api::{Reply, Request, RunningModel, RunningModels, Runtimes},
    blocking,
    entrance::Entrance,
    inference,
};

impl Node {
    /// Answers a request about models or what runs them.
    pub(super) async fn models(
        &self,
        entrance: &Entrance,
        request: Request,
    ) -> Result<Reply, Refusal> {
        match request {
            Request::ModelAdd { name, from } => {
                let added = self.models.add(entrance, name, from).await?;
                for one in &added {
                    // Also where nothing changed: the files may have been damaged before.
                    self.serving.forget(&one.model.digest);
                    if let Some(replaced) = &one.replaced {
                        self.serving.forget(replaced);
                    }
                }
                Ok(Reply::ModelsAdded(added))
            }
            Request::Models => {
                let models = self.models.catalogue().snapshot();
                Ok(Reply::Models(models.values().map(|model| (**model).clone()).collect()))
            }
            Request::Model { name } => {
                Ok(Reply::Model(Box::new((*self.models.model(&name)?).clone())))
            }
            Request::ModelRemove { name } => {
                let removed = self.models.remove(entrance, &name).await?;
                self.serving.forget(&removed.digest);
                Ok(Reply::Done)
            }
            Request::ModelVerify { name } => {
                Ok(Reply::ModelsVerified(self.models.verify(name.as_ref()).await?))
            }
            Request::ModelsRunning => Ok(Reply::ModelsRunning(self.running_models())),
            Request::Runtimes => Ok(Reply::Runtimes(self.engines().await?)),
            Request::RuntimeUse { engines } => {
                self.use_engines(entrance, engines).await?;
                Ok(Reply::Done)
            }
            Request::RuntimeInstall { from } => {
                let config = &self.config.inference;
                let settings = inference::settings(config, &self.store.directory.runtimes())?;
                let installed = self.runtimes.install(entrance, settings.program, from).await?;
                Ok(Reply::RuntimeInstalled(Box::new(installed)))
            }
            _ => Err(misrouted()),
        }
    }

    /// The engines that can run models here.
    pub(super) async fn engines(&self) -> Result<Runtimes, Refusal> {
        let config = &self.config.inference;
        let (settings, allowed) =
            (inference::settings(config, &self.store.directory.runtimes())?, config.engines);
        blocking::run(move || inference::runtimes(&settings, allowed)).await
    }

    fn running_models(&self) -> RunningModels {
        let models = self.serving.loaded().into_iter().map(|model| self.running(model)).collect();
        let (worker, process, engine, reason) = match self.serving.worker() {
            WorkerState::Absent(reason) => ("absent", None, None, reason),
            WorkerState::Starting => ("starting", None, None, None),
            WorkerState::Running { process, engine } => {
                ("running", Some(process), Some(engine.to_string()), None)
            }
        };
        RunningModels { worker: worker.to_owned(), process, engine, reason, models }
    }

    fn running(&self, loaded: LoadedModel) -> RunningModel {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        RunningModel {
            name: self.models.catalogue().find(&loaded.digest).map(|model| model.name.clone()),
            digest: loaded.digest,
            engine: loaded.engine.to_string(),
            provider: loaded.provider.to_string(),
            sessions: count(loaded.sessions),
            bytes: loaded.bytes,
            runs: loaded.runs,
            running: count(loaded.running),
            waiting: count(loaded.waiting),
        }
    }
}
