//! `wasi:cli` 0.3: what a command finds around it, with its standard streams as streams. Everything
//! holds that is said of [`crate::imports::cli`].

use std::{
    pin::Pin,
    task::{Context as TaskContext, Poll},
};

use bytes::Bytes;
use tokio::sync::oneshot;
use wasmtime::{
    StoreContextMut,
    component::{
        Access, Destination, FutureReader, Linker, Resource, Source, StreamConsumer,
        StreamProducer, StreamReader, StreamResult,
    },
};
use wasmtime_wasi::{
    p2::{InputStream, bindings::cli as earlier, pipe::MemoryInputPipe},
    p3::{
        bindings::cli::{
            environment, exit, stderr, stdin, stdout, terminal_input, terminal_output,
            terminal_stderr, terminal_stdin, terminal_stdout,
            types::{self, ErrorCode},
        },
        cli::{TerminalInput, TerminalOutput},
    },
};

use crate::{
    imports::{Context, Imports, View, cli::BegunText},
    state::{HostState, Stop},
};

/// Bytes that one read or write moves at most.
const PIECE_BYTES: usize = 64 * 1024;

/// Links `wasi:cli`, all but `run`, which is a guest's export.
///
/// # Errors
/// When the names are linked already.
pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    types::add_to_linker::<_, Imports>(linker, View::of)?;
    environment::add_to_linker::<_, Imports>(linker, View::of)?;
    exit::add_to_linker::<_, Imports>(linker, View::of)?;
    stdin::add_to_linker::<_, Imports>(linker, View::of)?;
    stdout::add_to_linker::<_, Imports>(linker, View::of)?;
    stderr::add_to_linker::<_, Imports>(linker, View::of)?;
    terminal_input::add_to_linker::<_, Imports>(linker, View::of)?;
    terminal_output::add_to_linker::<_, Imports>(linker, View::of)?;
    terminal_stdin::add_to_linker::<_, Imports>(linker, View::of)?;
    terminal_stdout::add_to_linker::<_, Imports>(linker, View::of)?;
    terminal_stderr::add_to_linker::<_, Imports>(linker, View::of)
}

impl types::Host for View<'_> {}
impl stdin::Host for View<'_> {}
impl stdout::Host for View<'_> {}
impl stderr::Host for View<'_> {}

impl environment::Host for View<'_> {
    fn get_environment(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        earlier::environment::Host::get_environment(self)
    }

    fn get_arguments(&mut self) -> wasmtime::Result<Vec<String>> {
        earlier::environment::Host::get_arguments(self)
    }

    fn get_initial_cwd(&mut self) -> wasmtime::Result<Option<String>> {
        earlier::environment::Host::initial_cwd(self)
    }
}

impl exit::Host for View<'_> {
    fn exit(&mut self, status: Result<(), ()>) -> wasmtime::Result<()> {
        earlier::exit::Host::exit(self, status)
    }

    fn exit_with_code(&mut self, code: u8) -> wasmtime::Result<()> {
        earlier::exit::Host::exit_with_code(self, code)
    }
}

/// How a standard stream ended; it has no errors that a guest is told.
type Ending = FutureReader<Result<(), ErrorCode>>;

impl stdin::HostWithStore<HostState> for Imports {
    fn read_via_stream(
        mut store: Access<'_, HostState, Self>,
    ) -> wasmtime::Result<(StreamReader<u8>, Ending)> {
        let input = Input(store.get().stdin.clone());
        let stream = StreamReader::new(&mut store, input)?;
        let ending = FutureReader::new(&mut store, async { wasmtime::error::Ok(Ok(())) })?;
        Ok((stream, ending))
    }
}

impl stdout::HostWithStore<HostState> for Imports {
    fn write_via_stream(
        mut store: Access<'_, HostState, Self>,
        data: StreamReader<u8>,
    ) -> wasmtime::Result<Ending> {
        let context = store.get().context.clone();
        write_to(store, data, move |bytes| {
            context.write_stdout("wasi:cli/stdout#write-via-stream", bytes)
        })
    }
}

impl stderr::HostWithStore<HostState> for Imports {
    fn write_via_stream(
        mut store: Access<'_, HostState, Self>,
        data: StreamReader<u8>,
    ) -> wasmtime::Result<Ending> {
        let context: Context = store.get().context.clone();
        let mut begun = BegunText::default();
        write_to(store, data, move |bytes| {
            context.log("wasi:cli/stderr#write-via-stream", &begun.take(bytes));
            Ok(())
        })
    }
}

/// The standard input, shared by every stream on it.
struct Input(MemoryInputPipe);

impl StreamProducer<HostState> for Input {
    type Item = u8;
    type Buffer = Bytes;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        _: &mut TaskContext<'_>,
        store: StoreContextMut<'a, HostState>,
        mut destination: Destination<'a, u8, Bytes>,
        _: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let wanted = destination.remaining(store).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        if wanted == 0 {
            // A guest that asks whether there is something to read: there always is, or the end.
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        match self.0.read(wanted) {
            Ok(bytes) if !bytes.is_empty() => {
                destination.set_buffer(bytes);
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Ok(_) | Err(_) => Poll::Ready(Ok(StreamResult::Dropped)),
        }
    }
}

/// Gives everything that comes out of `data` to `write`.
fn write_to<F>(
    mut store: Access<'_, HostState, Imports>,
    data: StreamReader<u8>,
    write: F,
) -> wasmtime::Result<Ending>
where
    F: FnMut(&[u8]) -> Result<(), Stop> + Send + Unpin + 'static,
{
    let (alive, ended) = oneshot::channel::<()>();
    data.pipe(&mut store, Output { write, _alive: alive })?;
    FutureReader::new(&mut store, async move {
        // An error means that the consumer is gone: the guest has closed its end.
        let _ended = ended.await;
        wasmtime::error::Ok(Ok(()))
    })
}

struct Output<F> {
    write: F,
    _alive: oneshot::Sender<()>,
}

impl<F> StreamConsumer<HostState> for Output<F>
where
    F: FnMut(&[u8]) -> Result<(), Stop> + Send + Unpin + 'static,
{
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _: &mut TaskContext<'_>,
        store: StoreContextMut<'_, HostState>,
        source: Source<'_, u8>,
        _: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut source = source.as_direct(store);
        let bytes = source.remaining();
        let piece = bytes.get(..PIECE_BYTES).unwrap_or(bytes);
        (self.write)(piece)?;
        let count = piece.len();
        source.mark_read(count);
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

crate::imports::terminals::never_a_terminal!();
