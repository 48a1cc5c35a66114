//! What a plugin may do, one permission at a time: the same grammar in manifests, grant files,
//! profiles and on the command line.
//!
//! | written | means |
//! |---|---|
//! | `fs:ro=~/notes`, `fs:rw=/data=~/notes`, `fs:rw+exec=PATH` | a folder, under its own or another name |
//! | `net=https://api.example.org/v1` | requests to that host, port, path prefix |
//! | `net=GET,HEAD https://*.example.org:8443` | with methods and a host pattern |
//! | `net-range=10.0.0.0/8` | lets granted names resolve into a private range |
//! | `env=LANG`, `env=LANG=C` | an environment variable, from the node or with a value |
//! | `clock`, `random` | the wall clock and monotonic clock; secure random numbers |
//! | `kv=8MiB` | a key-value store of that size |
//! | `call=filesystem.*`, `call=filesystem.read path=~/notes/**` | calling other capabilities |
//! | `stdout=64KiB`, `log=64KiB` | standard output of commands; log text |
//!
//! A manifest may ask for a folder without naming it (`fs:ro`): the operator chooses.

use serde::{Deserialize, Serialize};

use crate::network::NetworkRule;

/// What a folder may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FolderMode {
    /// Read only.
    Ro,
    /// Read and write, but not the names through which others execute.
    Rw,
    /// Read and write everything inside.
    RwExec,
}

/// One permission.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Permission {
    /// A folder. `host` is `None` in an ask whose folder the operator chooses.
    Folder {
        /// What it may be used for.
        mode: FolderMode,
        /// The name the guest sees; `None` means the folder's own absolute path.
        guest: Option<String>,
        /// The folder on the host as written (`~` is expanded when granted).
        host: Option<String>,
    },
    /// Outgoing requests.
    Network(NetworkRule),
    /// A range of addresses that granted names may resolve into although it is private.
    NetworkRange(crate::network::AddressRange),
    /// An environment variable; the value is the node's own unless one is given.
    Environment {
        /// The name.
        name: String,
        /// The value, when it is not the node's.
        value: Option<String>,
    },
    /// Wall clock and monotonic clock.
    Clock,
    /// Secure random numbers.
    Random,
    /// A key-value store of at most this many bytes.
    KeyValue {
        /// Bytes of keys and values.
        bytes: u64,
    },
    /// Calling other capabilities.
    Call(CallRule),
    /// Standard output of a command, at most this many bytes a call.
    Stdout {
        /// Bytes a call.
        bytes: u64,
    },
    /// Log text, at most this many bytes a call.
    Log {
        /// Bytes a call.
        bytes: u64,
    },
}

/// Which capabilities a plugin may call, and with which arguments.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CallRule {
    /// A capability id, or a prefix followed by `*`.
    pub capability: String,
    /// Arguments that must match: name and glob.
    pub arguments: Vec<(String, String)>,
}
