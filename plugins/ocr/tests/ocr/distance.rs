//! How much two texts differ.

/// Characters to insert, remove or replace to make one text the other.
pub(crate) fn distance(one: &str, other: &str) -> usize {
    let other: Vec<_> = other.chars().collect();
    let mut row: Vec<_> = (0..=other.len()).collect();
    for (index, mine) in one.chars().enumerate() {
        let mut diagonal = index;
        row[0] = index + 1;
        for (column, theirs) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(mine != *theirs);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[test]
fn distances_count_changes() {
    for (one, other, expected) in [("", "", 0), ("abc", "", 3), ("kitten", "sitting", 3)] {
        assert_eq!(distance(one, other), expected);
        assert_eq!(distance(other, one), expected);
    }
}
