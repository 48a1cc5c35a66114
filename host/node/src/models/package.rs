//! What there is to add: a folder with `models.toml`, or plain files.
//!
//! ```toml
//! [[model]]
//! name = "minilm"                # what plugins ask for: model=minilm
//! file = "model.onnx"
//! files = ["tokenizer.json"]     # what else belongs to it
//! task = "embed"                 # tensors, embed, rerank
//! licence = "Apache-2.0"
//! source = "where it comes from, in words"
//! tokenizer = "tokenizer.json"   # embed, rerank: one of the files
//! tokens_max = 256               # embed, rerank
//! pooling = "mean"               # embed: mean or first
//! normalise = true               # embed
//! batch_rows = 1                 # more, when no row depends on another
//! ```
//!
//! The file is read and judged here; the files that it names are only named.

use std::{
    collections::BTreeSet,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use meshhost_core::{
    code::Code,
    diagnostic::{Diagnostic, Source, nearest, read_toml},
    id::ModelName,
    inference::{NAME_BYTES_MAX, Pooling},
    outcome::Refusal,
};
use serde::Deserialize;
use toml::Spanned;

use crate::{
    regular_file::{self, Links},
    store::models::Task,
};

/// The file that describes a package.
const DESCRIPTION: &str = "models.toml";
/// Largest description in bytes.
const DESCRIPTION_BYTES_MAX: usize = 64 * 1024;
/// Models that one package, or one command, adds at most.
const MODELS_MAX: usize = 64;
/// Files beside a model.
const FILES_MAX: usize = 32;
/// Longest licence and source, in characters.
const WORDS_CHARS_MAX: usize = 1_000;
/// Most tokens that a text may be cut to.
const TOKENS_MAX: u64 = 8_192;
/// Most rows that may run together.
const BATCH_ROWS_MAX: u64 = 1_024;
/// The tokenizer of a model that names none.
const TOKENIZER: &str = "tokenizer.json";
/// The licence of a file that comes without a description.
const UNKNOWN: &str = "unknown";

/// A model that is to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Planned {
    pub(super) name: ModelName,
    pub(super) file: PathBuf,
    /// Names and places of the files beside it.
    pub(super) files: Vec<(String, PathBuf)>,
    /// Whether these files may be links.
    pub(super) links: Links,
    pub(super) task: Task,
    pub(super) batch_rows: u32,
    pub(super) licence: String,
    pub(super) source: String,
}

/// The models that `from` has under this name: of a package the one that is called so, else those
/// whose names begin with it and `-`.
pub(super) fn read(name: &ModelName, from: &[PathBuf]) -> Result<Vec<Planned>, Refusal> {
    match from {
        [folder] if folder.is_dir() => {
            let planned = read_folder(folder)?;
            select(name, planned)
        }
        _ => from_files(name, from),
    }
}

fn read_folder(folder: &Path) -> Result<Vec<Planned>, Refusal> {
    let path = folder.join(DESCRIPTION);
    let text = regular_file::read_text_by(&path, Links::Refuse, DESCRIPTION_BYTES_MAX);
    let text = text.map_err(|error| match error.kind() {
        ErrorKind::NotFound => invalid(format!(
            "{} has no {DESCRIPTION}; name the files themselves: --from model.onnx",
            folder.display()
        )),
        _ => invalid(format!("{} cannot be read: {error}", path.display())),
    })?;
    parse(folder, &path.display().to_string(), &text).map_err(Refusal::from)
}

fn select(name: &ModelName, planned: Vec<Planned>) -> Result<Vec<Planned>, Refusal> {
    if let Some(one) = planned.iter().find(|one| one.name == *name) {
        return Ok(vec![one.clone()]);
    }
    let family = format!("{name}-");
    let names: Vec<String> = planned.iter().map(|one| one.name.to_string()).collect();
    let family: Vec<Planned> =
        planned.into_iter().filter(|one| one.name.as_str().starts_with(&family)).collect();
    if family.is_empty() {
        let message = format!("the package has no model {name}; it has {}", names.join(", "));
        return Err(Refusal::new(Code::NotFound, message));
    }
    Ok(family)
}

fn from_files(name: &ModelName, from: &[PathBuf]) -> Result<Vec<Planned>, Refusal> {
    if from.is_empty() || from.len() > MODELS_MAX {
        let message = format!("name one folder, or 1 to {MODELS_MAX} files");
        return Err(Refusal::new(Code::UsageError, message));
    }
    let mut seen = BTreeSet::new();
    from.iter()
        .map(|file| {
            let name = if from.len() == 1 { name.clone() } else { joined(name, file)? };
            if file.extension().is_none_or(|extension| extension != "onnx") {
                let message = format!(
                    "{} is no folder and does not end in .onnx; other files belong into a folder \
                     with {DESCRIPTION}",
                    file.display()
                );
                return Err(invalid(message));
            }
            if !seen.insert(name.clone()) {
                return Err(invalid(format!("two of the files would be called {name}")));
            }
            Ok(Planned {
                name,
                file: file.clone(),
                files: Vec::new(),
                links: Links::Follow,
                task: Task::Tensors,
                batch_rows: 1,
                licence: UNKNOWN.to_owned(),
                source: UNKNOWN.to_owned(),
            })
        })
        .collect()
}

/// `encoder_model.onnx` under the name `t5` is `t5-encoder-model`.
fn joined(name: &ModelName, file: &Path) -> Result<ModelName, Refusal> {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    let stem = stem.replace(['_', '.', ' '], "-");
    format!("{name}-{stem}").parse().map_err(|error| {
        invalid(format!("{} gives a name that no model may have: {error}", file.display()))
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPackage {
    #[serde(default)]
    model: Vec<Spanned<RawModel>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawModel {
    name: Spanned<String>,
    file: Spanned<String>,
    #[serde(default)]
    files: Vec<Spanned<String>>,
    task: Option<RawTask>,
    licence: Spanned<String>,
    source: Option<Spanned<String>>,
    tokenizer: Option<Spanned<String>>,
    tokens_max: Option<Spanned<u64>>,
    pooling: Option<Spanned<Pooling>>,
    normalise: Option<Spanned<bool>>,
    batch_rows: Option<Spanned<u64>>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawTask {
    Tensors,
    Embed,
    Rerank,
}

/// What a description says. `file` is its name, for errors.
fn parse(folder: &Path, file: &str, text: &str) -> Result<Vec<Planned>, Diagnostic> {
    let source = Source { code: Code::ModelInvalid, file, text };
    let raw: RawPackage = read_toml(&source, DESCRIPTION_BYTES_MAX)?;
    if raw.model.is_empty() || raw.model.len() > MODELS_MAX {
        let message = format!("the package has {} models", raw.model.len());
        let hint = format!("write 1 to {MODELS_MAX} tables [[model]]");
        return Err(source.error_with_hint(0..0, message, hint));
    }
    let read = Reader { source: &source, folder };
    let mut planned: Vec<Planned> = Vec::new();
    for raw in &raw.model {
        let model = read.model(raw)?;
        if planned.iter().any(|other| other.name == model.name) {
            let message = format!("two models are called {}", model.name);
            return Err(source.error(raw.get_ref().name.span(), message));
        }
        planned.push(model);
    }
    Ok(planned)
}

/// Reads single values of one description.
struct Reader<'a> {
    source: &'a Source<'a>,
    folder: &'a Path,
}

impl Reader<'_> {
    fn model(&self, spanned: &Spanned<RawModel>) -> Result<Planned, Diagnostic> {
        let raw = spanned.get_ref();
        let name = raw.name.get_ref().parse::<ModelName>();
        let name = name.map_err(|error| self.source.error(raw.name.span(), error))?;
        if raw.files.len() > FILES_MAX {
            let message = format!("the model has more than {FILES_MAX} files beside it");
            return Err(self.source.error(spanned.span(), message));
        }
        let file = self.plain(&raw.file)?;
        let mut seen = BTreeSet::from([raw.file.get_ref()]);
        let mut files = Vec::new();
        for named in &raw.files {
            let path = self.plain(named)?;
            if !seen.insert(named.get_ref()) {
                return Err(self.source.error(named.span(), "the file is named twice"));
            }
            files.push((named.get_ref().clone(), path));
        }
        let source = raw.source.as_ref().map(|words| self.words(words, "source")).transpose()?;
        Ok(Planned {
            name,
            file,
            task: self.task(spanned, &files)?,
            files,
            links: Links::Refuse,
            batch_rows: self.number(raw.batch_rows.as_ref(), "batch_rows", BATCH_ROWS_MAX, 1)?,
            licence: self.words(&raw.licence, "licence")?,
            source: source.unwrap_or_else(|| UNKNOWN.to_owned()),
        })
    }

    /// A file of the very folder: no name leads out of it, or to what is hidden in it.
    fn plain(&self, name: &Spanned<String>) -> Result<PathBuf, Diagnostic> {
        let text = name.get_ref();
        let foreign = |letter: char| letter.is_control() || matches!(letter, '/' | '\\');
        if text.is_empty() || text.starts_with('.') || text.contains(foreign) {
            let message = "this is not the plain name of a file";
            let hint = "the file lies beside models.toml: write its name alone";
            return Err(self.source.error_with_hint(name.span(), message, hint));
        }
        if text.len() > NAME_BYTES_MAX {
            let message = format!("the name is longer than {NAME_BYTES_MAX} bytes");
            return Err(self.source.error(name.span(), message));
        }
        Ok(self.folder.join(text))
    }

    fn words(&self, words: &Spanned<String>, key: &str) -> Result<String, Diagnostic> {
        let text = words.get_ref().trim();
        if text.is_empty() || text.chars().nth(WORDS_CHARS_MAX).is_some() {
            let message = format!("`{key}` has no or too many letters");
            let hint = format!("write 1 to {WORDS_CHARS_MAX} letters");
            return Err(self.source.error_with_hint(words.span(), message, hint));
        }
        Ok(text.to_owned())
    }

    fn number(
        &self,
        value: Option<&Spanned<u64>>,
        key: &str,
        most: u64,
        default: u32,
    ) -> Result<u32, Diagnostic> {
        let Some(value) = value else { return Ok(default) };
        let number = *value.get_ref();
        match u32::try_from(number) {
            Ok(narrow) if (1..=most).contains(&number) => Ok(narrow),
            _ => {
                let hint = format!("write a number from 1 to {most}");
                let message = format!("`{key}` is {number}");
                Err(self.source.error_with_hint(value.span(), message, hint))
            }
        }
    }

    fn task(
        &self,
        spanned: &Spanned<RawModel>,
        files: &[(String, PathBuf)],
    ) -> Result<Task, Diagnostic> {
        let raw = spanned.get_ref();
        let task = raw.task.unwrap_or(RawTask::Tensors);
        let pooling = raw.pooling.as_ref().map(Spanned::span);
        let embed =
            [("pooling", pooling), ("normalise", raw.normalise.as_ref().map(Spanned::span))];
        let text = [
            ("tokenizer", raw.tokenizer.as_ref().map(Spanned::span)),
            ("tokens_max", raw.tokens_max.as_ref().map(Spanned::span)),
        ];
        let text = text.into_iter().filter(|_| task == RawTask::Tensors);
        let useless = embed.into_iter().filter(|_| task != RawTask::Embed).chain(text);
        if let Some((key, span)) = useless.filter_map(|(key, span)| Some((key, span?))).next() {
            let message = format!("`{key}` says nothing of a model with this task");
            return Err(self.source.error_with_hint(span, message, "leave it out, or set `task`"));
        }
        if task == RawTask::Tensors {
            return Ok(Task::Tensors);
        }
        let tokenizer = self.tokenizer(spanned, files)?;
        if raw.tokens_max.is_none() {
            return Err(self.missing(spanned, "tokens_max"));
        }
        let tokens_max = self.number(raw.tokens_max.as_ref(), "tokens_max", TOKENS_MAX, 1)?;
        if task == RawTask::Rerank {
            return Ok(Task::Rerank { tokenizer, tokens_max });
        }
        let pooling = raw.pooling.as_ref().map(|pooling| *pooling.get_ref());
        Ok(Task::Embed {
            tokenizer,
            tokens_max,
            pooling: pooling.ok_or_else(|| self.missing(spanned, "pooling"))?,
            normalise: raw.normalise.as_ref().is_none_or(|normalise| *normalise.get_ref()),
        })
    }

    fn tokenizer(
        &self,
        spanned: &Spanned<RawModel>,
        files: &[(String, PathBuf)],
    ) -> Result<String, Diagnostic> {
        let named = spanned.get_ref().tokenizer.as_ref();
        let name = named.map_or(TOKENIZER, |named| named.get_ref());
        let span = named.map_or_else(|| spanned.span(), Spanned::span);
        if files.iter().any(|(file, _)| file == name) {
            return Ok(name.to_owned());
        }
        let message = format!("`{name}` is not among the model's files");
        let known = nearest(name, files.iter().map(|(file, _)| file.as_str()));
        let hint = match known {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("write files = [\"{TOKENIZER}\"]"),
        };
        Err(self.source.error_with_hint(span, message, hint))
    }

    fn missing(&self, spanned: &Spanned<RawModel>, key: &str) -> Diagnostic {
        self.source.error(spanned.span(), format!("a model with this task needs `{key}`"))
    }
}

fn invalid(message: String) -> Refusal {
    Refusal::new(Code::ModelInvalid, message)
}

#[cfg(test)]
mod tests;
