//! What a corpus is made with: kept in its settings, compared before anything is added or asked.

use std::fmt;

use crate::cut::{CUTTING, Limits, PASSAGE_TOKENS};
use crate::embedder::Model;
use crate::index;
use crate::ports::{Embedder, Index, Ports};
use crate::retrieval::Error;

/// The model of a new corpus when none is named.
pub const MODEL: &str = "minilm";
/// Bytes of a model's name.
const MODEL_NAME_BYTES_MAX: usize = 64;
/// What the words in the settings begin with.
const OURS: &str = "meshhost:rag";

/// What made a corpus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maker {
    /// Which way its documents are cut.
    pub cutting: u32,
    /// The embedding model's name.
    pub model: String,
    /// The embedding model's digest.
    pub digest: String,
}

impl Maker {
    /// What makes corpora now, with this model.
    #[must_use]
    pub fn now(model: &Model) -> Self {
        Self { cutting: CUTTING, model: model.name.clone(), digest: model.digest.clone() }
    }

    /// Reads the words in a corpus's settings; nothing when they are not ours.
    #[must_use]
    pub fn read(words: &str) -> Option<Self> {
        let mut words = words.split(' ');
        let mut value = |name: &str| words.next()?.strip_prefix(name);
        value(OURS)?;
        Some(Self {
            cutting: value("cutting=")?.parse().ok()?,
            model: value("model=")?.to_owned(),
            digest: value("digest=")?.to_owned(),
        })
    }
}

impl fmt::Display for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cutting, model, digest } = self;
        write!(f, "{OURS} cutting={cutting} model={model} digest={digest}")
    }
}

/// An opened corpus, as ingest needs it.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    pub(crate) name: String,
    pub(crate) model: Model,
    pub(crate) limits: Limits,
}

/// Opens a corpus to add to it. It is made when it is not there.
pub(crate) fn open(
    ports: &Ports<'_>,
    name: &str,
    model: Option<&str>,
    anew: bool,
) -> Result<Opened, Error> {
    let known = find(ports.index, name)?;
    let own = known.as_ref().and_then(|known| Maker::read(&known.settings.maker));
    let wanted = model.or_else(|| own.as_ref().map(|own| own.model.as_str())).unwrap_or(MODEL);
    if wanted.is_empty() || wanted.len() > MODEL_NAME_BYTES_MAX || wanted.contains(' ') {
        return Err(Error::Invalid(format!("{wanted:?} is no name of a model")));
    }
    let model = ports.embedder.describe(wanted)?;
    // Before anything is dropped: what cannot be filled again stays.
    let limits = limits(ports.embedder, &model)?;
    let maker = Maker { model: wanted.to_owned(), ..Maker::now(&model) };
    if anew && known.is_some() {
        ports.index.drop(name)?;
    }
    let settings = index::Settings { dimensions: Some(model.dimensions), maker: maker.to_string() };
    let corpus = ports.index.open(name, &settings)?;
    check(&corpus, &model.digest)?;
    Ok(Opened { name: name.to_owned(), model: Model { name: wanted.to_owned(), ..model }, limits })
}

/// What passages of this model hold.
fn limits(embedder: &dyn Embedder, model: &Model) -> Result<Limits, Error> {
    let counts = embedder.count_tokens(&[String::new()], &model.name)?;
    let marks = counts.first().copied().unwrap_or(0);
    let tokens = model.tokens_max.min(PASSAGE_TOKENS);
    if tokens < marks.saturating_add(16) {
        return Err(Error::NoModel(format!(
            "the model {:?} takes {tokens} tokens: too few for passages",
            model.name
        )));
    }
    Ok(Limits { tokens, marks })
}

/// The corpus of that name, if there is one.
pub(crate) fn find(index: &dyn Index, name: &str) -> Result<Option<index::Corpus>, Error> {
    Ok(index.corpora()?.into_iter().find(|corpus| corpus.name == name))
}

/// What made the corpus of that name.
pub(crate) fn existing(index: &dyn Index, name: &str) -> Result<Maker, Error> {
    let missing = || Error::NotFound(format!("there is no corpus {name:?}: `rag.ingest` makes it"));
    let corpus = find(index, name)?.ok_or_else(missing)?;
    Maker::read(&corpus.settings.maker).ok_or_else(|| unknown(name))
}

/// Whether a corpus is made with the model of this digest, and cut as documents are cut now.
pub(crate) fn check(corpus: &index::Corpus, digest: &str) -> Result<(), Error> {
    let maker = Maker::read(&corpus.settings.maker).ok_or_else(|| unknown(&corpus.name))?;
    check_model(&corpus.name, &maker, digest)?;
    if maker.cutting == CUTTING {
        return Ok(());
    }
    Err(other(&corpus.name, "its documents were cut in another way than they are now"))
}

/// Whether vectors of the model of this digest can be compared with those of a corpus.
pub(crate) fn check_model(name: &str, maker: &Maker, digest: &str) -> Result<(), Error> {
    if maker.digest == digest {
        return Ok(());
    }
    let Maker { model, digest: made, .. } = maker;
    Err(other(name, &format!("it was made with {model:?} of {made}, and this model is {digest}")))
}

fn unknown(name: &str) -> Error {
    other(name, "nothing says with which model it was made")
}

fn other(name: &str, why: &str) -> Error {
    Error::OtherMaker(format!(
        "the corpus {name:?}: {why}; ingest its folders with anew=true, or into another corpus"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makers_are_written_and_read() {
        let maker = Maker {
            cutting: 1,
            model: "m".repeat(MODEL_NAME_BYTES_MAX),
            digest: format!("blake3:{}", "0".repeat(64)),
        };
        let words = maker.to_string();
        assert!(words.len() <= 256);
        assert_eq!(Maker::read(&words), Some(maker));
        assert_eq!(Maker::read("somebody else"), None);
        assert_eq!(Maker::read("meshhost:rag cutting=x model=m digest=d"), None);
    }
}
