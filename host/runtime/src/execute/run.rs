//! One call from its input to its output.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};

use futures::FutureExt;
use meshhost_core::{
    code::Code,
    limits::{Limits, Usage},
    outcome::{Outcome, Refusal},
};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use wasmtime::{
    AsContextMut, CallHook, Store, StoreContextMut,
    component::{Instance, ResourceAny, Val},
};

use super::{
    Executed, Request, TrapPhase,
    deadline::Deadline,
    ending::{self, Ended, Ending},
    received::{Kept, bound_entries, receive},
};
use crate::{
    aside::{self, is_large_input, is_large_output},
    convert::{
        ConvertedOutput, InputRules, OutputRules, UnknownInput, command_input, command_output,
        lift, lower,
    },
    engine::{EngineKind, YIELD_FUEL},
    imports::blob::handles::{BlobTable, InputBlobs, save, take_back},
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

/// A store, the instance in it once it has one, and the places of the pool that they take.
pub(crate) struct Room {
    store: Store<HostState>,
    instance: Option<Instance>,
    /// Given back after the store is gone: fields are dropped in this order.
    _places: OwnedSemaphorePermit,
}

impl Room {
    /// Gives back what belonged to the call that has ended.
    pub(crate) fn end_call(&mut self) {
        self.store.data_mut().end_call();
    }
}

/// How a call went, for the caller and for the runtime.
pub(super) struct Performed {
    pub(super) executed: Executed,
    pub(super) pool_exhausted: bool,
    /// The store, when it may serve another call: the function returned, or nothing of it ran.
    pub(super) room: Option<Room>,
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
            invocation: Arc::clone(&request.parent),
            plugin: request.plugin.clone(),
            limits: request.limits,
            grants: Arc::clone(&request.execution.grants),
            blobs: Arc::clone(&request.execution.blobs),
            command: command.map(Arc::new),
            started,
            started_us: runtime.shared.ports.clock.now_us(),
        });
        let engine = request.execution.loaded.prepared.engine().clone();
        let shared = Arc::clone(&runtime.shared);
        Ok(Self { engine, shared, call, request, deadline, is_command })
    }

    /// A fresh store: it cannot be made without every limit of the call.
    pub(super) fn fresh_room(&self, places: OwnedSemaphorePermit) -> Room {
        let limits = self.call.limits;
        let state = HostState::new(Arc::clone(&self.call), &self.shared);
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(usize::try_from(limits.hostcall_fuel).unwrap_or(usize::MAX));
        store.set_max_component_handles(usize::try_from(limits.handles).unwrap_or(usize::MAX));
        bound_entries(&mut store);
        store.call_hook(|mut store, hook| match hook {
            CallHook::CallingHost => note_fuel(&store),
            CallHook::ReturningFromHost => {
                store.data().check_host_calls()?;
                cut_fuel(&mut store)
            }
            _ => Ok(()),
        });
        Room { store, instance: None, _places: places }
    }

    /// Makes a store that has served another call ready for this one.
    pub(super) fn enter(&self, room: &mut Room) {
        room.store.data_mut().begin_call(Arc::clone(&self.call), &self.shared);
    }

    /// Runs the call in `room`.
    pub(super) async fn perform(self, room: Room) -> Performed {
        if converts_much(&self.call.limits) || is_large_input(&self.request.invocation.input) {
            return self.perform_aside(room).await;
        }
        self.drive(room).await
    }

    /// The same on a thread that may block, for calls whose values are or may be so large that
    /// converting them would hold up the executor: wasmtime does it in one piece. What the usual
    /// limits let a function return takes wasmtime 10 ms; our part of that is done aside too.
    async fn perform_aside(self, room: Room) -> Performed {
        // Dropping this future drops `wanted`, which ends the call at its next yield.
        let (wanted, unwanted) = oneshot::channel::<()>();
        let executor = tokio::runtime::Handle::current();
        let aside = tokio::task::spawn_blocking(move || {
            executor.block_on(async move {
                tokio::select! {
                    biased;
                    _ = unwanted => None,
                    performed = self.drive(room) => Some(performed),
                }
            })
        });
        let performed = aside.await.ok().flatten();
        drop(wanted);
        performed.unwrap_or_else(|| {
            let refusal = Refusal::new(Code::HostFault, "the call's thread was lost");
            let executed = Executed::of(Outcome::Failure(refusal));
            Performed { executed, pool_exhausted: false, room: None }
        })
    }

    async fn drive(self, mut room: Room) -> Performed {
        let work = AssertUnwindSafe(self.call(&mut room)).catch_unwind();
        let ended = work.await.unwrap_or(Err(Ended::Panic));
        let usable = matches!(ended, Ok(_) | Err(Ended::Refused(_) | Ended::Input(_)));
        let performed = self.performed(&mut room.store, ended);
        let room = (usable && room.instance.is_some()).then_some(room);
        Performed { room, ..performed }
    }

    async fn call(&self, room: &mut Room) -> Result<ConvertedOutput, Ended> {
        let store = &mut room.store;
        let limits = &self.call.limits;
        store.data().record().fuel().begin(limits.fuel);
        let fuel = store.set_fuel(limits.fuel);
        fuel.and_then(|()| store.fuel_async_yield_interval(Some(YIELD_FUEL)))
            .map_err(|error| Ended::trap(TrapPhase::Start, error))?;

        let function =
            function_of(&self.request.execution.loaded, &self.request).map_err(Ended::Refused)?;
        let Lowered { inputs, arguments, lent } = self.lower(store, function).await?;

        let instance = match room.instance {
            Some(instance) => instance,
            None => self.instantiate(store).await?,
        };
        room.instance = Some(instance);
        let entry = instance.get_func(&mut *store, function.index).ok_or(Ended::Panic)?;

        let mut results = vec![Val::Bool(false); function.ty.results().len()];
        let called = self.deadline.bound(entry.call_async(&mut *store, &arguments, &mut results));
        called
            .await
            .map_err(|_| Ended::Deadline)?
            .map_err(|error| Ended::trap(TrapPhase::Call, error))?;
        let received = self.receive(store, &results).await?;
        take_back(store.as_context_mut(), lent);

        if self.is_command {
            let failed = matches!(results.as_slice(), [Val::Result(Err(_))]);
            return Err(Ended::Exit(u8::from(failed)));
        }
        self.lift(store, function, &inputs, &results, received).await
    }

    /// Lets a call of the second engine end: what it returned may still come, and what it began
    /// may still run.
    async fn receive(
        &self,
        store: &mut Store<HostState>,
        results: &[Val],
    ) -> Result<Vec<Kept>, Ended> {
        if self.request.execution.loaded.kind == EngineKind::Plain {
            return Ok(Vec::new());
        }
        let items = self.request.execution.items.as_ref();
        let received = receive(store, results, &self.call.limits, items);
        let received = self.deadline.bound(received).await;
        received.map_err(|_| Ended::Deadline)?.map_err(|error| Ended::trap(TrapPhase::Call, error))
    }

    async fn instantiate(&self, store: &mut Store<HostState>) -> Result<Instance, Ended> {
        let prepared = &self.request.execution.loaded.prepared;
        let instance = self.deadline.bound(prepared.instantiate_async(store)).await;
        instance.map_err(|_| Ended::Deadline)?.map_err(|error| Ended::trap(TrapPhase::Start, error))
    }

    /// The arguments from the input, with the blobs that it names.
    async fn lower(
        &self,
        store: &mut Store<HostState>,
        function: &Function,
    ) -> Result<Lowered, Ended> {
        if self.is_command {
            return Ok(Lowered::default());
        }
        let list_bytes = self.call.limits.list_bytes;
        // The gate has judged unknown keys by the manifest; none that remains is an error here.
        let rules = InputRules { unknown: UnknownInput::Ignore, list_bytes };
        let input = &self.request.invocation.input;
        let read = InputBlobs::read(&self.call.blobs, input, list_bytes);
        let inputs = self.deadline.bound(read).await.map_err(|_| Ended::Deadline)?;
        let inputs = inputs.map_err(Ended::Input)?;
        let mut blobs = BlobTable::new(store.as_context_mut(), &inputs);
        let lowered = lower(input, &function.ty, &rules, &mut blobs);
        let lent = blobs.into_lent();
        match lowered {
            Ok(arguments) => Ok(Lowered { inputs, arguments, lent }),
            Err(error) => {
                take_back(store.as_context_mut(), lent);
                Err(Ended::Input(error))
            }
        }
    }

    /// The output from what the function returned, its blobs kept by the node.
    async fn lift(
        &self,
        store: &mut Store<HostState>,
        function: &Function,
        inputs: &InputBlobs,
        results: &[Val],
        received: Vec<Kept>,
    ) -> Result<ConvertedOutput, Ended> {
        let (received, _held): (Vec<_>, Vec<_>) = received.into_iter().unzip();
        let Limits { output_bytes, list_bytes, .. } = self.call.limits;
        let rules = OutputRules { output_bytes, list_bytes };
        let mut blobs = BlobTable::new(store.as_context_mut(), inputs);
        let output = aside::convert(is_large_output(results), || {
            lift(results, received, &function.ty, &rules, &mut blobs)
        })
        .map_err(Ended::Output)?;
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
        let left = store.get_fuel().unwrap_or(0);
        let state = store.data();
        let record = Arc::clone(state.record());
        let fuel = record.fuel().used(left);
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
        let (denied, models, log) = (taken.denied, taken.models, taken.log);
        let executed = Executed { outcome, usage, denied, models, log, trapped, state_lost: false };
        Performed { executed, pool_exhausted, room: None }
    }
}

/// Notes what is left when the guest enters the host, where its caller bounds the fuel.
fn note_fuel(store: &StoreContextMut<'_, HostState>) -> wasmtime::Result<()> {
    if store.data().fuel_allowed().is_some() {
        store.data().record().fuel().enter(store.get_fuel()?);
    }
    Ok(())
}

/// Takes from the guest what calls below have used of what its caller allows.
fn cut_fuel(store: &mut StoreContextMut<'_, HostState>) -> wasmtime::Result<()> {
    let Some(allowed) = store.data().fuel_allowed() else { return Ok(()) };
    match store.data().record().fuel().cut(store.get_fuel()?, allowed) {
        Some(kept) => store.set_fuel(kept),
        None => Ok(()),
    }
}

/// The parameters of a call.
#[derive(Default)]
struct Lowered {
    inputs: InputBlobs,
    arguments: Vec<Val>,
    /// Handles that were made for the arguments.
    lent: Vec<ResourceAny>,
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
