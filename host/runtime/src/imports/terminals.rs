//! The terminals of `wasi:cli`: in no version of it is there ever one.

/// Implements the terminals' interfaces for `View` by the bindings that are in scope where it
/// stands: each version has types of its own.
macro_rules! never_a_terminal {
    () => {
        impl terminal_input::Host for View<'_> {}

        impl terminal_input::HostTerminalInput for View<'_> {
            fn drop(&mut self, terminal: Resource<TerminalInput>) -> wasmtime::Result<()> {
                self.table.delete(terminal)?;
                Ok(())
            }
        }

        impl terminal_output::Host for View<'_> {}

        impl terminal_output::HostTerminalOutput for View<'_> {
            fn drop(&mut self, terminal: Resource<TerminalOutput>) -> wasmtime::Result<()> {
                self.table.delete(terminal)?;
                Ok(())
            }
        }

        impl terminal_stdin::Host for View<'_> {
            fn get_terminal_stdin(&mut self) -> wasmtime::Result<Option<Resource<TerminalInput>>> {
                Ok(None)
            }
        }

        impl terminal_stdout::Host for View<'_> {
            fn get_terminal_stdout(
                &mut self,
            ) -> wasmtime::Result<Option<Resource<TerminalOutput>>> {
                Ok(None)
            }
        }

        impl terminal_stderr::Host for View<'_> {
            fn get_terminal_stderr(
                &mut self,
            ) -> wasmtime::Result<Option<Resource<TerminalOutput>>> {
                Ok(None)
            }
        }
    };
}

pub(super) use never_a_terminal;
