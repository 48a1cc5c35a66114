//! One call from its input to its output.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};

use futures::FutureExt;
use meshhost_core::{
    code::Code,
    limits::{Limits, Usage},
    outcome::{Outcome, Refusal},
};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use wasmtime::{AsContextMut, CallHook, Store, component::Val};

use super::{
    Executed, Request, TrapPhase,
    deadline::Deadline,
    ending::{self, Ended, Ending},
};
use crate::{
    convert::{
        ConvertedOutput, InputRules, OutputRules, UnknownInput, command_input, command_output,
        lift, lower,
    },
    engine::YIELD_FUEL,
    imports::blob::handles::{BlobTable, InputBlobs, save},
    load::{Function, Loaded, Runtime},
    state::{Call, HostState, Shared},
};

/// One call, ready to run.
pub(super) struct Run {
    engine: wasmtime::Engine,
    shared: Arc<Shared>,
    call: Arc<Call>,
    request: Request,
    deadline: Deadline,
    is_command: bool,
}

/// How a call went, for the caller and for the runtime.
pub(super) struct Performed {
    pub(super) executed: Executed,
    pub(super) pool_exhausted: bool,
}

impl Run {
    /// Prepares the call.
    ///
    /// # Errors
    /// When the component does not have the function, or the input of a command is not one.
    pub(super) fn new(
        runtime: &Runtime,
        mut request: Request,
        started: Instant,
        deadline: Deadline,
    ) -> Result<Self, Refusal> {
        let function = function_of(&request.execution.loaded, &request)?;
        let is_command = function.is_command;
        let command = match request.execution.command.take() {
            None if is_command => Some(
                command_input(&request.invocation.input)
                    .map_err(|error| Refusal::new(error.code, error.message))?,
            ),
            given => given,
        };
        let call = Arc::new(Call {
            invocation: Arc::clone(&request.invocation),
            plugin: request.plugin.clone(),
            limits: request.limits,
            grants: Arc::clone(&request.execution.grants),
            blobs: Arc::clone(&request.execution.blobs),
            command: command.map(Arc::new),
            started,
            started_us: runtime.shared.ports.clock.now_us(),
        });
        let (engine, shared) = (runtime.engine.clone(), Arc::clone(&runtime.shared));
        Ok(Self { engine, shared, call, request, deadline, is_command })
    }

    /// Runs the call and gives `places` back when its store is gone.
    pub(super) async fn perform(self, places: OwnedSemaphorePermit) -> Performed {
        if converts_much(&self.call.limits) {
            return self.perform_aside(places).await;
        }
        let performed = self.drive().await;
        drop(places);
        performed
    }

    /// The same on a thread that may block, for calls whose values are so large that converting
    /// them would hold up the executor: wasmtime does it in one piece.
    async fn perform_aside(self, places: OwnedSemaphorePermit) -> Performed {
        // Dropping this future drops `wanted`, which ends the call at its next yield.
        let (wanted, unwanted) = oneshot::channel::<()>();
        let executor = tokio::runtime::Handle::current();
        let aside = tokio::task::spawn_blocking(move || {
            executor.block_on(async move {
                let performed = tokio::select! {
                    biased;
                    _ = unwanted => None,
                    performed = self.drive() => Some(performed),
                };
                drop(places);
                performed
            })
        });
        let performed = aside.await.ok().flatten();
        drop(wanted);
        performed.unwrap_or_else(|| {
            let refusal = Refusal::new(Code::HostFault, "the call's thread was lost");
            Performed { executed: Executed::of(Outcome::Failure(refusal)), pool_exhausted: false }
        })
    }

    async fn drive(self) -> Performed {
        let mut store = self.store();
        let work = AssertUnwindSafe(self.call(&mut store)).catch_unwind();
        let ended = work.await.unwrap_or(Err(Ended::Panic));
        self.performed(&mut store, ended)
    }

    /// A fresh store: it cannot be made without every limit of the call.
    fn store(&self) -> Store<HostState> {
        let limits = self.call.limits;
        let state = HostState::new(Arc::clone(&self.call), &self.shared);
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(usize::try_from(limits.hostcall_fuel).unwrap_or(usize::MAX));
        store.set_max_component_handles(usize::try_from(limits.handles).unwrap_or(usize::MAX));
        store.call_hook(|store, hook| match hook {
            CallHook::ReturningFromHost => Ok(store.data().check_host_calls()?),
            _ => Ok(()),
        });
        store
    }

    async fn call(&self, store: &mut Store<HostState>) -> Result<ConvertedOutput, Ended> {
        let limits = &self.call.limits;
        let fuel = store.set_fuel(limits.fuel);
        fuel.and_then(|()| store.fuel_async_yield_interval(Some(YIELD_FUEL)))
            .map_err(|error| Ended::trap(TrapPhase::Start, error))?;

        let function =
            function_of(&self.request.execution.loaded, &self.request).map_err(Ended::Refused)?;
        let (inputs, arguments) = self.lower(store, function).await?;

        let prepared = &self.request.execution.loaded.prepared;
        let instance = self.deadline.bound(prepared.instantiate_async(&mut *store)).await;
        let instance = instance
            .map_err(|_| Ended::Deadline)?
            .map_err(|error| Ended::trap(TrapPhase::Start, error))?;
        let entry = instance.get_func(&mut *store, function.index).ok_or(Ended::Panic)?;

        let mut results = vec![Val::Bool(false); function.ty.results().len()];
        let called = self.deadline.bound(entry.call_async(&mut *store, &arguments, &mut results));
        called
            .await
            .map_err(|_| Ended::Deadline)?
            .map_err(|error| Ended::trap(TrapPhase::Call, error))?;

        if self.is_command {
            let failed = matches!(results.as_slice(), [Val::Result(Err(_))]);
            return Err(Ended::Exit(u8::from(failed)));
        }
        self.lift(store, function, &inputs, &results).await
    }

    /// The arguments from the input, with the blobs that it names.
    async fn lower(
        &self,
        store: &mut Store<HostState>,
        function: &Function,
    ) -> Result<(InputBlobs, Vec<Val>), Ended> {
        if self.is_command {
            return Ok((InputBlobs::default(), Vec::new()));
        }
        let list_bytes = self.call.limits.list_bytes;
        // The gate has judged unknown keys by the manifest; none that remains is an error here.
        let rules = InputRules { unknown: UnknownInput::Ignore, list_bytes };
        let input = &self.call.invocation.input;
        let read = InputBlobs::read(&self.call.blobs, input, list_bytes);
        let inputs = self.deadline.bound(read).await.map_err(|_| Ended::Deadline)?;
        let inputs = inputs.map_err(Ended::Input)?;
        let mut blobs = BlobTable::new(store.as_context_mut(), &inputs);
        let arguments = lower(input, &function.ty, &rules, &mut blobs).map_err(Ended::Input)?;
        drop(blobs);
        Ok((inputs, arguments))
    }

    /// The output from what the function returned, its blobs kept by the node.
    async fn lift(
        &self,
        store: &mut Store<HostState>,
        function: &Function,
        inputs: &InputBlobs,
        results: &[Val],
    ) -> Result<ConvertedOutput, Ended> {
        let Limits { output_bytes, list_bytes, .. } = self.call.limits;
        let rules = OutputRules { output_bytes, list_bytes };
        let mut blobs = BlobTable::new(store.as_context_mut(), inputs);
        let output = lift(results, &function.ty, &rules, &mut blobs).map_err(Ended::Output)?;
        let unsaved = blobs.finish();
        if !unsaved.is_empty() {
            let saved = self.deadline.bound(save(&self.call.blobs, unsaved)).await;
            saved.map_err(|_| Ended::Deadline)?.map_err(Ended::Output)?;
        }
        Ok(output)
    }

    fn performed(
        &self,
        store: &mut Store<HostState>,
        ended: Result<ConvertedOutput, Ended>,
    ) -> Performed {
        let fuel = self.call.limits.fuel.saturating_sub(store.get_fuel().unwrap_or(0));
        let state = store.data();
        let record = Arc::clone(state.record());
        let mut usage = Usage {
            fuel,
            wall_us: u64::try_from(self.call.started.elapsed().as_micros()).unwrap_or(u64::MAX),
            memory_bytes: state.limiter.memory_bytes_peak(),
            host_calls: state.host_calls(),
            ..Usage::default()
        };
        let taken = record.take();
        usage.log_bytes = taken.log_bytes;
        let mut trapped = None;
        let mut pool_exhausted = false;
        let outcome = match ended {
            Ok(ConvertedOutput { returned, bytes }) => {
                usage.output_bytes = bytes;
                ending::returned(returned)
            }
            Err(ended) => match ending::interpret(ended, &record) {
                Ending::Exit(code) => {
                    usage.output_bytes = taken.stdout.len() as u64;
                    ending::exited(code, command_output(code, taken.stdout))
                }
                Ending::Outcome { outcome, phase } => {
                    trapped = phase;
                    outcome
                }
                Ending::PoolExhausted(outcome) => {
                    pool_exhausted = true;
                    outcome
                }
            },
        };
        let executed = Executed { outcome, usage, denied: taken.denied, log: taken.log, trapped };
        Performed { executed, pool_exhausted }
    }
}

/// Whether the limits allow values that are too large to convert on the executor.
fn converts_much(limits: &Limits) -> bool {
    let usual = Limits::DEFAULT;
    limits.list_bytes > usual.list_bytes || limits.hostcall_fuel > usual.hostcall_fuel
}

fn function_of<'a>(loaded: &'a Loaded, request: &Request) -> Result<&'a Function, Refusal> {
    loaded.function(&request.capability.export).ok_or_else(|| {
        let message = format!("the component does not export {}", request.capability.id);
        Refusal::new(Code::CapabilityNotFound, message)
    })
}
