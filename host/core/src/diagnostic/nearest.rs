//! "Did you mean": the known name that is nearest to a mistyped one.

/// Longest name that is compared, in characters; longer ones have no nearest name.
const NAME_CHARS_MAX: usize = 64;
/// Most names that one is compared with.
const NAMES_MAX: usize = 1_024;

/// The known name with the fewest changed characters, when they are few enough to be a slip: at
/// most a third of the word, at least one. Case does not count, `-` counts as `_`. Of equals the
/// first wins. At most 1,024 known names are looked at.
pub fn nearest<'known>(
    word: &str,
    known: impl IntoIterator<Item = &'known str>,
) -> Option<&'known str> {
    let word = folded(word)?;
    let distance_max = (word.len() / 3).max(1);
    let mut best: Option<(usize, &str)> = None;
    for name in known.into_iter().take(NAMES_MAX) {
        let Some(candidate) = folded(name) else { continue };
        let distance = distance(&word, &candidate);
        let better = best.is_none_or(|(smallest, _)| distance < smallest);
        if distance <= distance_max && better {
            best = Some((distance, name));
        }
    }
    best.map(|(_, name)| name)
}

fn folded(name: &str) -> Option<Vec<char>> {
    let fold =
        |character: char| if character == '-' { '_' } else { character.to_ascii_lowercase() };
    let characters: Vec<char> = name.chars().take(NAME_CHARS_MAX + 1).map(fold).collect();
    (1..=NAME_CHARS_MAX).contains(&characters.len()).then_some(characters)
}

/// The Levenshtein distance: insertions, deletions and replacements, row by row.
fn distance(left: &[char], right: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, left_character) in left.iter().enumerate() {
        let mut diagonal = index;
        let mut before = index + 1;
        for (cell, right_character) in row.iter_mut().skip(1).zip(right) {
            let replaced = diagonal + usize::from(left_character != right_character);
            diagonal = *cell;
            *cell = replaced.min(diagonal + 1).min(before + 1);
            before = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = index + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}
