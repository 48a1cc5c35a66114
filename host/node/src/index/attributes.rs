//! Attributes as the index keeps them: one text in which an attribute is found by looking for its
//! own text, in memory and in SQL alike.
//!
//! An attribute is a mark, its name, a mark between, its value and the mark again. Marks inside names
//! and values are written with an escape, so that what is found is an attribute and nothing else.

use meshhost_core::index::Attribute;

/// Begins and ends an attribute.
const MARK: u8 = 0x1e;
/// Stands between name and value.
const BETWEEN: u8 = 0x1f;
/// Comes before the letter that stands for a mark.
const ESCAPE: u8 = 0x1d;

/// All of them in one text; empty for none.
pub(crate) fn written(attributes: &[Attribute]) -> Vec<u8> {
    attributes.iter().flat_map(needle).collect()
}

/// The text of one attribute, wherever it stands in [`written`].
pub(crate) fn needle(attribute: &Attribute) -> Vec<u8> {
    let mut text = vec![MARK];
    write_escaped(attribute.name.as_bytes(), &mut text);
    text.push(BETWEEN);
    write_escaped(attribute.value.as_bytes(), &mut text);
    text.push(MARK);
    text
}

fn write_escaped(bytes: &[u8], text: &mut Vec<u8>) {
    for &byte in bytes {
        match byte {
            ESCAPE => text.extend([ESCAPE, b'd']),
            MARK => text.extend([ESCAPE, b'e']),
            BETWEEN => text.extend([ESCAPE, b'f']),
            _ => text.push(byte),
        }
    }
}

/// What [`written`] wrote; `None` when it did not.
pub(crate) fn read(text: &[u8]) -> Option<Vec<Attribute>> {
    let mut attributes = Vec::new();
    let mut rest = text;
    while let [MARK, after @ ..] = rest {
        let end = after.iter().position(|&byte| byte == MARK)?;
        let (attribute, after) = after.split_at_checked(end)?;
        let between = attribute.iter().position(|&byte| byte == BETWEEN)?;
        let (name, value) = attribute.split_at_checked(between)?;
        let (name, value) = (read_escaped(name)?, read_escaped(value.get(1..)?)?);
        attributes.push(Attribute { name, value });
        rest = after.get(1..)?;
    }
    rest.is_empty().then_some(attributes)
}

fn read_escaped(text: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut letters = text.iter();
    while let Some(&byte) = letters.next() {
        bytes.push(match byte {
            ESCAPE => match letters.next()? {
                b'd' => ESCAPE,
                b'e' => MARK,
                b'f' => BETWEEN,
                _ => return None,
            },
            // One without its escape is not what was written.
            MARK | BETWEEN => return None,
            _ => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn contains(text: &[u8], needle: &[u8]) -> bool {
        text.windows(needle.len()).any(|part| part == needle)
    }

    /// Few letters, marks among them, so that texts often meet.
    fn attribute() -> impl Strategy<Value = Attribute> {
        let word = || "[a\u{1d}-\u{1f}def]{0,3}";
        (word(), word()).prop_map(|(name, value)| Attribute { name, value })
    }

    #[test]
    fn a_mark_without_its_escape_is_nothing_that_was_written() {
        assert_eq!(read(&[MARK, BETWEEN, BETWEEN, MARK]), None);
        assert_eq!(read(&[MARK, BETWEEN, MARK]).map(|attributes| attributes.len()), Some(1));
    }

    proptest! {
        #[test]
        fn an_attribute_is_found_where_it_is_and_nowhere_else(
            attributes in prop::collection::vec(attribute(), 0..5),
            other in attribute(),
        ) {
            let text = written(&attributes);
            prop_assert_eq!(read(&text), Some(attributes.clone()));
            prop_assert_eq!(contains(&text, &needle(&other)), attributes.contains(&other));
        }

        #[test]
        fn no_text_is_trusted(text in prop::collection::vec(0x1c_u8..0x20, 0..12)) {
            if let Some(attributes) = read(&text) {
                prop_assert_eq!(written(&attributes), text);
            }
        }
    }
}
