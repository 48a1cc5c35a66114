//! What a plugin for meshhost is written with in Rust: [`plugin!`] turns WIT into Rust types and
//! an `export!` macro, [`blob`] reads and makes large data, [`inference`] runs the node's models,
//! [`log`] writes log lines, [`path`] finds the caller's working folder.
//!
//! ```ignore
//! meshhost_sdk::plugin!({ path: "wit", world: "provider" });
//!
//! struct Plugin;
//!
//! impl bindings::exports::acme::weather::api::Guest for Plugin {
//!     fn current(place: String) -> Result<f64, String> {
//!         Err(format!("no weather for {place}"))
//!     }
//! }
//!
//! export!(Plugin with_types_in bindings);
//! ```
//!
//! Files, time and the like come from `std`: it speaks WASI. What the operator did not grant
//! answers as an error. A panic ends the call as a trap, and its message is in the log.
//!
//! Deliberately absent: host types, macros that hide WIT, an asynchronous runtime.

pub mod blob;
pub mod inference;
pub mod log;
pub mod path;

#[doc(hidden)]
pub use wit_bindgen;

/// Makes the types of a WIT world, as module `bindings`, and `export!`, which names the type that
/// implements it.
///
/// Takes what `wit_bindgen::generate!` takes; paths are relative to the plugin's `Cargo.toml`. A
/// world that uses blobs shares the types of this crate by
/// `with: { "meshhost:blob/types@0.1.0": meshhost_sdk::blob::types }`, and one that runs models those
/// of [`inference`] by `"meshhost:inference/sessions@0.1.0": meshhost_sdk::inference::sessions`.
#[macro_export]
macro_rules! plugin {
    ({ $($option:tt)* }) => {
        #[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, clippy::restriction,
            reason = "generated code")]
        mod bindings {
            $crate::wit_bindgen::generate!({
                runtime_path: "meshhost_sdk::wit_bindgen::rt",
                default_bindings_module: "$crate::bindings",
                $($option)*
            });
        }
        #[allow(unused_imports, reason = "native builds export nothing")]
        use bindings::export;
    };
}
