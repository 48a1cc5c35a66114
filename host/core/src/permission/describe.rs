//! A permission in plain words, for the review of an install.

use super::{CallRule, FolderMode, Permission};
use crate::{diagnostic::printable, network::NetworkRule};

impl Permission {
    /// What it allows, as the end of the sentence "this plugin may …". Characters that would
    /// reorder or hide text are replaced.
    #[must_use]
    pub fn describe(&self) -> String {
        let words = match self {
            Self::Folder { mode, guest, host } => {
                describe_folder(*mode, guest.as_deref(), host.as_deref())
            }
            Self::Network(rule) => describe_network(rule),
            Self::NetworkRange(range) => {
                format!("reach addresses in {range} where a granted name leads there")
            }
            Self::Environment { name, value: None } => {
                format!("read the environment variable {name}")
            }
            Self::Environment { name, value: Some(value) } => {
                format!("read the environment variable {name}, set to \"{value}\"")
            }
            Self::Clock => "read the clock".to_owned(),
            Self::Random => "draw secure random numbers".to_owned(),
            Self::KeyValue { bytes } => {
                format!("keep up to {} in a key-value store", words_of_size(*bytes))
            }
            Self::Index { bytes } => {
                format!("keep up to {} of documents to search in", words_of_size(*bytes))
            }
            Self::Call(rule) => describe_call(rule),
            Self::Model { name } => format!("run the model {name}"),
            Self::Stdout { bytes } => {
                format!("write up to {} of standard output in a call", words_of_size(*bytes))
            }
            Self::Log { bytes } => {
                format!("write up to {} of log text in a call", words_of_size(*bytes))
            }
        };
        printable(&words)
    }
}

fn describe_folder(mode: FolderMode, guest: Option<&str>, host: Option<&str>) -> String {
    let verb = match mode {
        FolderMode::Ro | FolderMode::Git => "read files in",
        FolderMode::Rw | FolderMode::RwExec => "read, change and delete files in",
    };
    let mut words = format!("{verb} {}", host.unwrap_or("a folder that you choose"));
    if let Some(guest) = guest {
        words.push_str(&format!(" (which it sees as {guest})"));
    }
    match mode {
        FolderMode::Ro => {}
        FolderMode::Git => {
            words.push_str(", and write and delete objects and branches of its git repositories");
        }
        FolderMode::Rw => words.push_str(", except those through which other programs execute"),
        FolderMode::RwExec => {
            words.push_str(", also those through which other programs execute");
        }
    }
    words
}

fn describe_network(rule: &NetworkRule) -> String {
    let methods =
        if rule.methods.is_empty() { "all methods".to_owned() } else { rule.methods.join(", ") };
    let path = if rule.path_prefix == "/" { "" } else { &rule.path_prefix };
    format!("requests to {}://{}:{}{path} ({methods})", rule.scheme.as_str(), rule.host, rule.port)
}

fn describe_call(rule: &CallRule) -> String {
    let mut words = match rule.capability.strip_suffix('*') {
        Some("") => "call every capability".to_owned(),
        Some(_) => format!("call every capability below {}", rule.capability),
        None => format!("call {}", rule.capability),
    };
    for (index, (name, glob)) in rule.arguments.iter().enumerate() {
        let before = if index == 0 { " where" } else { " and" };
        words.push_str(&format!("{before} {name} is like {glob}"));
    }
    words
}

fn words_of_size(bytes: u64) -> String {
    let text = super::format_size(bytes);
    match text.find(|character: char| !character.is_ascii_digit()) {
        Some(unit) => {
            let (number, unit) = text.split_at(unit);
            format!("{number} {unit}")
        }
        None => format!("{text} bytes"),
    }
}
