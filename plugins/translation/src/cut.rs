//! Sentences that are longer than a model takes, in pieces: at the borders of clauses, else of words,
//! else anywhere.

use crate::tokenizer::Tokenizer;

/// Characters that a clause ends with.
const CLAUSE_ENDS: [char; 9] =
    [',', ';', ':', '\u{2014}', '\u{3001}', '\u{ff0c}', '\u{ff1b}', '\u{60c}', '\u{61b}'];

/// The pieces of a sentence with at most `most` tokens each; together they are the sentence.
pub(crate) fn pieces<'a>(sentence: &'a str, tokens: &Tokenizer, most: usize) -> Vec<&'a str> {
    let count = |text: &str| tokens.encode(text).len();
    if count(sentence) <= most {
        return vec![sentence];
    }
    let mut small = Vec::new();
    for clause in sentence.split_inclusive(CLAUSE_ENDS) {
        if count(clause) <= most {
            small.push(clause);
            continue;
        }
        for word in clause.split_inclusive(' ') {
            if count(word) <= most {
                small.push(word)
            } else {
                halves(word, &count, most, &mut small)
            }
        }
    }
    joined(sentence, &small, &count, most)
}

/// A word in halves of halves, until each is small enough or one character.
fn halves<'a>(word: &'a str, count: &dyn Fn(&str) -> usize, most: usize, small: &mut Vec<&'a str>) {
    let mut open = vec![word];
    while let Some(part) = open.pop() {
        let middle = part.char_indices().nth(part.chars().count() / 2).map_or(0, |(at, _)| at);
        if middle == 0 || count(part) <= most {
            small.push(part);
        } else {
            let (left, right) = part.split_at(middle);
            open.extend([right, left]);
        }
    }
}

/// Neighbours joined as long as they are small enough together.
fn joined<'a>(
    sentence: &'a str,
    small: &[&str],
    count: &dyn Fn(&str) -> usize,
    most: usize,
) -> Vec<&'a str> {
    let (mut pieces, mut begin, mut end, mut tokens) = (Vec::new(), 0, 0, 0);
    for part in small {
        let more = count(part);
        if tokens + more > most && end > begin {
            pieces.extend(sentence.get(begin..end));
            (begin, tokens) = (end, 0);
        }
        end += part.len();
        tokens += more;
    }
    pieces.extend(sentence.get(begin..end));
    pieces
}
