//! What goes around the tokens of a text or of a pair, and what is cut off before: `post_processor`
//! of `tokenizer.json`.

use std::collections::HashMap;

use serde::Deserialize;

use crate::Encoding;

/// Marks around texts.
#[derive(Debug)]
pub(crate) struct Template {
    single: Vec<Place>,
    pair: Vec<Place>,
}

/// One place of a template.
#[derive(Debug, Clone)]
struct Place {
    what: What,
    /// Which side of a pair its tokens are said to be of.
    side: u32,
}

#[derive(Debug, Clone)]
enum What {
    First,
    Second,
    Marks(Vec<u32>),
}

impl Template {
    /// The template that the file describes; nothing where it is of a kind that is not known here.
    pub(crate) fn new(processor: serde_json::Value) -> Option<Self> {
        let template = match serde_json::from_value(processor).ok()? {
            Processor::TemplateProcessing { single, pair, special_tokens } => {
                let places = |steps: Vec<Step>| {
                    let places = steps.into_iter().map(|step| step.place(&special_tokens));
                    places.collect::<Option<Vec<_>>>()
                };
                Self { single: places(single)?, pair: places(pair)? }
            }
            Processor::BertProcessing { sep: (_, end), cls: (_, begin) } => {
                let mark = |token, side| Place { what: What::Marks(vec![token]), side };
                let single =
                    vec![mark(begin, 0), Place { what: What::First, side: 0 }, mark(end, 0)];
                let mut pair = single.clone();
                pair.extend([Place { what: What::Second, side: 1 }, mark(end, 1)]);
                Self { single, pair }
            }
        };
        let second = |places: &[Place]| {
            places.iter().filter(|place| matches!(place.what, What::Second)).count()
        };
        (second(&template.single) == 0 && second(&template.pair) == 1).then_some(template)
    }

    /// A text with its marks, together with them at most `tokens_max` long.
    pub(crate) fn single(&self, text: &[u32], tokens_max: usize) -> Encoding {
        let kept = text.len().min(room(&self.single, tokens_max));
        filled(&self.single, text.get(..kept).unwrap_or_default(), &[])
    }

    /// A pair with its marks, together with them at most `tokens_max` long: the longer side is cut
    /// first.
    pub(crate) fn pair(&self, first: &[u32], second: &[u32], tokens_max: usize) -> Encoding {
        let (one, other) = cut(first.len(), second.len(), room(&self.pair, tokens_max));
        let first = first.get(..one).unwrap_or_default();
        let second = second.get(..other).unwrap_or_default();
        filled(&self.pair, first, second)
    }
}

/// Tokens of texts that there is room for beside the marks.
fn room(places: &[Place], tokens_max: usize) -> usize {
    let marks = places.iter().map(|place| match &place.what {
        What::Marks(tokens) => tokens.len(),
        What::First | What::Second => 0,
    });
    tokens_max.saturating_sub(marks.sum())
}

fn filled(places: &[Place], first: &[u32], second: &[u32]) -> Encoding {
    let mut encoding = Encoding::default();
    for Place { what, side } in places {
        let tokens = match what {
            What::First => first,
            What::Second => second,
            What::Marks(tokens) => tokens,
        };
        encoding.tokens.extend(tokens);
        encoding.sides.extend(tokens.iter().map(|_| *side));
    }
    encoding
}

/// The lengths that two sides keep: the longer one is cut until both are as long, then both; the one
/// that was longer, or the second, keeps the odd token.
fn cut(first: usize, second: usize, together: usize) -> (usize, usize) {
    if first + second <= together {
        return (first, second);
    }
    let shorter = first.min(second);
    let longer = together.saturating_sub(shorter).max(shorter);
    let (shorter, longer) = if shorter + longer > together {
        (together / 2, together - together / 2)
    } else {
        (shorter, longer)
    };
    if first > second { (longer, shorter) } else { (shorter, longer) }
}

/// As the file has it.
#[derive(Deserialize)]
#[serde(tag = "type")]
enum Processor {
    TemplateProcessing {
        single: Vec<Step>,
        pair: Vec<Step>,
        special_tokens: HashMap<String, Special>,
    },
    BertProcessing {
        sep: (String, u32),
        cls: (String, u32),
    },
}

#[derive(Deserialize)]
enum Step {
    Sequence { id: Side, type_id: u32 },
    SpecialToken { id: String, type_id: u32 },
}

#[derive(Deserialize)]
enum Side {
    A,
    B,
}

#[derive(Deserialize)]
struct Special {
    ids: Vec<u32>,
}

impl Step {
    fn place(self, special: &HashMap<String, Special>) -> Option<Place> {
        Some(match self {
            Self::Sequence { id: Side::A, type_id } => Place { what: What::First, side: type_id },
            Self::Sequence { id: Side::B, type_id } => Place { what: What::Second, side: type_id },
            Self::SpecialToken { id, type_id } => {
                Place { what: What::Marks(special.get(&id)?.ids.clone()), side: type_id }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_side_is_cut_first_and_keeps_the_odd_token() {
        for (first, second, together, expected) in [
            (2, 3, 5, (2, 3)),
            (2, 9, 7, (2, 5)),
            (9, 2, 7, (5, 2)),
            (9, 9, 7, (3, 4)),
            (9, 8, 7, (4, 3)),
            (4, 9, 7, (3, 4)),
            (3, 9, 7, (3, 4)),
            (0, 9, 7, (0, 7)),
            (5, 5, 0, (0, 0)),
        ] {
            assert_eq!(cut(first, second, together), expected, "{first} {second} {together}");
        }
    }

    #[test]
    fn a_processor_of_another_kind_is_not_ours() {
        assert!(Template::new(serde_json::json!({"type": "ByteLevel"})).is_none());
        let unknown = serde_json::json!({
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}],
            "pair": [],
            "special_tokens": {},
        });
        assert!(Template::new(unknown).is_none());
    }
}
