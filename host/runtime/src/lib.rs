//! The WebAssembly part of meshhost: the only crate that names wasmtime.
//!
//! Reading order: [`inspect`] reads any bytes without running them; [`engine`] holds the one
//! engine and its pool; [`compile`] makes code in a limited child process and [`cache`] keeps it
//! authenticated; [`load`] makes a plugin ready; [`execute`] runs one permitted call in a fresh
//! instance whose store holds [`state`], bounded by [`limiter`]; [`actor`] keeps the instance of a
//! stateful plugin between its calls; [`imports`] are the host
//! functions, one module an interface; [`convert`] and [`schema`] map WIT values and types to
//! JSON, [`aside`] where they are large.
//!
//! Absent on purpose: HTTP servers, SQL, peers, policy text. The runtime sees grants as plain
//! values and reaches the rest through the ports of `meshhost-core`.

/// The version of the WebAssembly engine; nodes tell it to each other.
pub const ENGINE_VERSION: semver::Version = semver::Version::new(48, 0, 8);

pub mod actor;
mod aside;
pub mod cache;
pub mod compile;
pub mod convert;
pub mod engine;
pub mod execute;
mod file_pool;
// Twice, since the lints know what is for tests by this attribute alone.
#[cfg(all(fuzzing, not(test)))]
mod fixture;
#[cfg(test)]
mod fixture;
#[cfg(all(fuzzing, not(test)))]
pub mod fuzz;
#[cfg(test)]
pub mod fuzz;
mod imports;
pub mod inspect;
mod limiter;
pub mod live;
pub mod load;
pub mod schema;
mod state;
