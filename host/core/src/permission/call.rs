//! Rules for calling other capabilities.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{folder, glob, glob::Glob};
use crate::capability::CONTRACTS;

/// Most arguments that one rule can fix.
pub const ARGUMENTS_MAX: usize = 8;

/// Which capabilities a plugin may call, and with which arguments.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CallRule {
    /// A capability id, a prefix that ends in `.*`, or `*`.
    pub capability: String,
    /// Arguments that must match: name and glob.
    pub arguments: Vec<(String, String)>,
}

impl CallRule {
    /// Whether this rule allows the call, as [`CallRules::allow`] decides.
    #[must_use]
    pub fn allows(&self, capability: &str, input: &Value) -> bool {
        let matches = |(name, glob): &(String, String)| {
            Given::of(input, name).is_some_and(|given| given.all(|text| glob::matches(glob, text)))
        };
        covers_id(&self.capability, capability) && self.arguments.iter().all(matches)
    }

    /// Whether every call that `other` allows is allowed by this rule too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let fixed = |(name, own): &(String, String)| {
            let mut others = other.arguments.iter();
            others
                .any(|(other_name, other)| same_name(name, other_name) && glob::covers(own, other))
        };
        covers_id(&self.capability, &other.capability) && self.arguments.iter().all(fixed)
    }

    /// The rule with `~` at the start of an argument replaced by the home folder.
    pub(super) fn with_home(self, home: &str) -> Self {
        let expand = |(name, own): (String, String)| {
            let expanded = own.strip_prefix('~').filter(|_| folder::is_in_home(&own));
            let glob = expanded.map(|rest| format!("{}{rest}", glob::escape(home)));
            (name, glob.unwrap_or(own))
        };
        Self {
            capability: self.capability,
            arguments: self.arguments.into_iter().map(expand).collect(),
        }
    }
}

/// The rules of one plugin, put in order once so that deciding a call compares little: those for
/// one capability that fix the same arguments stand together, and the first of these is looked up
/// once for all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallRules(Vec<Group>);

/// Rules for one capability that fix the same arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    /// In the longer spelling, where it has two.
    capability: String,
    /// Nothing in the capability stands for anything but itself.
    plain: bool,
    names: Vec<String>,
    /// For each rule its globs, in the order of the names.
    rules: Vec<Vec<Glob>>,
}

impl CallRules {
    /// Puts rules in order.
    #[must_use]
    pub fn new(rules: &[CallRule]) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        for rule in rules {
            let CallRule { capability, arguments } = rule;
            let capability = Spelling::of(capability).to_string();
            let globs = arguments.iter().map(|(_, glob)| Glob::new(glob)).collect();
            let names = || arguments.iter().map(|(name, _)| name);
            let same = |group: &&mut Group| {
                group.capability == capability && group.names.iter().eq(names())
            };
            match groups.iter_mut().find(same) {
                Some(group) => group.rules.push(globs),
                None => groups.push(Group {
                    plain: !capability.contains(['*', '-']),
                    capability,
                    names: names().cloned().collect(),
                    rules: vec![globs],
                }),
            }
        }
        Self(groups)
    }

    /// Whether one of the rules allows the call. Every argument that a rule fixes must be present,
    /// as a text or a boolean that the glob matches; a parameter given twice, with `-` and with `_`,
    /// must match both times. `capability` is the resolved id, or the other spelling of it.
    /// Allocates nothing.
    #[must_use]
    pub fn allow(&self, capability: &str, input: &Value) -> bool {
        let capability = Spelling::of(capability);
        self.0.iter().any(|group| group.covers(capability) && group.allows(input))
    }
}

impl Group {
    fn covers(&self, capability: Spelling<'_>) -> bool {
        // Most rules are for other capabilities.
        if self.plain {
            return capability.is(&self.capability);
        }
        covers(&self.capability, capability)
    }

    fn allows(&self, input: &Value) -> bool {
        let Some((first, others)) = self.names.split_first() else { return true };
        let Some(given) = Given::of(input, first) else { return false };
        let fits = |(name, glob): (&String, &Glob)| {
            Given::of(input, name).is_some_and(|given| given.all(|text| glob.matches(text)))
        };
        self.rules.iter().any(|globs| {
            let Some((glob, rest)) = globs.split_first() else { return false };
            given.all(|text| glob.matches(text)) && others.iter().zip(rest).all(fits)
        })
    }
}

/// Whether a capability pattern covers an id or another pattern. The rule's `-` may stand for the
/// id's `_`, because ids that come from WIT are resolved to `_`; and both spellings of a shipped
/// contract's function, with the interface and without, are one.
pub(crate) fn covers_id(pattern: &str, id: &str) -> bool {
    covers(pattern, Spelling::of(id))
}

fn covers(pattern: &str, id: Spelling<'_>) -> bool {
    let prefix = pattern.strip_suffix('*');
    let own = Spelling::of(prefix.unwrap_or(pattern));
    let fits =
        if prefix.is_some() { own.length() <= id.length() } else { own.length() == id.length() };
    let same = |(own, other): (u8, u8)| own == other || (own == b'-' && other == b'_');
    fits && own.bytes().zip(id.bytes()).all(same)
}

/// An id or a pattern in the one spelling that is compared: that of a shipped contract's function
/// with the interface, every other as it is written. In parts, so that nothing is allocated.
#[derive(Debug, Clone, Copy)]
struct Spelling<'id>([&'id str; 3]);

impl<'id> Spelling<'id> {
    fn of(written: &'id str) -> Self {
        let with_interface = || {
            let dot = written.find('.')?;
            let (package, function) = (written.get(..dot)?, written.get(dot + 1..)?);
            // What has another dot names its interface already, or no function of a contract.
            let is_function = !function.is_empty() && !function.contains(['.', '*']);
            let contract = CONTRACTS.iter().find(|(own, _)| *own == package);
            let (_, interface) = contract.filter(|_| is_function)?;
            Some(Self([written.get(..=dot)?, interface, written.get(dot..)?]))
        };
        with_interface().unwrap_or(Self([written, "", ""]))
    }

    fn is(self, other: &str) -> bool {
        let [start, interface, end] = self.0;
        other.strip_prefix(start).and_then(|rest| rest.strip_prefix(interface)) == Some(end)
    }

    fn length(self) -> usize {
        self.0.iter().map(|part| part.len()).sum()
    }

    fn bytes(self) -> impl Iterator<Item = u8> {
        self.0.into_iter().flat_map(str::bytes)
    }
}

impl fmt::Display for Spelling<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| formatter.write_str(part))
    }
}

/// Whether two parameter names are one: callers may write `-` or `_`.
pub(crate) fn same_name(left: &str, right: &str) -> bool {
    let fold = |byte: u8| if byte == b'-' { b'_' } else { byte };
    left == right
        || (left.len() == right.len() && left.bytes().map(fold).eq(right.bytes().map(fold)))
}

/// What an input gives for one parameter: a text, or several in different spellings of its name.
enum Given<'input> {
    Once(&'input str),
    Several(&'input Map<String, Value>, &'input str),
}

impl<'input> Given<'input> {
    /// `None` when nothing is given, or nothing that is a text or a boolean.
    fn of(input: &'input Value, name: &'input str) -> Option<Self> {
        let object = input.as_object()?;
        let mut values = object.iter().filter(|(key, _)| same_name(key, name));
        let first = text_of(values.next()?.1)?;
        let several = values.next().is_some();
        Some(if several { Self::Several(object, name) } else { Self::Once(first) })
    }

    fn all(&self, matches: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Once(text) => matches(text),
            Self::Several(object, name) => {
                let mut values = object.iter().filter(|(key, _)| same_name(key, name));
                values.all(|(_, value)| text_of(value).is_some_and(&matches))
            }
        }
    }
}

/// A text, or a boolean as one.
fn text_of(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Bool(true) => Some("true"),
        Value::Bool(false) => Some("false"),
        _ => None,
    }
}

impl fmt::Display for CallRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.capability)?;
        for (name, glob) in &self.arguments {
            write!(formatter, " {name}={glob}")?;
        }
        Ok(())
    }
}
