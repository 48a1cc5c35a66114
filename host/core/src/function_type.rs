//! The type of a function as a value: what its WIT says, without names of types, aliases and comments.
//!
//! It is written as one text, by whose BLAKE3 two functions are compared, and read from that text: a
//! peer that sends the text sends the type. Names of parameters, fields and cases are part of it.

use std::{
    collections::HashSet,
    fmt::{self, Write as _},
};

use serde::{Deserialize, Serialize};

use crate::id::Digest;

mod parse;
#[cfg(test)]
pub(crate) mod tests;

/// Longest text. One type may stand in many places, so that a short WIT has a long text.
pub const TEXT_BYTES_MAX: usize = 256 * 1024;
/// How deep types may be inside each other; more than the engine takes.
pub const DEPTH_MAX: usize = 128;

/// Why something is no type of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TypeError {
    /// Its text is too long.
    #[error("the type of the function has a text of more than {TEXT_BYTES_MAX} bytes")]
    TooLong,
    /// Types are too deep inside each other.
    #[error("the type of the function has types more than {DEPTH_MAX} deep inside each other")]
    TooDeep,
    /// A name is none, or stands twice among others.
    #[error("a name in the type of the function is none, or stands there twice")]
    Name,
    /// The text is not one that is written here.
    #[error("this is no type of a function, `func(name: type, …) -> type`")]
    Text,
}

/// A parameter or a field.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Member {
    /// Its name as in WIT.
    pub name: String,
    /// Its type.
    pub ty: Type,
}

/// A case of a variant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Case {
    /// Its name as in WIT.
    pub name: String,
    /// What comes with it.
    pub ty: Option<Type>,
}

/// The type of a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Type {
    /// One of those without parts.
    Plain(Plain),
    /// Fields, each with a name.
    Record(Vec<Member>),
    /// One of several cases, each with or without a value.
    Variant(Vec<Case>),
    /// One of several names.
    Enum(Vec<String>),
    /// Any of several names.
    Flags(Vec<String>),
    /// Values of several types, without names.
    Tuple(Vec<Type>),
    /// A value or none.
    Option(Box<Type>),
    /// Good or bad, each with or without a value.
    Result {
        /// What comes with a good one.
        ok: Option<Box<Type>>,
        /// What comes with a bad one.
        err: Option<Box<Type>>,
    },
    /// Any number of values.
    List(Box<Type>),
    /// A fixed number of values.
    FixedLengthList(Box<Type>, u32),
    /// Pairs of a key and a value.
    Map(Box<Type>, Box<Type>),
    /// A value that comes later.
    Future(Option<Box<Type>>),
    /// Values that come later.
    Stream(Option<Box<Type>>),
    /// A resource, told by where it comes from.
    Handle {
        /// Whether it is handed over, and not only lent.
        own: bool,
        /// Interface, version and name: `meshhost:blob/types@0.1.0.blob`.
        resource: String,
    },
}

/// Makes the enum of types without parts from their words.
macro_rules! plain {
    ($($(#[$doc:meta])* $name:ident = $word:literal;)*) => {
        /// A type without parts.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Plain {
            $($(#[$doc])* $name,)*
        }

        impl Plain {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word for it in WIT.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

plain! {
    /// True or false.
    Bool = "bool";
    /// 8 bits without a sign.
    U8 = "u8";
    /// 16 bits without a sign.
    U16 = "u16";
    /// 32 bits without a sign.
    U32 = "u32";
    /// 64 bits without a sign.
    U64 = "u64";
    /// 8 bits with a sign.
    S8 = "s8";
    /// 16 bits with a sign.
    S16 = "s16";
    /// 32 bits with a sign.
    S32 = "s32";
    /// 64 bits with a sign.
    S64 = "s64";
    /// A fraction of 32 bits.
    F32 = "f32";
    /// A fraction of 64 bits.
    F64 = "f64";
    /// A Unicode scalar value.
    Char = "char";
    /// Unicode text.
    String = "string";
    /// What the component model says of an error.
    ErrorContext = "error-context";
}

impl Type {
    /// Whether it is the resource of the shipped contract for blobs, of any version.
    #[must_use]
    pub fn is_blob(&self) -> bool {
        let Self::Handle { resource, .. } = self else { return false };
        let version = resource
            .strip_prefix("meshhost:blob/types")
            .and_then(|rest| rest.strip_suffix(".blob"));
        version.is_some_and(|version| version.is_empty() || version.starts_with('@'))
    }

    /// Checks names and depth, this type being one of `depth` around each other.
    fn check(&self, depth: usize) -> Result<(), TypeError> {
        if depth > DEPTH_MAX {
            return Err(TypeError::TooDeep);
        }
        let inside = |ty: &Self| ty.check(depth + 1);
        match self {
            Self::Plain(_) => Ok(()),
            Self::Record(members) => check_members(members, depth),
            Self::Variant(cases) => {
                check_names(cases.iter().map(|case| &case.name))?;
                cases.iter().filter_map(|case| case.ty.as_ref()).try_for_each(inside)
            }
            Self::Enum(names) | Self::Flags(names) => check_names(names.iter()),
            Self::Tuple(types) => types.iter().try_for_each(inside),
            Self::Option(ty) | Self::List(ty) | Self::FixedLengthList(ty, _) => inside(ty),
            Self::Result { ok, err } => {
                [ok, err].into_iter().flatten().try_for_each(|ty| inside(ty))
            }
            Self::Map(key, value) => inside(key).and_then(|()| inside(value)),
            Self::Future(ty) | Self::Stream(ty) => ty.iter().try_for_each(|ty| inside(ty)),
            Self::Handle { resource, .. } => {
                let graphic =
                    |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b',');
                let named = !resource.is_empty() && resource.bytes().all(graphic);
                if named { Ok(()) } else { Err(TypeError::Name) }
            }
        }
    }
}

fn check_members(members: &[Member], depth: usize) -> Result<(), TypeError> {
    check_names(members.iter().map(|member| &member.name))?;
    members.iter().try_for_each(|member| member.ty.check(depth + 1))
}

fn check_names<'a>(names: impl Iterator<Item = &'a String>) -> Result<(), TypeError> {
    let mut known = HashSet::new();
    for name in names {
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if name.is_empty() || !plain || !known.insert(name) {
            return Err(TypeError::Name);
        }
    }
    Ok(())
}

/// The type of a function. In JSON it is its text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FunctionType {
    parameters: Vec<Member>,
    result: Option<Type>,
}

impl FunctionType {
    /// The type of a function with these parameters and this result.
    ///
    /// # Errors
    /// [`TypeError`], except that it is no text.
    pub fn new(parameters: Vec<Member>, result: Option<Type>) -> Result<Self, TypeError> {
        check_members(&parameters, 0)?;
        result.iter().try_for_each(|ty| ty.check(1))?;
        let function = Self { parameters, result };
        // The text is bounded while it is written.
        write!(Length(TEXT_BYTES_MAX), "{function}").map_err(|_| TypeError::TooLong)?;
        Ok(function)
    }

    /// Its parameters, in their order.
    #[must_use]
    pub fn parameters(&self) -> &[Member] {
        &self.parameters
    }

    /// What it returns.
    #[must_use]
    pub const fn result(&self) -> Option<&Type> {
        self.result.as_ref()
    }

    /// BLAKE3 of its text: two functions have the same type when they have the same hash.
    #[must_use]
    pub fn hash(&self) -> Digest {
        Digest::of(self.to_string().as_bytes())
    }
}

impl TryFrom<String> for FunctionType {
    type Error = TypeError;

    fn try_from(text: String) -> Result<Self, TypeError> {
        text.parse()
    }
}

impl From<FunctionType> for String {
    fn from(function: FunctionType) -> Self {
        function.to_string()
    }
}

/// Counts text that is thrown away, up to a length.
struct Length(usize);

impl fmt::Write for Length {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        self.0 = self.0.checked_sub(part.len()).ok_or(fmt::Error)?;
        Ok(())
    }
}

/// `func(texts: list<string, >, ) -> result<list<u32, >, _, >`: every list ends with a comma.
impl fmt::Display for FunctionType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("func(")?;
        self.parameters.iter().try_for_each(|member| member.fmt(formatter))?;
        formatter.write_str(")")?;
        self.result.iter().try_for_each(|ty| write!(formatter, " -> {ty}"))
    }
}

impl fmt::Display for Member {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}, ", self.name, self.ty)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ty {
            Some(ty) => write!(formatter, "{}: {ty}, ", self.name),
            None => write!(formatter, "{}, ", self.name),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(plain) => formatter.write_str(plain.word()),
            Self::Record(members) => braces(formatter, "record", members),
            Self::Variant(cases) => braces(formatter, "variant", cases),
            Self::Enum(names) => names_in_braces(formatter, "enum", names),
            Self::Flags(names) => names_in_braces(formatter, "flags", names),
            Self::Tuple(types) => around(formatter, "tuple", types.iter().map(Some)),
            Self::Option(ty) => around(formatter, "option", [Some(&**ty)]),
            Self::Result { ok, err } => {
                around(formatter, "result", [ok.as_deref(), err.as_deref()])
            }
            Self::List(ty) => around(formatter, "list", [Some(&**ty)]),
            Self::FixedLengthList(ty, length) => {
                write!(formatter, "list{length}<{ty}, >")
            }
            Self::Map(key, value) => around(formatter, "map", [Some(&**key), Some(&**value)]),
            Self::Future(ty) => around(formatter, "future", [ty.as_deref()]),
            Self::Stream(ty) => around(formatter, "stream", [ty.as_deref()]),
            Self::Handle { own, resource } => {
                write!(formatter, "{}<{resource}>", if *own { "own" } else { "borrow" })
            }
        }
    }
}

fn braces<T: fmt::Display>(
    formatter: &mut fmt::Formatter<'_>,
    kind: &str,
    parts: &[T],
) -> fmt::Result {
    write!(formatter, "{kind}{{")?;
    parts.iter().try_for_each(|part| part.fmt(formatter))?;
    formatter.write_str("}")
}

fn names_in_braces(
    formatter: &mut fmt::Formatter<'_>,
    kind: &str,
    names: &[String],
) -> fmt::Result {
    write!(formatter, "{kind}{{")?;
    names.iter().try_for_each(|name| write!(formatter, "{name}, "))?;
    formatter.write_str("}")
}

fn around<'a>(
    formatter: &mut fmt::Formatter<'_>,
    kind: &str,
    types: impl IntoIterator<Item = Option<&'a Type>>,
) -> fmt::Result {
    write!(formatter, "{kind}<")?;
    for ty in types {
        match ty {
            Some(ty) => write!(formatter, "{ty}, ")?,
            None => formatter.write_str("_, ")?,
        }
    }
    formatter.write_str(">")
}
