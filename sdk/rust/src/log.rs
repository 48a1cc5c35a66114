//! Log lines, through `wasi:logging`. Standard error is log text too; these lines carry a level.
//!
//! The node bounds log text per call and drops the rest. Do not write secrets or content.

mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/deps/wasi-logging",
        world: "imports",
    });
}

use bindings::wasi::logging::logging::{Level, log};

/// For who looks for a fault.
pub fn debug(message: &str) {
    log(Level::Debug, "", message);
}

/// Something worth knowing.
pub fn info(message: &str) {
    log(Level::Info, "", message);
}

/// Something that may become a fault.
pub fn warn(message: &str) {
    log(Level::Warn, "", message);
}

/// A fault.
pub fn error(message: &str) {
    log(Level::Error, "", message);
}
