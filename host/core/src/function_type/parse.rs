//! The type of a function from its text.

use std::str::FromStr;

use super::{Case, DEPTH_MAX, FunctionType, Member, Plain, TEXT_BYTES_MAX, Type, TypeError};

impl FromStr for FunctionType {
    type Err = TypeError;

    fn from_str(text: &str) -> Result<Self, TypeError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(TypeError::TooLong);
        }
        let mut parser = Parser { rest: text, depth: 0 };
        parser.expect("func(")?;
        let parameters = parser.until(")", Parser::member)?;
        let result = if parser.takes(" -> ") { Some(parser.ty()?) } else { None };
        parser.expect_end()?;
        let function = Self::new(parameters, result)?;
        // A number may be written in more than one way, and is only in one.
        if function.to_string() == text { Ok(function) } else { Err(TypeError::Text) }
    }
}

struct Parser<'a> {
    rest: &'a str,
    /// Types around what is read now.
    depth: usize,
}

impl<'a> Parser<'a> {
    fn takes(&mut self, word: &str) -> bool {
        match self.rest.strip_prefix(word) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, word: &str) -> Result<(), TypeError> {
        if self.takes(word) { Ok(()) } else { Err(TypeError::Text) }
    }

    const fn expect_end(&self) -> Result<(), TypeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(TypeError::Text) }
    }

    /// The text up to the first character that `ends` it.
    fn before(&mut self, ends: impl Fn(char) -> bool) -> &'a str {
        let at = self.rest.find(ends).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(at).unwrap_or((self.rest, ""));
        self.rest = rest;
        word
    }

    fn word(&mut self) -> &'a str {
        self.before(|character| !character.is_ascii_alphanumeric() && character != '-')
    }

    /// Parts until `end`. Each takes at least one character, so that this ends.
    fn until<T>(
        &mut self,
        end: &str,
        part: fn(&mut Self) -> Result<T, TypeError>,
    ) -> Result<Vec<T>, TypeError> {
        let mut parts = Vec::new();
        while !self.takes(end) {
            parts.push(part(self)?);
        }
        Ok(parts)
    }

    fn name(&mut self) -> Result<String, TypeError> {
        let name = self.word().to_owned();
        self.expect(", ")?;
        Ok(name)
    }

    fn member(&mut self) -> Result<Member, TypeError> {
        let name = self.word().to_owned();
        self.expect(": ")?;
        Ok(Member { name, ty: self.listed()? })
    }

    fn case(&mut self) -> Result<Case, TypeError> {
        let name = self.word().to_owned();
        if self.takes(", ") {
            return Ok(Case { name, ty: None });
        }
        self.expect(": ")?;
        Ok(Case { name, ty: Some(self.listed()?) })
    }

    /// A type with the comma after it.
    fn listed(&mut self) -> Result<Type, TypeError> {
        let ty = self.ty()?;
        self.expect(", ")?;
        Ok(ty)
    }

    /// A type that need not be there, with the comma after it.
    fn optional(&mut self) -> Result<Option<Box<Type>>, TypeError> {
        if self.takes("_, ") { Ok(None) } else { Ok(Some(self.boxed()?)) }
    }

    fn boxed(&mut self) -> Result<Box<Type>, TypeError> {
        self.listed().map(Box::new)
    }

    fn ty(&mut self) -> Result<Type, TypeError> {
        // Before the stack is used up; `FunctionType::new` counts exactly.
        if self.depth > DEPTH_MAX {
            return Err(TypeError::TooDeep);
        }
        self.depth += 1;
        let word = self.word();
        let plain = Plain::ALL.iter().find(|plain| plain.word() == word);
        let ty = match plain {
            Some(plain) => Type::Plain(*plain),
            None if self.takes("{") => self.with_names(word)?,
            None => {
                self.expect("<")?;
                let ty = self.with_types(word)?;
                self.expect(">")?;
                ty
            }
        };
        self.depth -= 1;
        Ok(ty)
    }

    fn with_names(&mut self, word: &str) -> Result<Type, TypeError> {
        Ok(match word {
            "record" => Type::Record(self.until("}", Self::member)?),
            "variant" => Type::Variant(self.until("}", Self::case)?),
            "enum" => Type::Enum(self.until("}", Self::name)?),
            "flags" => Type::Flags(self.until("}", Self::name)?),
            _ => return Err(TypeError::Text),
        })
    }

    fn with_types(&mut self, word: &str) -> Result<Type, TypeError> {
        Ok(match word {
            "tuple" => {
                let mut types = Vec::new();
                while !self.rest.starts_with('>') {
                    types.push(self.listed()?);
                }
                Type::Tuple(types)
            }
            "option" => Type::Option(self.boxed()?),
            "result" => Type::Result { ok: self.optional()?, err: self.optional()? },
            "list" => Type::List(self.boxed()?),
            "map" => Type::Map(self.boxed()?, self.boxed()?),
            "future" => Type::Future(self.optional()?),
            "stream" => Type::Stream(self.optional()?),
            "own" | "borrow" => {
                let resource = self.before(|character| character == '>').to_owned();
                Type::Handle { own: word == "own", resource }
            }
            _ => {
                let length = word.strip_prefix("list").and_then(|length| length.parse().ok());
                Type::FixedLengthList(self.boxed()?, length.ok_or(TypeError::Text)?)
            }
        })
    }
}
