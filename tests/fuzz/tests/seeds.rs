//! Every target holds for its seeds and for mutations of them.

#![expect(
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says how to repeat it"
)]

#[path = "../drive.rs"]
mod drive;

/// Mutations of each target.
const MUTATIONS: usize = 3_000;

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            let name = stringify!($name).replace('_', "-");
            let target = fuzz_targets::find(&name).expect("a target of this name");
            drive::drive(&name, target, MUTATIONS);
        })*

        #[test]
        fn every_target_is_driven() {
            let driven = [$(stringify!($name).replace('_', "-")),*];
            assert!(fuzz_targets::TARGETS.iter().all(|(name, _)| driven.iter().any(|d| d == name)));
        }
    };
}

targets! {
    bundle canonical configuration event frame grants inspect json manifest merkle
    mesh_announcement mesh_frame mesh_record mesh_statement mesh_ticket mesh_value model patterns
    permission profile
}
