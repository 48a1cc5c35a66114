//! `wasi:logging`: a message becomes one line of the call's log, with its level and context; a line
//! feed inside it is written as an escape, so that a message cannot pass for two. Without the
//! grant `log=SIZE` messages are counted and dropped.

use wasmtime::component::Linker;

use self::bindings::wasi::logging::logging::{self, Level};
use super::{Context, Imports, View};
use crate::state::HostState;

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/deps/wasi-logging",
        world: "wasi:logging/imports",
        imports: { default: trappable },
        require_store_data_send: true,
    });
}

/// Links `wasi:logging`.
///
/// # Errors
/// When the name is linked already.
pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    logging::add_to_linker::<_, Imports>(linker, View::of)
}

impl Context {
    /// Adds text to the call's log, within the grant.
    pub(super) fn log(&self, function: &str, text: &str) {
        let granted = self.rules().grants.log_bytes;
        if granted == 0 {
            self.record.deny(Some("log=64KiB".to_owned()), function, "");
        }
        self.record.log(text, granted);
    }
}

impl logging::Host for View<'_> {
    fn log(&mut self, level: Level, context: String, message: String) -> wasmtime::Result<()> {
        let level = match level {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
            Level::Critical => "critical",
        };
        let line = line(level, &context, &message);
        self.context.log("wasi:logging/logging#log", &line);
        Ok(())
    }
}

fn line(level: &str, context: &str, message: &str) -> String {
    let separator = if context.is_empty() { "" } else { " " };
    let text = format!("{level}{separator}{context}: {message}");
    format!("{}\n", text.replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line() {
        assert_eq!(line("info", "", "ready"), "info: ready\n");
        let forged = line("warn", "disk\nerror fake", "full\nerror: forged");
        assert_eq!(forged, "warn disk\\nerror fake: full\\nerror: forged\n");
    }
}
