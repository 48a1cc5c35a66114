//! Finding passages that answer a question.

use crate::corpus;
use crate::fusion::{Fused, fuse};
use crate::index::{Attribute, Filter, Hit};
use crate::keys;
use crate::kind::{self, Kind};
use crate::ports::{self, Index, Ports};
use crate::retrieval::{Answer, Error, Reranking};
use crate::store;

/// Bytes of a question.
const QUESTION_BYTES_MAX: usize = 4_096;
/// Words of a question that are searched for; the index takes 64 different ones.
const WORDS_MAX: usize = 64;
/// Passages when the caller names no limit.
const LIMIT: u32 = 8;
/// The most passages.
const LIMIT_MAX: u32 = 50;
/// Passages that each search finds; the index finds 256 at most.
const CANDIDATES: u32 = 100;
/// Passages that the reranker sees.
const RERANKED_MAX: usize = 40;

/// What is asked; see the contract.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The corpus.
    pub corpus: String,
    /// The question.
    pub question: String,
    /// Passages wanted.
    pub limit: Option<u32>,
    /// Only in this file or below this folder.
    pub path: Option<String>,
    /// Only of this kind.
    pub kind: Option<Kind>,
    /// Whether a reranker is asked.
    pub rerank: bool,
    /// The reranking model.
    pub rerank_model: Option<String>,
}

/// Answers a question; see the contract.
///
/// # Errors
/// When there is no such corpus, it was made with another model, or the index or the embedder does
/// not answer.
pub fn query(ports: &Ports<'_>, asked: &Asked) -> Result<Answer, Error> {
    let limit = asked.limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Error::Invalid(format!("the limit is 1 to {LIMIT_MAX}")));
    }
    let question = asked.question.trim();
    if question.is_empty() || question.len() > QUESTION_BYTES_MAX {
        return Err(Error::Invalid(format!("a question has 1 to {QUESTION_BYTES_MAX} bytes")));
    }
    let maker = corpus::existing(ports.index, &asked.corpus)?;
    let scope = Scope::new(ports.index, asked)?;
    let embeddings = ports::embedded(ports.embedder, &[question.to_owned()], &maker.model)?;
    corpus::check_model(&asked.corpus, &maker, &embeddings.model.digest)?;
    let vector = embeddings.vectors.first().map(Vec::as_slice).unwrap_or_default();
    let (index, corpus) = (ports.index, &asked.corpus);
    let by_vector = index.search_vector(corpus, vector, &scope.filter, CANDIDATES)?;
    let by_words = match words(question) {
        words if words.is_empty() => Vec::new(),
        words => index.search_words(corpus, &words, &scope.filter, CANDIDATES)?,
    };
    let mut fused = fuse(by_vector, by_words);
    fused.retain(|one| scope.holds(&one.hit));
    let reranking = if asked.rerank {
        rerank(ports, question, asked.rerank_model.as_deref(), &mut fused)
    } else {
        Reranking::Unwanted
    };
    let found = fused.into_iter().filter_map(|one| store::found(&one.hit, one.scores));
    Ok(Answer { passages: found.take(limit as usize).collect(), reranking })
}

/// As many of a question's different words as the index takes.
fn words(question: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    for word in question.split(|character: char| !character.is_alphanumeric()) {
        if words.len() == WORDS_MAX {
            break;
        }
        if !word.is_empty() && !words.contains(&word) {
            words.push(word);
        }
    }
    words.join(" ")
}

/// Where a question is asked.
struct Scope {
    filter: Filter,
    /// The one file: the index also finds those beside it whose names begin with its name.
    file: Option<String>,
}

impl Scope {
    fn new(index: &dyn Index, asked: &Asked) -> Result<Self, Error> {
        let kind = asked.kind.map(|kind| Attribute {
            name: store::KIND.to_owned(),
            value: kind::word(kind).to_owned(),
        });
        let attributes = kind.into_iter().collect();
        let Some(path) = &asked.path else {
            return Ok(Self { filter: Filter { key_prefix: None, attributes }, file: None });
        };
        let path = keys::normal(path)?;
        let known = index.get(&asked.corpus, std::slice::from_ref(&path))?;
        let file = known.into_iter().flatten().next().map(|_| path.clone());
        let key_prefix = Some(file.clone().unwrap_or_else(|| keys::below(&path)));
        Ok(Self { filter: Filter { key_prefix, attributes }, file })
    }

    fn holds(&self, hit: &Hit) -> bool {
        let path = keys::path_of(&hit.key).map(|(path, _)| path);
        self.file.as_deref().is_none_or(|file| path == Some(file))
    }
}

/// Puts the first of them in the reranker's order.
fn rerank(
    ports: &Ports<'_>,
    question: &str,
    model: Option<&str>,
    fused: &mut [Fused],
) -> Reranking {
    let first = fused.len().min(RERANKED_MAX);
    let first = fused.get_mut(..first).unwrap_or_default();
    if first.is_empty() {
        return Reranking::Unwanted;
    }
    let texts: Vec<&str> = first.iter().map(|one| one.hit.text.as_str()).collect();
    match ports.reranker.rerank(question, &texts, model) {
        Ok(ranking) if ranking.scores.len() == texts.len() => {
            for (one, score) in first.iter_mut().zip(ranking.scores) {
                one.scores.rerank = Some(score);
            }
            let score = |one: &Fused| one.scores.rerank.unwrap_or(f64::NEG_INFINITY);
            first.sort_by(|a, b| score(b).total_cmp(&score(a)));
            Reranking::Done(ranking.model)
        }
        Ok(ranking) => Reranking::Missing(format!(
            "the reranker answered {} passages with {} scores",
            texts.len(),
            ranking.scores.len()
        )),
        Err(why) => Reranking::Missing(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_bounded_and_different() {
        assert_eq!(words("Is it, is it… (it)?"), "Is it is");
        let many: String = (0..100).map(|number| format!("w{number} ")).collect();
        assert_eq!(words(&many).split(' ').count(), WORDS_MAX);
    }
}
