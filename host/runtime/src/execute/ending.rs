//! How a call ended: the only place that interprets a trap.
//!
//! wasmtime's errors do not tell limits apart, so each limit leaves a mark in the call's record
//! before it refuses, and the mark is read here first, except where the trap names its own cause
//! (fuel, stack) or carries a [`Stop`].

use meshhost_core::{
    code::Code,
    limits::LimitKind,
    outcome::{Outcome, Refusal},
};
use serde_json::Value;
use wasmtime::{PoolConcurrencyLimitError, Trap, component::ResourceTableError};

use super::TrapPhase;
use crate::{
    convert::{ConvertError, Returned},
    state::{CallRecord, Stop},
};

/// Why a call has no output.
#[derive(Debug)]
pub(super) enum Ended {
    /// It cannot begin.
    Refused(Refusal),
    /// The input does not fit.
    Input(ConvertError),
    /// The output has no JSON form, or is too large.
    Output(ConvertError),
    /// The guest trapped, or something in the store ended it.
    Trap { phase: TrapPhase, error: wasmtime::Error },
    /// The deadline passed.
    Deadline,
    /// A command ended with this code.
    Exit(u8),
    /// The host itself failed.
    Panic,
}

impl Ended {
    pub(super) const fn trap(phase: TrapPhase, error: wasmtime::Error) -> Self {
        Self::Trap { phase, error }
    }
}

/// What that means.
#[derive(Debug)]
pub(super) enum Ending {
    /// A command ended with this code.
    Exit(u8),
    /// The outcome, and when the guest trapped, if it did.
    Outcome { outcome: Outcome, phase: Option<TrapPhase> },
    /// The pool had no slot although places were held: a defect of this crate.
    PoolExhausted(Outcome),
}

/// The outcome of a function that returned.
pub(super) fn returned(returned: Returned) -> Outcome {
    match returned {
        Returned::Output(output) => Outcome::Success(output),
        Returned::PluginError(data) => {
            let refusal = Refusal::new(Code::PluginFailure, "the plugin answered with an error");
            Outcome::Failure(refusal.with_details(data))
        }
    }
}

/// The outcome of a command that ended with `code`.
pub(super) fn exited(code: u8, output: Value) -> Outcome {
    if code == 0 {
        return Outcome::Success(output);
    }
    let message = format!("the command ended with exit code {code}");
    Outcome::Failure(Refusal::new(Code::PluginFailure, message).with_details(output))
}

/// What `ended` means for a call with this record.
pub(super) fn interpret(ended: Ended, record: &CallRecord) -> Ending {
    let (refusal, phase) = match ended {
        Ended::Exit(code) => return Ending::Exit(code),
        Ended::Refused(refusal) => return plain(Outcome::Denied(refusal)),
        Ended::Input(error) => {
            return plain(Outcome::Denied(Refusal::new(error.code, error.message)));
        }
        Ended::Output(error) => (Refusal::new(error.code, error.message), None),
        Ended::Deadline => (limit_refusal(LimitKind::Deadline), None),
        Ended::Panic => (host_fault(), None),
        Ended::Trap { phase, error } => match trap(&error, record) {
            Told::Exit(code) => return Ending::Exit(code),
            Told::PoolExhausted => {
                let refusal = Refusal::new(Code::Busy, "the node has no free instance slot");
                return Ending::PoolExhausted(Outcome::Denied(refusal));
            }
            Told::Guest(refusal) => (refusal, Some(phase)),
        },
    };
    if record.effect_in_flight() {
        let message =
            format!("a write or a request was in flight when the call ended: {}", refusal.message);
        let refusal = Refusal { code: Code::Indeterminate, message, ..refusal };
        return Ending::Outcome { outcome: Outcome::Indeterminate(refusal), phase };
    }
    Ending::Outcome { outcome: Outcome::Failure(refusal), phase }
}

const fn plain(outcome: Outcome) -> Ending {
    Ending::Outcome { outcome, phase: None }
}

/// Whose doing a trap is.
enum Told {
    Exit(u8),
    PoolExhausted,
    Guest(Refusal),
}

fn trap(error: &wasmtime::Error, record: &CallRecord) -> Told {
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return match stop {
            Stop::Exit(code) => Told::Exit(*code),
            Stop::Limit(limit) => Told::Guest(limit_refusal(*limit)),
            Stop::NotAnswered(reason) => Told::Guest(Refusal::new(
                Code::Trap,
                format!("a plugin that this one called did not answer: {reason}"),
            )),
            Stop::Denied => Told::Guest(Refusal::new(
                Code::PermissionDenied,
                "the plugin used something that it was not granted and that has no way to say so",
            )),
        };
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return Told::PoolExhausted;
    }
    let own = match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => Some(LimitKind::Fuel),
        Some(Trap::StackOverflow) => Some(LimitKind::Recursion),
        _ => untyped_limit(error),
    };
    if let Some(limit) = own.or_else(|| record.limit_reached()) {
        return Told::Guest(limit_refusal(limit));
    }
    // A trap is told by its kind. Anything else names what the guest passed wrongly; only the
    // kind of error is ours to say, not text that may quote the guest.
    let message = match error.downcast_ref::<Trap>() {
        Some(trap) => format!("the plugin trapped: {trap}"),
        None => "the plugin trapped: it broke a rule of the component model".to_owned(),
    };
    Told::Guest(Refusal::new(Code::Trap, message))
}

/// Limits that wasmtime enforces itself and tells only in words; a test holds each of them.
fn untyped_limit(error: &wasmtime::Error) -> Option<LimitKind> {
    if matches!(error.downcast_ref::<ResourceTableError>(), Some(ResourceTableError::Full)) {
        return Some(LimitKind::Handles);
    }
    let words = error.root_cause().to_string();
    let table = [
        ("fuel allocated for hostcalls has been exhausted", LimitKind::HostMemory),
        ("store handle limit exceeded", LimitKind::Handles),
        ("resource limit exceeded: instance count", LimitKind::Instances),
        ("resource limit exceeded: table count", LimitKind::Table),
        ("resource limit exceeded: memory count", LimitKind::Memory),
    ];
    table.iter().find(|(part, _)| words.contains(part)).map(|(_, limit)| *limit)
}

fn host_fault() -> Refusal {
    Refusal::new(Code::HostFault, "the host failed during the call; the node's log says more")
}

/// The refusal for a limit.
fn limit_refusal(limit: LimitKind) -> Refusal {
    let code = match limit {
        LimitKind::Memory => Code::LimitMemory,
        LimitKind::Table => Code::LimitTable,
        LimitKind::Instances => Code::LimitInstances,
        LimitKind::Fuel => Code::LimitFuel,
        LimitKind::Deadline => Code::LimitDeadline,
        LimitKind::Recursion => Code::LimitRecursion,
        LimitKind::HostMemory => Code::LimitHostMemory,
        LimitKind::Handles => Code::LimitHandles,
        LimitKind::HostCalls => Code::LimitHostCalls,
        LimitKind::Output => Code::LimitOutput,
        LimitKind::ListBytes => Code::LimitList,
        LimitKind::Concurrency => Code::Busy,
        LimitKind::CallDepth => Code::LimitCallDepth,
        LimitKind::KeyValueBytes => Code::LimitKeyValue,
        LimitKind::IndexBytes => Code::LimitIndex,
        LimitKind::BlobBytes => Code::LimitBlob,
    };
    Refusal::new(code, code.info().title)
}
