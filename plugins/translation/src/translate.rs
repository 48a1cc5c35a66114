//! Texts in, translations out: bounds, languages, sentences, decoding, glossary.

use std::rc::Rc;

use crate::batch::{self, Sentence, Steps};
use crate::cut;
use crate::detect;
use crate::engine::Engine;
use crate::failure::Failure;
use crate::glossary::{self, Glossary, Term};
use crate::languages;
use crate::layout::{self, Part};
use crate::model::{self, Translator};
use crate::search::Decoded;
use crate::settings::{BEAMS_MAX, Settings};
use crate::wanted::Wanted;

/// The most texts of a call.
pub const TEXTS_MAX: usize = 64;
/// The most bytes of all texts of a call.
pub const BYTES_MAX: usize = 256 * 1024;
/// Tokens of what a sentence's translation has to hold: with more, nothing is forced.
const WANTED_MAX: usize = 64;
/// Beams that are followed where something is forced: those that have got equally far share them.
const WANTED_BEAMS: usize = BEAMS_MAX;

/// How texts are translated.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The language of all texts; absent means that it is found.
    pub from: Option<String>,
    /// The language to translate into.
    pub to: String,
    /// What the model's names begin with; absent means [`model::DEFAULT`].
    pub model: Option<String>,
    /// Absent means what the model was published with.
    pub beams: Option<usize>,
    /// The most tokens of a sentence's translation; absent means what the model was published with.
    pub tokens_max: Option<usize>,
    /// Terms that have to be translated so.
    pub glossary: Vec<Term>,
}

/// A text in another language.
#[derive(Debug, Clone, PartialEq)]
pub struct Translation {
    /// The translation.
    pub text: String,
    /// The language that it was translated from.
    pub from: String,
    /// How sure that is, 0 to 1.
    pub confidence: f32,
    /// Whether some sentence's translation reached the most tokens.
    pub cut: bool,
    /// Terms whose translation is missing.
    pub missed: Vec<Term>,
}

/// What is in a text, and where its translation is put together.
struct Draft<'a> {
    from: String,
    confidence: f32,
    /// Absent where the text is in the wanted language already.
    pieces: Option<Vec<Piece<'a>>>,
}

enum Piece<'a> {
    Kept(&'a str),
    /// The number among all sentences.
    Sentence(usize),
    /// What joins two pieces of one sentence.
    Space,
}

/// A sentence on its way.
struct Job<'a> {
    text: &'a str,
    from: String,
    terms: Vec<(Term, usize)>,
    done: Option<Decoded>,
    said: String,
}

/// Opens a model by what its names begin with; absent means [`model::DEFAULT`].
///
/// # Errors
/// When there is none of that name, or it is no translator.
pub fn open(engine: &dyn Engine, model: Option<&str>) -> Result<Translator, Failure> {
    Translator::open(engine, model.unwrap_or(model::DEFAULT))
}

/// Whether that many texts of that size are taken.
///
/// # Errors
/// When they are not.
pub fn check(texts: &[String]) -> Result<(), Failure> {
    if texts.is_empty() {
        return Err(Failure::Invalid(format!("give 1 to {TEXTS_MAX} texts")));
    }
    let bytes: usize = texts.iter().map(String::len).sum();
    if texts.len() > TEXTS_MAX || bytes > BYTES_MAX {
        return Err(Failure::TooLarge(format!(
            "{} texts with {bytes} bytes: the most is {TEXTS_MAX} texts with {BYTES_MAX} bytes at once",
            texts.len()
        )));
    }
    Ok(())
}

/// Translates texts.
///
/// # Errors
/// When a parameter is wrong, the model does not have a language, or the engine fails.
pub fn translate(
    engine: &dyn Engine,
    texts: &[String],
    options: &Options,
) -> Result<(Translator, Vec<Translation>), Failure> {
    check(texts)?;
    check_options(options)?;
    let glossary = Glossary::new(options.glossary.clone())?;
    let translator = open(engine, options.model.as_deref())?;
    let to = target(&translator, &options.to)?;
    let settings = settings(&translator, &to, options);
    let mut jobs = Vec::new();
    let mut drafts = Vec::new();
    for (number, text) in texts.iter().enumerate() {
        let (from, confidence) = source(&translator, number, text, options.from.as_deref())?;
        // Where the caller says the language, it is translated whatever it is.
        let there = options.from.is_none() && languages::short(&from) == languages::short(&to);
        let pieces = (!there).then(|| pieces(&translator, text, &from, &glossary, &mut jobs));
        drafts.push(Draft { from, confidence, pieces });
    }
    decode(&translator, &to, &settings, &mut jobs)?;
    let finished = texts.iter().zip(&drafts).map(|(text, draft)| finish(text, draft, &jobs, &to));
    let finished = finished.collect();
    Ok((translator, finished))
}

fn check_options(options: &Options) -> Result<(), Failure> {
    let names = options.from.iter().chain([&options.to]);
    if let Some(wrong) = names.into_iter().find(|name| !languages::is_name(name)) {
        let shown: String = wrong.chars().take(16).collect();
        return Err(Failure::Invalid(format!(
            "{shown:?} names no language: write `en`, `de` or `zho_Hans`"
        )));
    }
    if options.beams.is_some_and(|beams| !(1..=BEAMS_MAX).contains(&beams)) {
        return Err(Failure::Invalid(format!("`beams` is 1 to {BEAMS_MAX}")));
    }
    if options.tokens_max == Some(0) {
        return Err(Failure::Invalid("`tokens_max` is at least 1".to_owned()));
    }
    Ok(())
}

/// The wanted language, as the model names it.
fn target(translator: &Translator, wanted: &str) -> Result<String, Failure> {
    known(translator, wanted, &translator.targets, "into")
}

fn known(
    translator: &Translator,
    wanted: &str,
    all: &[String],
    way: &str,
) -> Result<String, Failure> {
    if all.is_empty() {
        return Ok(wanted.to_owned());
    }
    languages::find(wanted, all).cloned().ok_or_else(|| {
        let some: Vec<_> = all.iter().take(20).map(String::as_str).collect();
        Failure::Language(format!(
            "the model {:?} does not translate {way} {wanted:?}, but {way} {}{}",
            translator.name,
            some.join(", "),
            if all.len() > some.len() { " and others" } else { "" }
        ))
    })
}

/// The language of a text as the model names it, and how sure it is.
fn source(
    translator: &Translator,
    number: usize,
    text: &str,
    given: Option<&str>,
) -> Result<(String, f32), Failure> {
    if let Some(given) = given {
        return Ok((known(translator, given, &translator.sources, "from")?, 1.0));
    }
    let found = detect::find(text);
    let (language, confidence) =
        found.map_or((None, 0.0), |found| (Some(found.language), found.confidence));
    if let Some(language) = language.clone().filter(|_| confidence >= detect::SURE) {
        return match known(translator, &language, &translator.sources, "from") {
            Ok(name) => Ok((name, confidence)),
            // It may be the wanted language already, which not every model takes.
            Err(_)
                if translator.targets.iter().any(|target| languages::short(target) == language) =>
            {
                Ok((language, confidence))
            }
            Err(problem) => Err(Failure::Language(format!(
                "text {number} is in {language:?}: {problem}; give `from` where that is wrong"
            ))),
        };
    }
    // A guess is made among what the model takes.
    let guess = match translator.sources.as_slice() {
        // It does not say what it takes: then it does not matter.
        [] => language,
        [only] => Some(only.clone()),
        all => detect::find_among(text, all).and_then(|code| languages::find(&code, all).cloned()),
    };
    guess.map(|guess| (guess, confidence)).ok_or_else(|| {
        Failure::Language(format!("the language of text {number} cannot be told: give `from`"))
    })
}

fn settings(translator: &Translator, to: &str, options: &Options) -> Settings {
    let mut settings = translator.settings_into(to);
    settings.beams = options.beams.unwrap_or(settings.beams);
    if let Some(most) = options.tokens_max {
        settings.length_max = settings.length_max.min(most.saturating_add(1)).max(2);
    }
    settings
}

/// Cuts a text into sentences, which are added to the jobs.
fn pieces<'a>(
    translator: &Translator,
    text: &'a str,
    from: &str,
    glossary: &Glossary,
    jobs: &mut Vec<Job<'a>>,
) -> Vec<Piece<'a>> {
    let most = translator.settings.source_max.saturating_sub(translator.frame()).max(1);
    let mut pieces = Vec::new();
    for part in layout::parts(text, from) {
        match part {
            Part::Kept(text) => pieces.push(Piece::Kept(text)),
            Part::Sentence(sentence) => {
                // Sentences of a script without spaces stand close to each other.
                if matches!(pieces.last(), Some(Piece::Sentence(_))) {
                    pieces.push(Piece::Space);
                }
                for (number, text) in
                    cut::pieces(sentence, &translator.source, most).into_iter().enumerate()
                {
                    if number > 0 {
                        pieces.push(Piece::Space);
                    }
                    pieces.push(Piece::Sentence(jobs.len()));
                    let terms = glossary.found_in(text);
                    let from = from.to_owned();
                    jobs.push(Job { text, from, terms, done: None, said: String::new() });
                }
            }
        }
    }
    pieces
}

/// Decodes all sentences, and those once more whose terms are missing.
fn decode(
    translator: &Translator,
    to: &str,
    settings: &Settings,
    jobs: &mut [Job<'_>],
) -> Result<(), Failure> {
    let mut steps = Steps::new();
    let sentence = |job: &Job<'_>, wanted: Wanted| {
        let ids = translator.framed(&translator.source.encode(job.text), &job.from, to);
        Sentence { ids, wanted }
    };
    let sentences: Vec<_> = jobs.iter().map(|job| sentence(job, Wanted::default())).collect();
    let found = batch::decode(&translator.models, &sentences, settings, &mut steps)?;
    for (job, found) in jobs.iter_mut().zip(found) {
        take(translator, job, found);
    }
    let again: Vec<_> =
        jobs.iter_mut().filter(|job| !missing(&job.terms, &job.said).is_empty()).collect();
    if again.is_empty() {
        return Ok(());
    }
    let joining = joining(translator);
    let forced =
        again.into_iter().filter_map(|job| Some((wanted(translator, &job.terms, &joining)?, job)));
    let (wanted, mut forced): (Vec<_>, Vec<_>) = forced.unzip();
    let sentences: Vec<_> =
        wanted.into_iter().zip(&forced).map(|(wanted, job)| sentence(job, wanted)).collect();
    // By length, one that says the words besides what it says anyway would be the better one.
    let settings = Settings { beams: WANTED_BEAMS, length_penalty: 0.0, ..settings.clone() };
    let found = batch::decode(&translator.models, &sentences, &settings, &mut steps)?;
    for (job, found) in forced.iter_mut().zip(found) {
        // Without one that holds everything the first one stays, and is said to miss something.
        if let Some(found) = found {
            take(translator, job, Some(found));
        }
    }
    Ok(())
}

fn take(translator: &Translator, job: &mut Job<'_>, found: Option<Decoded>) {
    job.said =
        found.as_ref().map(|found| translator.target().decode(&found.tokens)).unwrap_or_default();
    job.done = found;
}

/// Terms that stand there fewer times than they should.
fn missing<'a>(terms: &'a [(Term, usize)], said: &str) -> Vec<&'a Term> {
    let lacks = |(term, count): &&(Term, usize)| glossary::count(said, &term.target) < *count;
    terms.iter().filter(lacks).map(|(term, _)| term).collect()
}

/// Tokens that go on with the word before them.
fn joining(translator: &Translator) -> Rc<[u32]> {
    let goes_on = |text: &str| text.chars().next().is_some_and(glossary::joins);
    translator.target().tokens().filter(|(text, _)| goes_on(text)).map(|(_, id)| id).collect()
}

/// What a translation has to hold; nothing where the vocabulary cannot spell it or it is too much.
fn wanted(translator: &Translator, terms: &[(Term, usize)], joining: &Rc<[u32]>) -> Option<Wanted> {
    let target = translator.target();
    let mut sequences = Vec::new();
    for (term, count) in terms {
        let tokens = target.encode(&term.target);
        if !tokens.contains(&target.unknown()) {
            sequences.extend(std::iter::repeat_n(tokens, (*count).min(WANTED_MAX)));
        }
    }
    let wanted = Wanted::new(sequences, Rc::clone(joining));
    (!wanted.is_empty() && wanted.tokens() <= WANTED_MAX).then_some(wanted)
}

fn finish(text: &str, draft: &Draft<'_>, jobs: &[Job<'_>], to: &str) -> Translation {
    let from = languages::short(&draft.from);
    let (confidence, mut missed) = (draft.confidence, Vec::new());
    let Some(pieces) = &draft.pieces else {
        return Translation { text: text.to_owned(), from, confidence, cut: false, missed };
    };
    let (mut translated, mut cut) = (String::new(), false);
    for piece in pieces {
        match piece {
            Piece::Kept(text) => translated.push_str(text),
            Piece::Space if languages::is_without_spaces(to) => {}
            Piece::Space => translated.push(' '),
            Piece::Sentence(number) => {
                let Some(job) = jobs.get(*number) else { continue };
                translated.push_str(&job.said);
                cut |= job.done.as_ref().is_none_or(|done| done.cut);
                missed.extend(missing(&job.terms, &job.said).into_iter().cloned());
            }
        }
    }
    missed.sort_by(|one: &Term, other| {
        (&one.source, &one.target).cmp(&(&other.source, &other.target))
    });
    missed.dedup();
    Translation { text: translated, from, confidence, cut, missed }
}
