use super::*;

#[path = "../../../../tests/fuzz/drive.rs"]
mod drive;

#[test]
fn conversion_holds_for_seeds_and_mutations() {
    drive::drive("conversion", conversion, 400);
}

#[test]
fn the_cache_holds_for_seeds_and_mutations() {
    drive::drive("cache", cache, 2_000);
}
