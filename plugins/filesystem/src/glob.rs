//! Finding files by name.

use globset::{GlobBuilder, GlobMatcher};

use crate::files::{Error, Paths};
use crate::listing::bounded;
use crate::walk::{Found, Walk};

/// Bytes of a pattern.
const PATTERN_BYTES_MAX: usize = 1_024;

/// Paths below `path` that match.
pub(crate) fn glob(pattern: &str, path: Option<&str>, limit: Option<u32>) -> Result<Paths, Error> {
    let glob = Glob::new(pattern)?;
    let limit = bounded(limit);
    let mut walk = Walk::new(path.unwrap_or("."), |found| glob.may_hold(found))?;
    let mut paths = Vec::new();
    for found in walk.by_ref().filter(|found| glob.matches(found)) {
        if paths.len() == limit {
            return Ok(Paths { paths, truncated: true });
        }
        paths.push(found.path);
    }
    Ok(Paths { paths, truncated: walk.truncated() })
}

/// A pattern, with what it says about where matches can be.
#[derive(Debug)]
pub(crate) struct Glob {
    matcher: GlobMatcher,
    /// Leading parts without any pattern: only these folders are entered.
    fixed: Vec<String>,
    /// How deep a match can be; `None` when `**` stands in it.
    depth: Option<usize>,
    /// A part begins with a dot, so that hidden names are wanted.
    hidden: bool,
}

impl Glob {
    /// Reads a pattern.
    pub(crate) fn new(pattern: &str) -> Result<Self, Error> {
        if pattern.is_empty() || pattern.len() > PATTERN_BYTES_MAX {
            return Err(Error::Invalid(format!(
                "a pattern has 1 to {PATTERN_BYTES_MAX} bytes, this one has {}",
                pattern.len()
            )));
        }
        let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
        let matcher = GlobBuilder::new(pattern)
            .literal_separator(true)
            .build()
            .map_err(|error| Error::Invalid(format!("the pattern is wrong: {}", error.kind())))?
            .compile_matcher();
        let parts: Vec<&str> = pattern.split('/').collect();
        let has_braces = pattern.contains('{');
        let fixed = parts
            .iter()
            .take(parts.len().saturating_sub(1))
            .take_while(|part| !part.contains(['*', '?', '[', '{', '}', '\\']))
            .map(|part| (*part).to_owned())
            .collect();
        Ok(Self {
            matcher,
            fixed,
            // Alternatives may hold `/` themselves.
            depth: (!pattern.contains("**") && !has_braces).then_some(parts.len()),
            hidden: parts.iter().any(|part| part.starts_with(['.', '{']) && part.contains('.')),
        })
    }

    /// Whether something matches.
    pub(crate) fn matches(&self, found: &Found) -> bool {
        self.matcher.is_match(&found.relative)
    }

    /// Whether something, or what lies below it, can match.
    pub(crate) fn may_hold(&self, found: &Found) -> bool {
        let mut depth = 0;
        for (at, part) in found.relative.split('/').enumerate() {
            if part.starts_with('.') && !self.hidden {
                return false;
            }
            if self.fixed.get(at).is_some_and(|fixed| fixed != part) {
                return false;
            }
            depth = at + 1;
        }
        self.depth.is_none_or(|most| depth <= most)
    }
}
