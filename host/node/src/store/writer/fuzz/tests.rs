use super::*;

#[path = "../../../../../../tests/fuzz/drive.rs"]
mod drive;

#[test]
fn the_journal_holds_for_seeds_and_mutations() {
    drive::drive("journal", journal, 500);
}
