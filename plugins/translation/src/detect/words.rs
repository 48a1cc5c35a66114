//! The commonest words of languages that share a script: they tell what trigrams of a single sentence
//! do not.

use std::collections::{BTreeMap, HashMap};

/// Words that say as much as a text can: with fewer, confidence is less.
const WORDS_ENOUGH: f32 = 3.0;

/// A line for each language: its code, and words that hardly any of its texts is without.
const WORDS: &str = include_str!("words.txt");

/// The languages of each word.
fn languages() -> HashMap<&'static str, Vec<&'static str>> {
    let mut languages: HashMap<_, Vec<_>> = HashMap::new();
    for line in WORDS.lines() {
        let (language, words) = line.split_once(' ').unwrap_or((line, ""));
        words.split(' ').for_each(|word| languages.entry(word).or_default().push(language));
    }
    languages
}

/// What the words of a text say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Said {
    pub(super) language: &'static str,
    /// 0 to 1.
    pub(super) confidence: f32,
}

/// The language whose words stand in a text; nothing where none do.
pub(super) fn find(text: &str) -> Option<Said> {
    let (lower, languages) = (text.to_lowercase(), languages());
    let mut scores: BTreeMap<&'static str, f32> = BTreeMap::new();
    for word in lower.split(|letter: char| !letter.is_alphabetic() && letter != '\'') {
        let known = languages.get(word).map(Vec::as_slice).unwrap_or_default();
        // A word of many languages says little.
        let share = 1.0 / known.len() as f32;
        known.iter().for_each(|language| *scores.entry(language).or_default() += share);
    }
    let mut ranked: Vec<_> = scores.into_iter().collect();
    ranked.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let (language, best) = ranked.first().copied()?;
    let second = ranked.get(1).map_or(0.0, |(_, score)| *score);
    Some(Said { language, confidence: (best - second) / best * (best / WORDS_ENOUGH).min(1.0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_language_with_words() {
        for line in WORDS.lines() {
            let (language, words) = line.split_once(' ').unwrap();
            assert_eq!(crate::languages::short(language), language);
            assert!(words.split(' ').count() > 9 && words.split(' ').all(|word| !word.is_empty()));
        }
    }

    #[test]
    fn words_tell_neighbours_apart() {
        for (language, text) in [
            ("nl", "Ik weet niet waarom hij gisteren niet naar school is gegaan."),
            ("af", "Ek weet nie hoekom hy gister nie skool toe gegaan het nie."),
            ("no", "Jeg vet ikke hva han gikk etter i går, og hvorfor."),
            ("da", "Jeg ved ikke, hvornår han gik til mig, og hvorfor."),
            ("sk", "Nie je to tak, ako keď sme boli mladí, ale už som starý."),
            ("cs", "Není to tak, jako když jsme byli mladí, ale už jsem starý."),
        ] {
            let said = find(text).unwrap();
            assert_eq!(said.language, language, "{text}");
        }
        assert_eq!(find("xyzzy 42"), None);
    }

    #[test]
    fn a_word_of_many_languages_says_little() {
        assert!(find("de").unwrap().confidence < 0.1);
        assert!(find("until the").unwrap().confidence > 0.3);
    }
}
