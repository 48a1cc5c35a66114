//! The worker's side: a process that parses and runs models for the node and does nothing else.
//! One thread reads what the node asks for and never waits for anything else; each session has a
//! thread of its own, which answers by itself.
//!
//! The worker trusts the node, not the models. Whatever goes wrong in a way that has no answer
//! ends the process: the node starts another one.

use std::{
    collections::HashMap,
    io,
    os::{fd::AsFd as _, unix::net::UnixStream},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{SyncSender, sync_channel},
    },
    thread,
};

use meshhost_core::inference::{InferenceError, InferenceErrorCode};

use crate::{
    descriptors,
    engine::{
        Engine, Interrupt,
        embedded::Embedded,
        onnxruntime::{Device, OnnxRuntime},
    },
    frame,
    memory::{Range, SharedMemory},
    message::{EngineChoice, Hello, Reply, Request},
    transfer::{Outbox, Parcel},
};

mod limits;
mod session;

/// The argument that makes a child a worker.
pub(crate) const WORKER: &str = "worker";
/// Requests that wait for one session: the node sends the next one after the answer.
const TASKS_MAX: usize = 2;

/// What all threads of the worker share.
#[derive(Debug)]
pub(crate) struct Shared {
    engine: Box<dyn Engine>,
    /// The node's tensors.
    inbox: SharedMemory,
    output_bytes: u64,
    answers: Mutex<Answers>,
}

/// The way back to the node.
#[derive(Debug)]
struct Answers {
    socket: UnixStream,
    outbox: Outbox,
    /// The ranges that the node has not read yet, by run.
    held: HashMap<u64, Vec<Range>>,
}

impl Shared {
    /// Answers a run with what `fill` puts into the message.
    fn answer(
        &self,
        id: u64,
        fill: impl FnOnce(&mut Outbox, &mut Parcel) -> io::Result<Reply>,
    ) -> io::Result<()> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let Answers { socket, outbox, held } = &mut *answers;
        let mut parcel = Parcel::default();
        let reply = match fill(outbox, &mut parcel) {
            Ok(reply) => reply,
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                outbox.give(std::mem::take(&mut parcel.held));
                parcel.body.clear();
                let message = "the outputs do not fit into the memory that node and worker share";
                let error = InferenceError::new(InferenceErrorCode::TooLarge, message);
                Reply::Failed { id, error }
            }
            Err(error) => return Err(error),
        };
        if !parcel.held.is_empty() {
            held.insert(id, parcel.held);
        }
        frame::write(socket, &reply, &parcel.body)
    }

    fn release(&self, id: u64) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ranges) = answers.held.remove(&id) {
            answers.outbox.give(ranges);
        }
    }
}

/// Ends this process at once, without running anything that a stuck engine could hold up.
fn end() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    // A process cannot survive that; the compiler does not know it.
    std::process::abort()
}

/// Runs the worker on the socket that is its standard input, until the node closes it.
pub(crate) fn worker_main() -> io::Result<()> {
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let [inbox, outbox] = descriptors::receive(&socket)?;
    let Some((hello, _)) = frame::read::<Hello>(&mut socket)? else { return Ok(()) };
    limits::apply(&hello)?;
    let inbox = SharedMemory::open(inbox, hello.shared_bytes)?;
    let outbox = Outbox::new(SharedMemory::open(outbox, hello.shared_bytes)?);
    let engine = match start(&hello) {
        Ok(engine) => engine,
        Err(error) => return frame::write(&mut socket, &Reply::Failed { id: 0, error }, &[]),
    };
    frame::write(&mut socket, &Reply::Ready { engine: engine.name() }, &[])?;
    let reader = socket.try_clone()?;
    let answers = Mutex::new(Answers { socket, outbox, held: HashMap::new() });
    let output_bytes = hello.output_bytes;
    let shared = Arc::new(Shared { engine, inbox, output_bytes, answers });
    // An error is a broken protocol, which only the node could mend.
    let _ = serve(reader, &shared);
    // The sessions may be in the middle of a run that nobody waits for.
    end()
}

fn start(hello: &Hello) -> Result<Box<dyn Engine>, InferenceError> {
    let threads = usize::try_from(hello.threads).unwrap_or(1);
    match &hello.engine {
        EngineChoice::OnnxRuntime { library } => {
            let memory_bytes = usize::try_from(hello.memory_bytes).unwrap_or(usize::MAX);
            let device = Device { provider: hello.provider, threads, memory_bytes };
            Ok(Box::new(OnnxRuntime::start(library, device)?))
        }
        EngineChoice::Embedded => Ok(Box::new(Embedded::start(threads))),
    }
}

/// A session as the reading thread sees it.
#[derive(Debug)]
struct Slot {
    tasks: SyncSender<session::Task>,
    state: Arc<Mutex<SlotState>>,
}

/// Which run a slot is busy with, and how to end it.
#[derive(Debug, Default)]
struct SlotState {
    run: Option<u64>,
    interrupt: Option<Arc<dyn Interrupt>>,
}

fn serve(mut socket: UnixStream, shared: &Arc<Shared>) -> io::Result<()> {
    let mut slots: HashMap<u32, Slot> = HashMap::new();
    while let Some((request, body)) = frame::read::<Request>(&mut socket)? {
        match request {
            Request::Load { id, slot, model } => {
                let (tasks, queue) = sync_channel(TASKS_MAX);
                let state = Arc::new(Mutex::new(SlotState::default()));
                slots.insert(slot, Slot { tasks, state: Arc::clone(&state) });
                let shared = Arc::clone(shared);
                thread::Builder::new()
                    .name(format!("session-{slot}"))
                    .spawn(move || session::serve(&shared, id, &model, &state, &queue))?;
            }
            Request::Run { id, slot, work } => {
                let slot = slots.get(&slot).ok_or_else(|| io::Error::other("no such session"))?;
                slot.begin(id);
                let task = session::Task { id, work, body };
                slot.tasks.try_send(task).map_err(|_| io::Error::other("a session is busy"))?;
            }
            // The thread ends when it finds its queue closed.
            Request::Unload { slot } => drop(slots.remove(&slot)),
            Request::Cancel { id } => slots.values().for_each(|slot| slot.cancel(id)),
            Request::Release { id } => shared.release(id),
        }
    }
    Ok(())
}

impl Slot {
    /// The next run begins. Its id stands here before it is queued, so that a cancel that comes
    /// right behind it finds it.
    fn begin(&self, id: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.run = Some(id);
        if let Some(interrupt) = &state.interrupt {
            interrupt.reset();
        }
    }

    fn cancel(&self, id: u64) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(interrupt) = state.interrupt.as_ref().filter(|_| state.run == Some(id)) {
            interrupt.interrupt();
        }
    }
}
