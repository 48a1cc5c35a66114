//! One worker process as the node sees it: a thread that starts it, reads its answers and waits for
//! its end, and a thread that writes to it. Nothing here decides anything; what happens is told to
//! an [`Events`].
//!
//! The thread that starts the worker lives as long as the worker: on Linux the kernel ends the
//! worker when that thread ends.

use std::{
    collections::HashMap,
    fmt::Debug,
    io,
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use meshhost_core::inference::{InferenceError, InferenceErrorCode, Tensor};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::{
    descriptors, frame,
    memory::{Range, SharedMemory},
    message::{Hello, LoadedModel, ModelSource, Place, Reply, Request, TextRows, WireTensor, Work},
    settings::Program,
    transfer::{Opened, Outbox, Parcel},
    worker::WORKER,
};

/// Messages that wait to be written. Each session has one run at a time, so that there are a few
/// for each session.
const OUTGOING_MAX: usize = 4096;

/// What the node wants from its worker.
#[derive(Debug)]
pub(crate) enum Order {
    Load { id: u64, slot: u32, source: ModelSource },
    Run { id: u64, slot: u32, jobs: Vec<Arc<Input>> },
    Unload { slot: u32 },
    Cancel { id: u64 },
    Release { id: u64 },
}

/// What one call gives a model.
#[derive(Debug)]
pub(crate) enum Input {
    Tensors { inputs: Vec<Tensor>, outputs: Vec<String> },
    Texts(TextRows),
}

/// What comes from a worker.
#[derive(Debug)]
pub(crate) enum Event {
    Ready { engine: String },
    Loaded { id: u64, model: LoadedModel },
    Done { id: u64, run_us: u64, outputs: Vec<Tensor> },
    Failed { id: u64, error: InferenceError },
}

/// Who is told what happens.
pub(crate) trait Events: Send + Sync + Debug + 'static {
    /// How the worker is to be started. May take a while and is not asked on an executor.
    fn hello(&self) -> Result<(Program, Hello), InferenceError>;
    /// Something came from the worker of this generation.
    fn event(&self, generation: u64, event: Event);
    /// The worker of this generation has ended, or never began.
    fn ended(&self, generation: u64, reason: &str);
}

/// A worker that is starting or running. Dropping it ends the worker.
#[derive(Debug)]
pub(crate) struct Process {
    orders: SyncSender<Order>,
    handle: Arc<Handle>,
}

impl Process {
    /// Starts a worker on threads of its own.
    pub(crate) fn start(generation: u64, events: Arc<dyn Events>) -> io::Result<Self> {
        let (orders, queue) = sync_channel(OUTGOING_MAX);
        let handle = Arc::new(Handle::default());
        let worker =
            Worker { generation, events, orders: orders.clone(), handle: Arc::clone(&handle) };
        thread::Builder::new().name("inference".into()).spawn(move || worker.live(queue))?;
        Ok(Self { orders, handle })
    }

    /// Tells the worker something. A worker that does not read is ended.
    pub(crate) fn tell(&self, order: Order) {
        if self.orders.try_send(order).is_err() {
            self.handle.kill();
        }
    }

    /// Its process, when it has one.
    pub(crate) fn id(&self) -> Option<i32> {
        self.handle.lock().process.map(|process| process.as_raw_nonzero().get())
    }

    /// Ends the worker at once.
    pub(crate) fn kill(&self) {
        self.handle.kill();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.handle.kill();
    }
}

/// The process to end: it stands here only while its id cannot belong to another one.
#[derive(Debug, Default)]
struct Handle(Mutex<HandleState>);

#[derive(Debug, Default)]
struct HandleState {
    process: Option<Pid>,
    killed: bool,
}

impl Handle {
    fn lock(&self) -> std::sync::MutexGuard<'_, HandleState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kill(&self) {
        let mut state = self.lock();
        state.killed = true;
        if let Some(process) = state.process {
            // It fails when the process has ended, which is what is wanted.
            let _ = kill_process(process, Signal::KILL);
        }
    }

    /// The process runs. Ends it when that was wanted meanwhile.
    fn begun(&self, child: &Child) {
        let process = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        self.lock().process = process;
        if self.lock().killed {
            self.kill();
        }
    }

    /// Waits for the end without giving the id free, forgets the id, and only then gives it free.
    fn ended(&self, child: &mut Child) -> String {
        let process = self.lock().process;
        if let Some(process) = process {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(waitid(WaitId::Pid(process), options), Err(rustix::io::Errno::INTR)) {}
        }
        self.lock().process = None;
        child.wait().map_or_else(|error| error.to_string(), |status| status.to_string())
    }
}

/// What was written and not answered yet.
#[derive(Debug)]
struct Sent {
    outbox: Outbox,
    held: HashMap<u64, Vec<Range>>,
}

#[derive(Debug)]
struct Worker {
    generation: u64,
    events: Arc<dyn Events>,
    orders: SyncSender<Order>,
    handle: Arc<Handle>,
}

impl Worker {
    fn live(self, queue: Receiver<Order>) {
        let reason = match self.run(queue) {
            Ok(reason) => reason,
            Err(error) => error.to_string(),
        };
        self.events.ended(self.generation, &reason);
    }

    /// From start to end. The error is why it did not start.
    fn run(&self, queue: Receiver<Order>) -> io::Result<String> {
        let (program, hello) =
            self.events.hello().map_err(|error| io::Error::other(error.message))?;
        let (socket, theirs) = UnixStream::pair()?;
        let sent = SharedMemory::create(hello.shared_bytes)?;
        let inbox = SharedMemory::create(hello.shared_bytes)?;
        descriptors::send(&socket, [sent.descriptor(), inbox.descriptor()])?;
        let mut child = start(&program, theirs.into())?;
        self.handle.begun(&child);
        let sent = Arc::new(Mutex::new(Sent { outbox: Outbox::new(sent), held: HashMap::new() }));
        let reason = self.talk(&hello, socket, &inbox, sent, queue);
        self.handle.kill();
        let status = self.handle.ended(&mut child);
        Ok(match reason {
            Ok(()) => format!("the worker ended: {status}"),
            Err(error) => format!("the worker was ended: {error}"),
        })
    }

    /// Writes and reads until one side closes the socket, or the worker breaks the protocol.
    fn talk(
        &self,
        hello: &Hello,
        mut socket: UnixStream,
        inbox: &SharedMemory,
        sent: Arc<Mutex<Sent>>,
        queue: Receiver<Order>,
    ) -> io::Result<()> {
        frame::write(&mut socket, hello, &[])?;
        let writer = Writer {
            generation: self.generation,
            events: Arc::clone(&self.events),
            socket: socket.try_clone()?,
            sent: Arc::clone(&sent),
        };
        thread::Builder::new()
            .name("inference-writer".into())
            .spawn(move || writer.write(&queue))?;
        while let Some((reply, body)) = frame::read::<Reply>(&mut socket)? {
            let event = match reply {
                Reply::Ready { engine } => Event::Ready { engine },
                Reply::Loaded { id, model } => Event::Loaded { id, model },
                Reply::Failed { id, error } => {
                    let error = InferenceError::new(error.code, &error.message);
                    Event::Failed { id, error }
                }
                Reply::Done { id, run_us, outputs } => {
                    let shared = |wire: &WireTensor| matches!(wire.place, Place::Shared(_));
                    let release = outputs.iter().any(shared);
                    let mut opened = Opened::new(inbox, &body, hello.output_bytes);
                    let outputs: Result<Vec<Tensor>, _> =
                        outputs.into_iter().map(|wire| opened.tensor(wire)).collect();
                    let outputs = outputs.map_err(io::Error::other)?;
                    let full = |_| io::Error::other("it does not read");
                    if release {
                        self.orders.try_send(Order::Release { id }).map_err(full)?;
                    }
                    Event::Done { id, run_us, outputs }
                }
            };
            if let Event::Done { id, .. } | Event::Failed { id, .. } = &event {
                let mut sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(held) = sent.held.remove(id) {
                    sent.outbox.give(held);
                }
            }
            self.events.event(self.generation, event);
        }
        Ok(())
    }
}

fn start(program: &Program, socket: OwnedFd) -> io::Result<Child> {
    Command::new(&program.path)
        .args(&program.arguments)
        .arg(WORKER)
        .env_clear()
        // Large tensors come and go: without this each one costs its page faults again.
        .env("MALLOC_ARENA_MAX", "1")
        .env("MALLOC_MMAP_THRESHOLD_", "33554432")
        .env("MALLOC_TRIM_THRESHOLD_", "1073741824")
        .envs(program.environment.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .stdin(Stdio::from(socket))
        .stdout(Stdio::null())
        // Engines print what models say.
        .stderr(Stdio::null())
        .spawn()
}

#[derive(Debug)]
struct Writer {
    generation: u64,
    events: Arc<dyn Events>,
    socket: UnixStream,
    sent: Arc<Mutex<Sent>>,
}

impl Writer {
    /// Writes orders until nobody gives any, or the worker is gone: its reader tells that.
    fn write(mut self, queue: &Receiver<Order>) {
        while let Ok(order) = queue.recv() {
            let mut parcel = Parcel::default();
            let request = match order {
                Order::Load { id, slot, source } => Request::Load { id, slot, model: source },
                Order::Unload { slot } => Request::Unload { slot },
                Order::Cancel { id } => Request::Cancel { id },
                Order::Release { id } => Request::Release { id },
                Order::Run { id, slot, jobs } => match self.pack(id, &mut parcel, &jobs) {
                    Ok(work) => Request::Run { id, slot, work },
                    Err(error) => {
                        self.events.event(self.generation, Event::Failed { id, error });
                        continue;
                    }
                },
            };
            if frame::write(&mut self.socket, &request, &parcel.body).is_err() {
                return;
            }
        }
    }

    /// Puts a run's tensors where the worker finds them.
    fn pack(
        &self,
        id: u64,
        parcel: &mut Parcel,
        jobs: &[Arc<Input>],
    ) -> Result<Work, InferenceError> {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let work = work(&mut sent.outbox, parcel, jobs);
        let held = std::mem::take(&mut parcel.held);
        match work {
            Ok(work) => {
                sent.held.insert(id, held);
                Ok(work)
            }
            Err(_) => {
                sent.outbox.give(held);
                let message = "the memory for tensors is full: try later, or with smaller ones";
                Err(InferenceError::new(InferenceErrorCode::Busy, message))
            }
        }
    }
}

/// The calls of a batch as one piece of work. They share everything but their rows.
fn work(outbox: &mut Outbox, parcel: &mut Parcel, jobs: &[Arc<Input>]) -> io::Result<Work> {
    let first = jobs.first().ok_or_else(|| io::Error::other("a run without calls"))?;
    match &**first {
        Input::Texts(_) => {
            let rows: Vec<_> = jobs
                .iter()
                .filter_map(|job| match &**job {
                    Input::Texts(rows) => Some(rows),
                    Input::Tensors { .. } => None,
                })
                .flatten()
                .collect();
            let bytes = postcard::to_allocvec(&rows).map_err(io::Error::other)?;
            Ok(Work::Texts { rows: outbox.put(parcel, &[&bytes])? })
        }
        Input::Tensors { inputs, outputs } => {
            let mut wires = Vec::with_capacity(inputs.len());
            for tensor in inputs {
                let parts: Vec<&Tensor> =
                    jobs.iter().filter_map(|job| named(job, tensor.name())).collect();
                wires.push(outbox.put_tensor(parcel, &parts)?);
            }
            Ok(Work::Tensors { inputs: wires, outputs: outputs.clone() })
        }
    }
}

fn named<'a>(job: &'a Input, name: &str) -> Option<&'a Tensor> {
    match job {
        Input::Tensors { inputs, .. } => inputs.iter().find(|tensor| tensor.name() == name),
        Input::Texts(_) => None,
    }
}
