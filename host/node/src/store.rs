//! What the node keeps: the data directory and its keys, the record of evidence, results, blobs,
//! key-values and installed plugins. The only module that names sqlx.
//!
//! Reading order: [`directory`] is who may open it; [`database`] is the one SQLite file and the
//! one connection that writes.

pub mod blobs;
pub mod database;
pub mod directory;
pub mod error;
pub mod key_values;
pub mod keys;
pub mod plugins;
pub mod results;
pub mod writer;
