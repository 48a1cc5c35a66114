//! What a plugin may do, one permission at a time: the same grammar in manifests, grant files,
//! profiles and on the command line.
//!
//! | written | means |
//! |---|---|
//! | `fs:ro=~/notes`, `fs:rw=/data=~/notes`, `fs:rw+exec=PATH` | a folder, under its own or another name |
//! | `fs:git=~/src/project` | a folder to read, and to commit in the git repositories there |
//! | `net=https://api.example.org/v1` | requests to that host, port, path prefix |
//! | `net=GET,HEAD https://*.example.org:8443` | with methods and a host pattern |
//! | `net-range=10.0.0.0/8` | lets granted names resolve into a private range |
//! | `env=LANG`, `env=LANG=C` | an environment variable, from the node or with a value |
//! | `clock`, `random` | the wall clock and monotonic clock; secure random numbers |
//! | `kv=8MiB` | a key-value store of that size |
//! | `index=256MiB` | documents to search in, of that size |
//! | `call=filesystem.*`, `call=filesystem.read path=~/notes/**` | calling other capabilities |
//! | `model=ppocr-det` | running a model that the operator has added under that name |
//! | `stdout=64KiB`, `log=64KiB` | standard output of commands; log text |
//!
//! A manifest may ask for a folder without naming it (`fs:ro`, or `fs:ro=/data=` when the plugin
//! wants to see it as `/data`): the operator chooses. In a path `=` is written `\=` and `\` is
//! written `\\`. In an argument `*` stands for characters other than `/`, `**` for any, and `\`
//! takes the next character as it is, a space too.
//!
//! Deliberately absent: permissions that take something away. What is not granted is denied.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    capability::Risk,
    code::Code,
    network::{AddressClass, HostPattern, NetworkRule},
};

mod call;
mod describe;
mod folder;
pub mod glob;
mod parse;
mod size;

pub use call::{ARGUMENTS_MAX, CallRule, CallRules};
pub(crate) use call::{covers_id, same_name};
pub use parse::is_model_name;
pub use size::parse_size;

pub(crate) use size::format_size;

/// Longest permission in bytes, as written.
pub const PERMISSION_BYTES_MAX: usize = 10_240;
/// Longest path in bytes.
pub const PATH_BYTES_MAX: usize = 4_096;
/// Longest name of an environment variable in bytes.
pub const ENVIRONMENT_NAME_BYTES_MAX: usize = 128;
/// Longest name of a model in bytes.
pub const MODEL_NAME_BYTES_MAX: usize = 64;
/// Longest value of an environment variable in bytes.
pub const ENVIRONMENT_VALUE_BYTES_MAX: usize = 4_096;

/// What a folder may be used for. In order: each includes the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FolderMode {
    /// Read only.
    #[serde(rename = "ro")]
    Ro,
    /// Read, and write what making commits writes below `.git`; nothing else.
    #[serde(rename = "git")]
    Git,
    /// Read and write, but not the names through which others execute.
    #[serde(rename = "rw")]
    Rw,
    /// Read and write everything inside.
    #[serde(rename = "rw+exec")]
    RwExec,
}

impl FolderMode {
    /// `ro`, `git`, `rw` or `rw+exec`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ro => "ro",
            Self::Git => "git",
            Self::Rw => "rw",
            Self::RwExec => "rw+exec",
        }
    }
}

/// One permission. Parsed from and printed in the grammar above; what it prints is the canonical
/// form, and parsing that gives the same permission.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
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
    /// Corpora of documents to search in, of at most this many bytes together.
    Index {
        /// Bytes of texts, vectors, keys and attributes.
        bytes: u64,
    },
    /// Calling other capabilities.
    Call(CallRule),
    /// Running a model.
    Model {
        /// The name that the operator added it under.
        name: String,
    },
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

/// Why a text is not a permission. The message repeats a bounded, printable piece of the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a permission: {problem}")]
pub struct PermissionError {
    /// The text, shortened and escaped.
    pub text: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to write instead, when that is known.
    pub hint: Option<String>,
}

impl PermissionError {
    /// The code of this error, always the same.
    pub const CODE: Code = Code::GrantInvalid;
}

impl Permission {
    /// Whether everything that `other` allows is allowed by this permission too. A folder that is
    /// not named, on either side, stands for any folder: an ask for `fs:rw` covers a grant of
    /// `fs:ro=/x`, and that grant covers an ask for `fs:ro`.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Folder { mode, guest, host },
                Self::Folder { mode: other_mode, guest: other_guest, host: other_host },
            ) => {
                let own = (guest.as_deref(), host.as_deref());
                let others = (other_guest.as_deref(), other_host.as_deref());
                mode >= other_mode && folder::covers(own, others)
            }
            (Self::Network(rule), Self::Network(other)) => rule.covers(other),
            (Self::NetworkRange(range), Self::NetworkRange(other)) => range.covers(other),
            (
                Self::Environment { name, value },
                Self::Environment { name: other_name, value: other_value },
            ) => name == other_name && (value.is_none() || value == other_value),
            (Self::Call(rule), Self::Call(other)) => rule.covers(other),
            (Self::KeyValue { bytes }, Self::KeyValue { bytes: other })
            | (Self::Index { bytes }, Self::Index { bytes: other })
            | (Self::Stdout { bytes }, Self::Stdout { bytes: other })
            | (Self::Log { bytes }, Self::Log { bytes: other }) => bytes >= other,
            (Self::Model { name }, Self::Model { name: other }) => name == other,
            (Self::Clock, Self::Clock) | (Self::Random, Self::Random) => true,
            _ => false,
        }
    }

    /// How much harm this permission alone can do. Reading is low; writing and the network are
    /// medium; calling others, names through which others execute, and addresses that are not
    /// public are high. Writing together with network is judged by [`risk_of`].
    #[must_use]
    pub fn risk(&self) -> Risk {
        match self {
            Self::Folder { mode: FolderMode::Git | FolderMode::Rw, .. } => Risk::Medium,
            Self::Folder { mode: FolderMode::RwExec, .. }
            | Self::Call(_)
            | Self::NetworkRange(_) => Risk::High,
            Self::Network(rule) => match rule.host {
                HostPattern::Address(address)
                    if AddressClass::of(address) != AddressClass::Public =>
                {
                    Risk::High
                }
                _ => Risk::Medium,
            },
            _ => Risk::Low,
        }
    }

    /// Whether it writes files.
    #[must_use]
    pub const fn writes(&self) -> bool {
        matches!(self, Self::Folder { mode, .. } if !matches!(mode, FolderMode::Ro))
    }

    /// Whether it reaches the network.
    #[must_use]
    pub const fn reaches_network(&self) -> bool {
        matches!(self, Self::Network(_) | Self::NetworkRange(_))
    }

    /// Whether it names all that it means: no folder is left for the operator to choose, and
    /// every path is absolute, without `~` and without dot segments.
    #[must_use]
    pub fn is_concrete(&self) -> bool {
        match self {
            Self::Folder { host, .. } => host.as_deref().is_some_and(folder::is_plain_absolute),
            Self::Call(rule) => rule.arguments.iter().all(|(_, glob)| !folder::is_in_home(glob)),
            _ => true,
        }
    }

    /// The same permission with `~` replaced by the home folder and a relative folder put below
    /// the working folder, both absolute. Nothing is looked up: symbolic links and `..` are
    /// resolved when the folder is opened to be granted.
    ///
    /// # Errors
    /// When the longer path is no permission any more.
    pub fn absolute(self, working_folder: &str, home: &str) -> Result<Self, PermissionError> {
        let expanded = match self {
            Self::Folder { mode, guest, host: Some(host) } => {
                let host = Some(folder::absolute(&host, working_folder, home));
                Self::Folder { mode, guest, host }
            }
            Self::Call(rule) => Self::Call(rule.with_home(home)),
            other => other,
        };
        // Read again, so that every bound holds for the longer form too.
        expanded.to_string().parse()
    }
}

/// How much harm several permissions together can do: the highest of them, and high when files
/// can be written and the network reached.
#[must_use]
pub fn risk_of<'a>(permissions: impl IntoIterator<Item = &'a Permission>) -> Risk {
    let (mut risk, mut writes, mut network) = (Risk::Low, false, false);
    for permission in permissions {
        risk = risk.max(permission.risk());
        writes |= permission.writes();
        network |= permission.reaches_network();
    }
    if writes && network { risk.max(Risk::High) } else { risk }
}

impl TryFrom<String> for Permission {
    type Error = PermissionError;

    fn try_from(text: String) -> Result<Self, PermissionError> {
        text.parse()
    }
}

impl From<Permission> for String {
    fn from(permission: Permission) -> Self {
        permission.to_string()
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder { mode, guest, host } => {
                write!(formatter, "fs:{}", mode.as_str())?;
                folder::write_paths(formatter, guest.as_deref(), host.as_deref())
            }
            Self::Network(rule) => write!(formatter, "net={rule}"),
            Self::NetworkRange(range) => write!(formatter, "net-range={range}"),
            Self::Environment { name, value: None } => write!(formatter, "env={name}"),
            Self::Environment { name, value: Some(value) } => {
                write!(formatter, "env={name}={value}")
            }
            Self::Clock => formatter.write_str("clock"),
            Self::Random => formatter.write_str("random"),
            Self::KeyValue { bytes } => write!(formatter, "kv={}", format_size(*bytes)),
            Self::Index { bytes } => write!(formatter, "index={}", format_size(*bytes)),
            Self::Call(rule) => write!(formatter, "call={rule}"),
            Self::Model { name } => write!(formatter, "model={name}"),
            Self::Stdout { bytes } => write!(formatter, "stdout={}", format_size(*bytes)),
            Self::Log { bytes } => write!(formatter, "log={}", format_size(*bytes)),
        }
    }
}

#[cfg(test)]
mod tests;
