//! The runtime without a node: components from the code cache, and permits that the gates made.

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context as _, anyhow};
use meshhost::sys::{SystemClock, SystemEntropy};
use meshhost_core::{
    capability::Capability,
    gates::{self, Budget, Decision, Facts, InputChecks, Provider, ServingState, Spent},
    grant::EffectiveGrants,
    id::{Digest, PluginName},
    invocation::{EntranceKind, Invocation, Mode, Scope, Subject},
    limits::Limits,
    outcome::Refusal,
    permit::Permit,
};
use meshhost_runtime::{
    cache::CodeCache,
    compile,
    convert::{InputRules, UnknownInput},
    execute::Execution,
    inspect::inspect,
    live::LiveGrants,
    load::{Loaded, Ports, Runtime, RuntimeConfig},
};
use serde_json::Value;

use crate::nothing::Nothing;

/// Instance slots: as many as a node has by default.
const SIZES: RuntimeConfig = RuntimeConfig { instances: 32, file_threads: 4 };

/// Compiled components and the runtimes that load them.
#[derive(Debug)]
pub(crate) struct Workbench {
    cache: CodeCache,
    _folder: tempfile::TempDir,
}

/// A component with one of its functions chosen.
#[derive(Debug)]
pub(crate) struct Subjected {
    pub(crate) digest: Digest,
    pub(crate) provider: Provider,
    pub(crate) invocation: Arc<Invocation>,
}

impl Workbench {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let cache = CodeCache { folder: folder.path().to_owned(), key: [7; 32] };
        Ok(Self { cache, _folder: folder })
    }

    /// Compiles a component and chooses its function, called with `input`.
    pub(crate) fn compile(
        &self,
        bytes: &[u8],
        name: &str,
        function: &str,
        input: Value,
    ) -> anyhow::Result<Subjected> {
        let inspection = inspect(bytes, name)?;
        let capability = inspection
            .capabilities
            .into_iter()
            .find(|capability| capability.export.function == function)
            .with_context(|| format!("{name} has no function {function}"))?;
        let code = compile::compile(bytes)?;
        self.cache.put(&inspection.digest, inspection.engine.kind, &code)?;
        let plugin: PluginName = name.parse()?;
        let invocation = Arc::new(invocation(&capability, input)?);
        let provider = Provider {
            plugin,
            component: inspection.digest,
            capability: Arc::new(capability),
            modes: vec![Mode::Sync],
            risk: meshhost_core::capability::Risk::Low,
            budget: Budget::default(),
            approval_required: false,
            limits: Limits::DEFAULT,
        };
        Ok(Subjected { digest: inspection.digest, provider, invocation })
    }

    /// The runtime as a node has it.
    pub(crate) fn runtime() -> anyhow::Result<Arc<Runtime>> {
        Ok(Runtime::new(SIZES, ports())?)
    }

    /// The runtime on wasmtime's pool without tuning.
    pub(crate) fn stock_runtime() -> anyhow::Result<Arc<Runtime>> {
        Ok(Runtime::with_stock_pool(SIZES, ports())?)
    }

    /// Loads what was compiled.
    pub(crate) fn load(&self, runtime: &Runtime, digest: &Digest) -> anyhow::Result<Arc<Loaded>> {
        runtime
            .load(digest, &[], &self.cache)?
            .context("the code cache does not have the component")
    }
}

impl Subjected {
    /// The permit for the call, from the gates.
    pub(crate) fn permit(&self, loaded: &Arc<Loaded>) -> anyhow::Result<Permit> {
        self.decide(&Checks::new(self, loaded))
    }

    /// As a node decides it, on a snapshot.
    pub(crate) fn decide(&self, checks: &Checks) -> anyhow::Result<Permit> {
        let facts = Facts { state: ServingState::Serving, spent: Spent::default() };
        match gates::decide(&self.invocation, &self.provider, facts, checks) {
            Decision::Permit(permit) => Ok(*permit),
            Decision::Denied(_, refusal) | Decision::Skipped(_, refusal) => {
                Err(anyhow!("the gates refused: {}", refusal.message))
            }
        }
    }
}

/// What a call needs besides its permit: no blobs, and nothing granted but random numbers, without
/// which Python does not start.
pub(crate) fn execution(loaded: &Arc<Loaded>) -> Execution {
    let granted = EffectiveGrants { random: true, ..EffectiveGrants::default() };
    let (grants, _) = LiveGrants::open(&granted, Arc::default());
    let blobs = Arc::new(Nothing);
    Execution { loaded: Arc::clone(loaded), grants, blobs, command: None, items: None }
}

/// The input checks of a node: the component's own types.
#[derive(Debug)]
pub(crate) struct Checks {
    loaded: Arc<Loaded>,
    capability: Arc<Capability>,
}

impl Checks {
    pub(crate) fn new(subject: &Subjected, loaded: &Arc<Loaded>) -> Self {
        let capability = Arc::clone(&subject.provider.capability);
        Self { loaded: Arc::clone(loaded), capability }
    }
}

impl InputChecks for Checks {
    fn invariants(&self, _: &Value) -> Result<(), Refusal> {
        Ok(())
    }

    fn schema(&self, input: &Value) -> Result<(), Refusal> {
        let list_bytes = Limits::DEFAULT.list_bytes;
        let rules = InputRules { unknown: UnknownInput::Refuse, list_bytes };
        let checked = self.loaded.check_input(&self.capability.export, input, &rules);
        checked.map_err(|error| Refusal::new(error.code, error.message))
    }
}

/// A component that `cargo xtask guests` built.
pub(crate) fn guest(name: &str) -> anyhow::Result<Vec<u8>> {
    let path = guest_path(name);
    std::fs::read(&path)
        .with_context(|| format!("{name}.wasm is missing: run `cargo xtask guests`"))
}

/// Where it is.
pub(crate) fn guest_path(name: &str) -> PathBuf {
    home_of_guests().join(format!("{name}.wasm"))
}

fn home_of_guests() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/guests")
}

fn invocation(capability: &Capability, input: Value) -> anyhow::Result<Invocation> {
    Ok(Invocation {
        invocation_id: "bench".parse()?,
        correlation_id: "bench".parse()?,
        causation_id: None,
        capability: capability.id.clone(),
        version: None,
        type_hash: None,
        plugin: None,
        subject: Subject { id: "local:bench".into(), kind: "user".into(), verified: true },
        asserted_caller: None,
        entrance: EntranceKind::CommandLine,
        scope: Scope::owner(),
        mode: Mode::Sync,
        input,
        timeout_ms: None,
        fuel: None,
        output_bytes: None,
        depth: 1,
        chain: Vec::new(),
        hops: Vec::new(),
        working_folder: None,
    })
}

fn ports() -> Ports {
    let nothing = Arc::new(Nothing);
    Ports {
        key_values: nothing.clone(),
        index: nothing.clone(),
        invoker: nothing.clone(),
        model_names: nothing.clone(),
        inference: nothing,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
    }
}
