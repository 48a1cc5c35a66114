//! Changes the configuration that lies in the data directory. Everything else in the file stays as
//! the operator wrote it, comments as well.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use meshhost_core::{
    code::Code,
    config::{CONFIG_BYTES_MAX, InferenceEngines, NodeConfig},
    evidence::{event::EventType, fact::Facts},
    outcome::Refusal,
};
use toml_edit::{DocumentMut, Item, Table, Value};

use super::Node;
use crate::{blocking, entrance::Entrance, regular_file, store::error::StoreError};

impl Node {
    /// Writes down which engines may run models. It holds from the next start on.
    pub(super) async fn use_engines(
        &self,
        entrance: &Entrance,
        engines: InferenceEngines,
    ) -> Result<(), Refusal> {
        if let Some(file) = &self.configured_by {
            let message = format!(
                "the node is configured by {}: write engines = \"{}\" under [inference] there",
                file.display(),
                engines.name()
            );
            return Err(Refusal::new(Code::UsageError, message));
        }
        let path = self.store.directory.configuration();
        let text = with_engines(&path, engines)?;
        let facts = Facts::new().text("key", "inference.engines").text("value", engines.name());
        self.lifecycle.record(entrance, EventType::ConfigurationChanged, facts).await?;
        blocking::run(move || write(&path, &text)).await?
    }
}

/// The file's text with other engines. It is checked as a whole, as at a start.
fn with_engines(path: &Path, engines: InferenceEngines) -> Result<String, Refusal> {
    let shown = path.display().to_string();
    let text = match regular_file::read_text(path, CONFIG_BYTES_MAX) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => {
            let message = format!("the configuration {shown} cannot be read: {error}");
            return Err(Refusal::new(Code::ConfigInvalid, message));
        }
    };
    NodeConfig::parse(&shown, &text)?;
    let unreadable = |error: &dyn std::fmt::Display| {
        let message = format!("the configuration {shown} cannot be changed: {error}");
        Refusal::new(Code::ConfigInvalid, message)
    };
    let mut document: DocumentMut = text.parse().map_err(|error| unreadable(&error))?;
    let table = document.entry("inference").or_insert_with(|| Item::Table(Table::new()));
    let table = table.as_table_like_mut().ok_or_else(|| unreadable(&"[inference] is no table"))?;
    let mut written = Value::from(engines.name());
    if let Some(before) = table.get("engines").and_then(Item::as_value) {
        *written.decor_mut() = before.decor().clone();
    }
    table.insert("engines", Item::Value(written));
    let text = document.to_string();
    NodeConfig::parse(&shown, &text)?;
    Ok(text)
}

/// A crash leaves the old file or the new one.
fn write(path: &Path, text: &str) -> Result<(), Refusal> {
    let temporary = path.with_extension("toml.new");
    let written = (|| -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    })();
    written.map_err(|error| {
        // A part of a file would only take the space that is missing.
        let _ = fs::remove_file(&temporary);
        StoreError::io("write meshhost.toml")(error).refusal()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_the_file_stays_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("meshhost.toml");
        let embedded = InferenceEngines::Embedded;
        let text = with_engines(&path, embedded).unwrap();
        assert_eq!(text, "[inference]\nengines = \"embedded\"\n");
        let own = "# mine\nconcurrency = 8 # as many\n\n[inference] # models\nthreads = 2\n";
        write(&path, own).unwrap();
        let text = with_engines(&path, embedded).unwrap();
        assert_eq!(text, format!("{own}engines = \"embedded\"\n"));
        write(&path, &format!("{own}engines = \"embedded\" # small\n")).unwrap();
        let text = with_engines(&path, InferenceEngines::Any).unwrap();
        assert_eq!(text, format!("{own}engines = \"any\" # small\n"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_would_not_be_right_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("meshhost.toml");
        for text in ["[inference]\nprovider = \"cuda\"\n", "concurency = 8\n", "inference = 1\n"] {
            write(&path, text).unwrap();
            let refusal = with_engines(&path, InferenceEngines::Embedded).unwrap_err();
            assert_eq!(refusal.code, Code::ConfigInvalid, "{text}");
        }
    }
}
