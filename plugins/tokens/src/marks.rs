//! Marks that stand for tokens wherever a text holds them, as `[SEP]` does.

use serde::Deserialize;

/// Marks that are looked for; more are left to the library.
const MARKS_MAX: usize = 64;

/// One of `added_tokens`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Mark {
    pub(crate) id: u32,
    pub(crate) content: String,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
    normalized: bool,
}

/// All of them, the longest first.
#[derive(Debug)]
pub(crate) struct Marks {
    marks: Vec<Mark>,
    /// Which bytes a mark begins with.
    begins: [bool; 256],
}

/// A piece of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    Text(&'a str),
    Mark(u32),
}

impl Marks {
    /// Nothing where one of them is to be looked for in another way than ours.
    pub(crate) fn new(mut marks: Vec<Mark>) -> Option<Self> {
        let special =
            |mark: &Mark| mark.single_word || mark.lstrip || mark.rstrip || mark.normalized;
        if marks.len() > MARKS_MAX || marks.iter().any(special) {
            return None;
        }
        let mut begins = [false; 256];
        for mark in &marks {
            *begins.get_mut(usize::from(*mark.content.as_bytes().first()?))? = true;
        }
        marks.sort_by_key(|mark| std::cmp::Reverse(mark.content.len()));
        Some(Self { marks, begins })
    }

    /// The text between marks, and the marks, in their order.
    pub(crate) fn parts<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Part<'a>> {
        let mut rest = text;
        let mut mark = None;
        std::iter::from_fn(move || {
            if let Some(token) = mark.take() {
                return Some(Part::Mark(token));
            }
            let (before, found) = self.first(rest);
            let text = rest.get(..before).unwrap_or_default();
            let Some(found) = found else {
                rest = "";
                return (!text.is_empty()).then_some(Part::Text(text));
            };
            rest = rest.get(before + found.content.len()..).unwrap_or_default();
            if text.is_empty() {
                return Some(Part::Mark(found.id));
            }
            mark = Some(found.id);
            Some(Part::Text(text))
        })
    }

    /// Bytes before the first mark, and that mark; of several at one place the longest.
    fn first(&self, text: &str) -> (usize, Option<&Mark>) {
        let begins = |byte: u8| self.begins.get(usize::from(byte)).copied().unwrap_or_default();
        for (place, byte) in text.bytes().enumerate() {
            if begins(byte) {
                let rest = text.get(place..).unwrap_or_default();
                let found = self.marks.iter().find(|mark| rest.starts_with(&mark.content));
                if found.is_some() {
                    return (place, found);
                }
            }
        }
        (text.len(), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(id: u32, content: &str) -> Mark {
        let content = content.to_owned();
        Mark { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false }
    }

    #[test]
    fn the_first_and_longest_mark_counts() {
        let marks = Marks::new(vec![mark(1, "[A]"), mark(2, "[A]]"), mark(3, "é")]).unwrap();
        let parts: Vec<_> = marks.parts("[x[A]]é[A]ê [").collect();
        let expected =
            [Part::Text("[x"), Part::Mark(2), Part::Mark(3), Part::Mark(1), Part::Text("ê [")];
        assert_eq!(parts, expected);
        assert_eq!(marks.parts("").count(), 0);
    }

    #[test]
    fn other_ways_to_look_for_a_mark_are_not_ours() {
        assert!(Marks::new(vec![mark(1, "")]).is_none());
        assert!(Marks::new(vec![Mark { lstrip: true, ..mark(1, "<mask>") }]).is_none());
        assert!(Marks::new(vec![mark(1, "a"); MARKS_MAX + 1]).is_none());
    }
}
