//! Walks over the text of a JSON document without making anything of it: a vocabulary of 30,000
//! pieces is most of `tokenizer.json`, and every call reads it. What is small is given to `serde_json`
//! as it stands. Nothing is said of a document that is not understood: it is then left to the
//! library, which says what is wrong with it.

use std::borrow::Cow;
use std::ops::Range;

/// A place in a document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Walks over an object: `member` is given each key, and has to walk over its value.
    pub(crate) fn members(
        &mut self,
        member: impl FnMut(&mut Self, Cow<'a, str>) -> Option<()>,
    ) -> Option<()> {
        self.members_by(Self::string, member)
    }

    /// The same, where `key` walks over each key.
    pub(crate) fn members_by<K>(
        &mut self,
        mut key: impl FnMut(&mut Self) -> Option<K>,
        mut member: impl FnMut(&mut Self, K) -> Option<()>,
    ) -> Option<()> {
        self.take(b'{')?;
        if self.take(b'}').is_some() {
            return Some(());
        }
        loop {
            let key = key(self)?;
            self.take(b':')?;
            member(self, key)?;
            if self.take(b',').is_none() {
                return self.take(b'}');
            }
        }
    }

    /// Walks over a string, and gives it as it is meant.
    pub(crate) fn string(&mut self) -> Option<Cow<'a, str>> {
        self.take(b'"')?;
        let begin = self.at;
        match self.pass_quote()? {
            false => Some(Cow::Borrowed(self.text.get(begin..self.at - 1)?)),
            true => serde_json::from_str(self.text.get(begin - 1..self.at)?).ok().map(Cow::Owned),
        }
    }

    /// Walks over a string in which nothing is escaped, and hands each byte to `each`. Gives where it
    /// stands; stays where it is, and gives nothing, where something is escaped.
    pub(crate) fn plain_string(&mut self, mut each: impl FnMut(u8)) -> Option<Range<usize>> {
        let before = self.at;
        self.take(b'"')?;
        let begin = self.at;
        for byte in self.text.as_bytes().get(begin..)? {
            match byte {
                b'"' => {
                    self.at += 1;
                    return Some(begin..self.at - 1);
                }
                b'\\' => break,
                _ => {
                    self.at += 1;
                    each(*byte);
                }
            }
        }
        self.at = before;
        None
    }

    /// Walks over a number without sign and fraction.
    pub(crate) fn number(&mut self) -> Option<u32> {
        self.skip_spaces();
        let begin = self.at;
        let mut number = 0_u64;
        while let Some(digit) = self.byte().filter(u8::is_ascii_digit) {
            // Of more than ten digits none is a number of 32 bits, whatever they overflow to.
            number = number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        let ended = !matches!(self.byte(), Some(b'.' | b'e' | b'E'));
        let digits = self.at - begin;
        u32::try_from(number).ok().filter(|_| (1..=10).contains(&digits) && ended)
    }

    /// Walks over any value, and gives it as it stands.
    pub(crate) fn value(&mut self) -> Option<&'a str> {
        self.skip_spaces();
        let begin = self.at;
        let mut depth = 0_usize;
        loop {
            match self.byte()? {
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth > 0 => depth -= 1,
                b'"' => {
                    self.at += 1;
                    self.pass_quote()?;
                    self.at -= 1;
                }
                b',' | b'}' | b']' if depth == 0 => return self.text.get(begin..self.at),
                _ => {}
            }
            self.at += 1;
        }
    }

    /// Goes behind the quote that ends a string, and says whether anything before it was escaped.
    fn pass_quote(&mut self) -> Option<bool> {
        let mut escaped = false;
        loop {
            let rest = self.text.as_bytes().get(self.at..)?;
            let length = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
            self.at += length + 1;
            if rest.get(length) == Some(&b'"') {
                return Some(escaped);
            }
            escaped = true;
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        self.skip_spaces();
        (self.byte()? == byte).then(|| self.at += 1)
    }

    fn skip_spaces(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_walked_over() {
        let text = r#" { "a" : [1, {"b": "}]"}], "\"ä\n" :7,"c":{}, "d": "x\\" } "#;
        let mut found = Vec::new();
        let mut reader = Reader::new(text);
        let walked = reader.members(|reader, key| {
            found.push((key.into_owned(), reader.value()?));
            Some(())
        });
        assert!(walked.is_some());
        let expected =
            [("a", r#"[1, {"b": "}]"}]"#), ("\"ä\n", "7"), ("c", "{}"), ("d", "\"x\\\\\" ")];
        assert!(found.iter().map(|(key, value)| (key.as_str(), *value)).eq(expected));
    }

    #[test]
    fn a_plain_string_is_handed_over_byte_by_byte() {
        let mut bytes = Vec::new();
        let mut reader = Reader::new(r#" "aä" "x\"" "#);
        assert_eq!(reader.plain_string(|byte| bytes.push(byte)), Some(2..5));
        assert_eq!(bytes, "aä".as_bytes());
        assert_eq!(reader.plain_string(|_| ()), None);
        assert_eq!(reader.string().unwrap(), "x\"");
        assert_eq!(reader.plain_string(|_| ()), None);
    }

    #[test]
    fn numbers_are_whole_and_fit() {
        let number = |text| Reader::new(text).number();
        assert_eq!(number(" 4294967295,"), Some(u32::MAX));
        for text in ["4294967296", "00000000001", "-1", "1.5", "1e3", "", "x"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_broken_is_not_understood() {
        for text in
            ["", "{", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,}", "{\"a\\", "[1]"]
        {
            let walked = Reader::new(text).members(|reader, _| reader.value().map(|_| ()));
            assert!(walked.is_none(), "{text}");
        }
        assert!(Reader::new(r#""\x""#).string().is_none());
    }
}
