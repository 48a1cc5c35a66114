//! Where in a value the conversion stands; costs nothing until an error is written.

use std::fmt;

/// A place in the input or output, linked to the place around it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Path<'a> {
    /// The whole value, with the word for it.
    Root(&'a str),
    /// A parameter, field or key.
    Key(&'a Path<'a>, &'a str),
    /// An element of an array.
    Index(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    /// The place under a key.
    pub(super) const fn key(&'a self, key: &'a str) -> Self {
        Self::Key(self, key)
    }

    /// The place at an index.
    pub(super) const fn index(&'a self, index: usize) -> Self {
        Self::Index(self, index)
    }

    fn write(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(_) => Ok(()),
            Self::Key(parent, key) => {
                parent.write(formatter)?;
                if !matches!(parent, Self::Root(_)) {
                    formatter.write_str(".")?;
                }
                write_folded(key, formatter)
            }
            Self::Index(parent, index) => {
                parent.write(formatter)?;
                write!(formatter, "[{index}]")
            }
        }
    }
}

/// Writes a WIT name as it stands in JSON.
fn write_folded(name: &str, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (position, part) in name.split('-').enumerate() {
        if position > 0 {
            formatter.write_str("_")?;
        }
        formatter.write_str(part)?;
    }
    Ok(())
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(word) => formatter.write_str(word),
            _ => self.write(formatter),
        }
    }
}
