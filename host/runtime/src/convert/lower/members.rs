//! The members of an object, by the names that WIT gives them.

use std::{borrow::Cow, collections::HashSet};

use serde_json::{Map, Value};

use crate::convert::{
    ConvertError,
    describe::{listed, nearest, quoted},
    path::Path,
};

/// An object whose members are taken by WIT name.
pub(super) struct Known<'a> {
    object: &'a Map<String, Value>,
    taken: usize,
}

impl<'a> Known<'a> {
    /// Nothing is taken yet.
    pub(super) const fn new(object: &'a Map<String, Value>) -> Self {
        Self { object, taken: 0 }
    }

    /// The member of that name, written with `-` or with `_`.
    pub(super) fn take(
        &mut self,
        path: &Path<'_>,
        name: &str,
    ) -> Result<Option<&'a Value>, ConvertError> {
        let written = self.object.get(name);
        let folded = match fold(name) {
            Cow::Borrowed(_) => None,
            Cow::Owned(folded) => self.object.get(&folded),
        };
        if written.is_some() && folded.is_some() {
            let message = "given twice, once with `-` and once with `_`";
            return Err(ConvertError::input(&path.key(name), message));
        }
        let value = written.or(folded);
        self.taken += usize::from(value.is_some());
        Ok(value)
    }

    /// Whether there are more members than were taken.
    pub(super) fn has_unknown(&self) -> bool {
        self.taken < self.object.len()
    }
}

fn fold(name: &str) -> Cow<'_, str> {
    if name.contains('-') { Cow::Owned(name.replace('-', "_")) } else { Cow::Borrowed(name) }
}

/// Refuses the first member that has none of these names.
pub(super) fn check_known(
    path: &Path<'_>,
    object: &Map<String, Value>,
    names: &[&str],
) -> Result<(), ConvertError> {
    let known: HashSet<Cow<'_, str>> =
        names.iter().flat_map(|name| [Cow::Borrowed(*name), fold(name)]).collect();
    let Some(key) = object.keys().find(|key| !known.contains(key.as_str())) else {
        return Ok(());
    };
    let near = nearest(key, names.iter().copied());
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None if names.is_empty() => "nothing is expected here".to_owned(),
        None => format!("known are {}", listed(names.iter().copied()).replace('-', "_")),
    };
    Err(ConvertError::input(path, &format!("there is no {} here; {hint}", quoted(key))))
}
