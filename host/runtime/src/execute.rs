//! Runs one permitted call in a fresh instance: the only module that interprets a trap.

use std::sync::Arc;

use meshhost_core::{
    limits::Usage,
    outcome::{DeniedAccess, Outcome, Refusal},
    permit::Permit,
};

use crate::{
    live::LiveGrants,
    load::{Loaded, Runtime},
};

/// What a call needs besides its permit.
#[derive(Debug)]
pub struct Execution {
    /// The component.
    pub loaded: Arc<Loaded>,
    /// The plugin's grants, live.
    pub grants: Arc<LiveGrants>,
    /// Standard input, arguments: only for `<plugin>.run`.
    pub command: Option<CommandInput>,
}

/// What a command (`wasi:cli/run`) gets.
#[derive(Debug, Clone, Default)]
pub struct CommandInput {
    /// Arguments after the program's name.
    pub arguments: Vec<String>,
    /// Standard input, whole.
    pub stdin: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub struct Executed {
    /// Success, failure or indeterminate.
    pub outcome: Outcome,
    /// What it used.
    pub usage: Usage,
    /// What was denied, once per permission.
    pub denied: Vec<DeniedAccess>,
    /// Log lines within the limit.
    pub log: Vec<String>,
    /// Whether it trapped (counts towards quarantine), and whether already at start.
    pub trapped: Option<TrapPhase>,
}

/// When a trap happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrapPhase {
    /// Before the exported function was entered.
    Start,
    /// In the exported function.
    Call,
}

impl Runtime {
    /// Runs the permitted call. Dropping the future cancels the guest; its store is thrown away.
    pub async fn execute(&self, permit: &Permit, execution: Execution) -> Executed {
        let _ = (permit, execution);
        std::future::ready(()).await;
        Executed {
            outcome: Outcome::Failure(Refusal::new(
                meshhost_core::code::Code::HostFault,
                "not built yet",
            )),
            usage: Usage::default(),
            denied: Vec::new(),
            log: Vec::new(),
            trapped: None,
        }
    }
}
