//! `wasi:cli`: what a command line program finds around it. The environment holds the granted
//! variables and nothing else; arguments and standard input are those of a command, else empty;
//! standard output is kept up to the grant for commands, else dropped; standard error is log text
//! up to the grant, the rest counted and dropped. There is never a terminal. The
//! working folder is the caller's when it lies inside a grant, never the node's.

use bytes::Bytes;
use meshhost_core::grant::FolderGrant;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, OutputStream, Pollable, StreamError, StreamResult,
    bindings::cli::{
        environment, exit, stderr, stdin, stdout,
        terminal_input::{self, TerminalInput},
        terminal_output::{self, TerminalOutput},
        terminal_stderr, terminal_stdin, terminal_stdout,
    },
    pipe::MemoryInputPipe,
};

use super::{Context, Imports, View};
use crate::state::{HostState, Stop};

/// Bytes that one write may hold.
const WRITE_BYTES_MAX: usize = 64 * 1024;

/// Links `wasi:cli`, all but `run`, which is a guest's export.
///
/// # Errors
/// When the names are linked already.
pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
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

impl environment::Host for View<'_> {
    fn get_environment(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        Ok(self.context.rules().grants.environment.clone())
    }

    fn get_arguments(&mut self) -> wasmtime::Result<Vec<String>> {
        let Some(command) = &self.context.call.command else { return Ok(Vec::new()) };
        let name = std::iter::once(self.context.call.plugin.to_string());
        Ok(name.chain(command.arguments.iter().cloned()).collect())
    }

    /// The caller's working folder under the name that the guest knows, when it lies inside a
    /// grant; a folder outside stays unknown.
    fn initial_cwd(&mut self) -> wasmtime::Result<Option<String>> {
        let Some(folder) = self.context.call.invocation.working_folder.as_deref() else {
            return Ok(None);
        };
        let rules = self.context.rules();
        Ok(rules.grants.folders.iter().find_map(|grant| guest_name(folder, grant)))
    }
}

/// A host folder under the guest's name, when it is the granted folder or lies in it.
fn guest_name(folder: &str, grant: &FolderGrant) -> Option<String> {
    let below = folder.strip_prefix(grant.host.trim_end_matches('/'))?;
    let whole_names = below.is_empty() || below.starts_with('/');
    whole_names.then(|| format!("{}{below}", grant.guest.trim_end_matches('/')))
}

impl exit::Host for View<'_> {
    fn exit(&mut self, status: Result<(), ()>) -> wasmtime::Result<()> {
        Err(Stop::Exit(u8::from(status.is_err())).into())
    }

    fn exit_with_code(&mut self, code: u8) -> wasmtime::Result<()> {
        Err(Stop::Exit(code).into())
    }
}

impl stdin::Host for View<'_> {
    fn get_stdin(&mut self) -> wasmtime::Result<Resource<DynInputStream>> {
        let stream: DynInputStream = Box::new(self.stdin.clone());
        Ok(self.table.push(stream)?)
    }
}

impl stdout::Host for View<'_> {
    fn get_stdout(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        let stream: DynOutputStream = Box::new(Stdout { context: self.context.clone() });
        Ok(self.table.push(stream)?)
    }
}

impl stderr::Host for View<'_> {
    fn get_stderr(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        let context = self.context.clone();
        let stream: DynOutputStream = Box::new(Stderr { context, begun: BegunText::default() });
        Ok(self.table.push(stream)?)
    }
}

/// The standard input of a call: whole, shared by every stream that the guest opens on it.
pub(super) fn standard_input(context: &Context) -> MemoryInputPipe {
    let command = context.call.command.as_ref();
    MemoryInputPipe::new(command.map(|command| command.stdin.clone()).unwrap_or_default())
}

struct Stdout {
    context: Context,
}

#[async_trait::async_trait]
impl Pollable for Stdout {
    async fn ready(&mut self) {}
}

impl OutputStream for Stdout {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let result = self.context.write_stdout("wasi:cli/stdout#get-stdout", &bytes);
        result.map_err(|stop| StreamError::Trap(stop.into()))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

struct Stderr {
    context: Context,
    begun: BegunText,
}

#[async_trait::async_trait]
impl Pollable for Stderr {
    async fn ready(&mut self) {}
}

impl OutputStream for Stderr {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let text = self.begun.take(&bytes);
        self.context.log("wasi:cli/stderr#get-stderr", &text);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

/// The bytes of a character whose end has not been written yet: three at most.
#[derive(Debug, Default)]
pub(super) struct BegunText(Vec<u8>);

impl BegunText {
    /// Adds `bytes` and takes the text; the start of a character that is not whole yet stays.
    pub(super) fn take(&mut self, bytes: &[u8]) -> String {
        self.0.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&self.0) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Ok(_) | Err(_) => self.0.len(),
        };
        let rest = self.0.split_off(whole);
        let text = String::from_utf8_lossy(&self.0).into_owned();
        self.0 = rest;
        text
    }
}

impl Context {
    /// Keeps what a command wrote to its standard output, up to the grant; of any other call
    /// there is no output to write.
    pub(super) fn write_stdout(&self, function: &str, bytes: &[u8]) -> Result<(), Stop> {
        if self.call.command.is_none() {
            return Ok(());
        }
        let granted = self.rules().grants.stdout_bytes;
        if granted == 0 {
            self.record.deny(Some("stdout=64KiB".to_owned()), function, "");
        }
        self.record.write_stdout(bytes, granted)
    }
}

super::terminals::never_a_terminal!();

#[cfg(test)]
mod tests {
    use meshhost_core::permission::FolderMode;

    use super::*;

    #[test]
    fn a_character_written_in_two_pieces_is_one() {
        let mut begun = BegunText::default();
        assert_eq!(begun.take(&"a\u{e4}".as_bytes()[..2]), "a");
        assert_eq!(begun.take(&"\u{e4}".as_bytes()[1..]), "\u{e4}");
        assert!(begun.0.is_empty());
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced_and_not_kept() {
        let mut begun = BegunText::default();
        assert_eq!(begun.take(&[0xff, b'a', 0xc3, 0x28]), "\u{fffd}a\u{fffd}(");
        assert!(begun.0.is_empty());
    }

    #[test]
    fn the_working_folder_is_the_guests_only_inside_a_grant() {
        let grant = |guest: &str, host: &str| FolderGrant {
            guest: guest.to_owned(),
            host: host.to_owned(),
            mode: FolderMode::Ro,
            device: 1,
            inode: 1,
        };
        let notes = grant("/data", "/home/me/notes");
        let name = |folder| guest_name(folder, &notes);
        assert_eq!(name("/home/me/notes").as_deref(), Some("/data"));
        assert_eq!(name("/home/me/notes/a").as_deref(), Some("/data/a"));
        assert_eq!(name("/home/me/notesx"), None);
        assert_eq!(name("/home/me"), None);
        assert_eq!(guest_name("/x", &grant("/", "/")).as_deref(), Some("/x"));
    }
}
