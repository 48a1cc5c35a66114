//! Which files of a folder are taken in.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::retrieval::Error;

/// Patterns in one list.
const PATTERNS_MAX: usize = 32;
/// Bytes of a pattern.
const PATTERN_BYTES_MAX: usize = 256;
/// Folders that programs fill, and no person.
const EXCLUDED: [&str; 3] = ["node_modules", "target", "__pycache__"];

/// What is chosen.
#[derive(Debug)]
pub(crate) struct Selection {
    include: Option<GlobSet>,
    exclude: GlobSet,
}

impl Selection {
    /// Reads the patterns.
    pub(crate) fn new(
        include: Option<&[String]>,
        exclude: Option<&[String]>,
    ) -> Result<Self, Error> {
        let usual = EXCLUDED.map(str::to_owned);
        Ok(Self {
            include: include.map(set).transpose()?,
            exclude: set(exclude.unwrap_or(&usual))?,
        })
    }

    /// Whether a folder, by its path below the root, is entered.
    pub(crate) fn enters(&self, relative: &str) -> bool {
        !self.exclude.is_match(relative)
    }

    /// Whether a file, by its path below the root, is taken in.
    pub(crate) fn takes(&self, relative: &str) -> bool {
        !self.exclude.is_match(relative)
            && self.include.as_ref().is_none_or(|include| include.is_match(relative))
    }
}

fn set(patterns: &[String]) -> Result<GlobSet, Error> {
    if patterns.len() > PATTERNS_MAX {
        return Err(Error::TooLarge(format!("at most {PATTERNS_MAX} patterns are taken")));
    }
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        if pattern.is_empty() || pattern.len() > PATTERN_BYTES_MAX {
            return Err(Error::Invalid(format!("a pattern has 1 to {PATTERN_BYTES_MAX} bytes")));
        }
        let wrong = |error: globset::Error| {
            Error::Invalid(format!("the pattern {pattern:?} is wrong: {}", error.kind()))
        };
        let relative = pattern.trim_start_matches("./").trim_end_matches('/');
        // Without a slash it means a name, wherever it stands.
        let anywhere = format!("**/{relative}");
        let relative = if relative.contains('/') { relative } else { &anywhere };
        set.add(GlobBuilder::new(relative).literal_separator(true).build().map_err(wrong)?);
    }
    set.build().map_err(|error| Error::Invalid(format!("the patterns are wrong: {}", error.kind())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(include: Option<&[&str]>, exclude: Option<&[&str]>) -> Selection {
        let owned = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        let (include, exclude) = (include.map(owned), exclude.map(owned));
        Selection::new(include.as_deref(), exclude.as_deref()).unwrap()
    }

    #[test]
    fn a_pattern_without_a_slash_is_a_name_anywhere() {
        let chosen = selection(Some(&["*.md", "docs/**/*.txt"]), None);
        assert!(chosen.takes("a.md") && chosen.takes("b/c/a.md") && chosen.takes("docs/x/a.txt"));
        assert!(!chosen.takes("a.txt") && !chosen.takes("target/a.md/b"));
    }

    #[test]
    fn folders_that_programs_fill_are_left_out_unless_said_otherwise() {
        assert!(!selection(None, None).enters("a/node_modules"));
        assert!(selection(None, Some(&[])).enters("a/node_modules"));
        assert!(!selection(None, Some(&["drafts/"])).enters("drafts"));
        assert!(!selection(Some(&["*.md"]), Some(&["secret*"])).takes("a/secret.md"));
    }

    #[test]
    fn wrong_and_too_many_patterns_are_refused() {
        let many = vec!["a".to_owned(); 33];
        assert!(matches!(Selection::new(Some(&many), None), Err(Error::TooLarge(_))));
        let wrong = ["a[".to_owned()];
        assert!(matches!(Selection::new(None, Some(&wrong)), Err(Error::Invalid(_))));
        assert!(matches!(Selection::new(None, Some(&[String::new()])), Err(Error::Invalid(_))));
    }
}
