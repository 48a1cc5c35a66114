//! Between the contract's types and ours.

use crate::detect;
use crate::failure::Failure;
use crate::glossary::Term;
use crate::model::Translator;
use crate::tensors::{long, short};
use crate::translate::{self, Options};
use crate::translator::{self as wit, Error};

pub(crate) fn options(
    from: Option<String>,
    to: String,
    model: Option<String>,
    beams: Option<u32>,
    tokens_max: Option<u32>,
    glossary: Option<Vec<wit::Term>>,
) -> Options {
    let term = |term: wit::Term| Term { source: term.source, target: term.target };
    Options {
        from,
        to,
        model,
        beams: beams.map(long),
        tokens_max: tokens_max.map(long),
        glossary: glossary.unwrap_or_default().into_iter().map(term).collect(),
    }
}

pub(crate) fn model(translator: &Translator) -> wit::Model {
    let (encoder, decoder) = translator.digests();
    wit::Model {
        name: translator.name.clone(),
        encoder: encoder.to_owned(),
        decoder: decoder.to_owned(),
        sources: translator.sources.clone(),
        targets: translator.targets.clone(),
        tokens_max: short(translator.settings.source_max),
        beams: short(translator.settings.beams),
    }
}

pub(crate) fn translation(translation: translate::Translation) -> wit::Translation {
    let term = |term: Term| wit::Term { source: term.source, target: term.target };
    wit::Translation {
        text: translation.text,
        from: translation.from,
        confidence: translation.confidence,
        cut: translation.cut,
        missed: translation.missed.into_iter().map(term).collect(),
    }
}

pub(crate) fn detection(text: &str) -> wit::Detection {
    detect::find(text).map_or(wit::Detection { language: None, confidence: 0.0 }, |found| {
        wit::Detection { language: Some(found.language), confidence: found.confidence }
    })
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Invalid(text) => Self::Invalid(text),
            Failure::TooLarge(text) => Self::TooLarge(text),
            Failure::Language(text) => Self::Language(text),
            Failure::NoModel(text) => Self::NoModel(text),
            Failure::Busy(text) => Self::Busy(text),
            Failure::Quota(text) => Self::Quota(text),
            Failure::Unavailable(text) => Self::Unavailable(text),
            Failure::Fault(text) => Self::Fault(text),
        }
    }
}
