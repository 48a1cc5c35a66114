//! Passages as the index keeps them, and back.

use std::ops::Range;

use crate::cut::{Draft, Limits, Passage};
use crate::document::Unit;
use crate::index::{self, Attribute};
use crate::keys;
use crate::kind::{self, Kind};
use crate::retrieval::{self, Place, Scores, Span};

/// Passages of one document of the index: so many are embedded again when a call is ended.
const PART_PASSAGES_MAX: usize = 256;
/// Bytes of one document of the index; it takes 8 MiB.
const PART_BYTES_MAX: usize = 6 * 1024 * 1024;
/// Parts of a file.
pub(crate) const PARTS_MAX: usize = 32;

/// The names of attributes.
pub(crate) const KIND: &str = "kind";
const FIRST: &str = "first";
const LAST: &str = "last";
const HEADING: &str = "heading";
/// Where the text of a passage begins, after what was put before it.
const BODY: &str = "body";
/// What parts the headings in one attribute; a heading is one line.
const HEADINGS: &str = "\n";

/// The passages of a file in parts that the index takes.
pub(crate) fn parts(passages: &[Passage], dimensions: u32) -> Vec<Range<usize>> {
    let vector = (dimensions as usize).saturating_mul(4);
    let mut parts = Vec::new();
    let (mut start, mut bytes) = (0, 0_usize);
    for (at, passage) in passages.iter().enumerate() {
        // Attributes and what is put before the text have at most two KiB.
        let size = passage.range.len().saturating_add(vector).saturating_add(2_048);
        if at - start == PART_PASSAGES_MAX || bytes.saturating_add(size) > PART_BYTES_MAX {
            parts.push(start..at);
            (start, bytes) = (at, 0);
        }
        bytes = bytes.saturating_add(size);
    }
    parts.push(start..passages.len());
    parts
}

/// The text of a passage as it is embedded and searched in: its headings stand before it.
pub(crate) fn text(draft: &Draft, passage: &Passage, limits: Limits) -> String {
    let body = draft.document.text.get(passage.range.clone()).unwrap_or_default();
    let context = draft.context(passage.section, limits);
    if context.is_empty() { body.to_owned() } else { format!("{context}\n{body}") }
}

/// A passage for the index.
pub(crate) fn passage(
    draft: &Draft,
    passage: &Passage,
    text: String,
    vector: Vec<f32>,
) -> index::Passage {
    let (first, last) = draft.document.places.of(&passage.range);
    let body = text.len().saturating_sub(passage.range.len());
    let heading = draft.document.sections.get(passage.section).map(|section| &section.heading);
    let mut attributes = vec![
        attribute(FIRST, first.to_string()),
        attribute(LAST, last.to_string()),
        attribute(BODY, body.to_string()),
    ];
    if let Some(heading) = heading.filter(|heading| !heading.is_empty()) {
        attributes.push(attribute(HEADING, heading.join(HEADINGS)));
    }
    // The index takes no vector of zeros: it points nowhere.
    let vector = vector.iter().any(|value| *value != 0.0).then_some(vector);
    index::Passage { text, vector, attributes }
}

/// What is said of each part of a file.
pub(crate) fn attributes(kind: Kind) -> Vec<Attribute> {
    vec![attribute(KIND, kind::word(kind).to_owned())]
}

pub(crate) fn attribute(name: &str, value: String) -> Attribute {
    Attribute { name: name.to_owned(), value }
}

/// The kind that an index document was read as.
pub(crate) fn kind_of(attributes: &[Attribute]) -> Kind {
    value(attributes, KIND).and_then(kind::of_word).unwrap_or(Kind::Text)
}

/// A hit as an answer; nothing for what is no passage of ours.
pub(crate) fn found(hit: &index::Hit, scores: Scores) -> Option<retrieval::Passage> {
    let (path, _) = keys::path_of(&hit.key)?;
    let kind = kind_of(&hit.document_attributes);
    let span =
        Span { first: number(&hit.attributes, FIRST)?, last: number(&hit.attributes, LAST)? };
    let headings = value(&hit.attributes, HEADING);
    Some(retrieval::Passage {
        path: path.to_owned(),
        kind,
        place: place(unit(kind), span),
        heading: headings
            .map(|headings| headings.split(HEADINGS).map(str::to_owned).collect())
            .unwrap_or_default(),
        text: body(hit).to_owned(),
        digest: hit.version.clone(),
        scores,
    })
}

/// What stands in the file.
fn body(hit: &index::Hit) -> &str {
    let body = number(&hit.attributes, BODY).unwrap_or(0);
    hit.text.get(body as usize..).unwrap_or(&hit.text)
}

fn unit(kind: Kind) -> Unit {
    if kind == Kind::Pdf { Unit::Pages } else { Unit::Lines }
}

fn place(unit: Unit, span: Span) -> Place {
    match unit {
        Unit::Lines => Place::Lines(span),
        Unit::Pages => Place::Pages(span),
    }
}

fn value<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a str> {
    attributes.iter().find(|one| one.name == name).map(|one| one.value.as_str())
}

fn number(attributes: &[Attribute], name: &str) -> Option<u32> {
    value(attributes, name)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passages(count: usize, bytes: usize) -> Vec<Passage> {
        vec![Passage { range: 0..bytes, section: 0 }; count]
    }

    #[test]
    fn parts_are_bounded_in_passages_and_bytes() {
        let lengths = |passages: &[Passage], dimensions| -> Vec<usize> {
            let parts = parts(passages, dimensions);
            assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
            parts.iter().map(ExactSizeIterator::len).collect()
        };
        assert_eq!(lengths(&[], 384), [0]);
        assert_eq!(lengths(&passages(256, 1_000), 384), [256]);
        assert_eq!(lengths(&passages(600, 1_000), 384), [256, 256, 88]);
        let large = lengths(&passages(600, 8_192), 4_096);
        let one = 8_192 + 4 * 4_096 + 2_048;
        assert!(large.iter().all(|part| part * one <= PART_BYTES_MAX));
        assert_eq!(large.iter().sum::<usize>(), 600);
    }
}
