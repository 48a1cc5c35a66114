use proptest::prelude::*;

use super::*;

fn journal(folder: &Path) -> Journal {
    Journal::open(folder, Durability::Process).unwrap()
}

fn frames(folder: &Path) -> Vec<(Span, Vec<u8>)> {
    let mut frames = Frames::of(folder).unwrap();
    std::iter::from_fn(|| frames.next().unwrap()).collect()
}

/// Frames of two sequences each.
fn write(journal: &mut Journal, from: u64, count: u64) -> Vec<(Span, Vec<u8>)> {
    (0..count)
        .map(|number| {
            let first = from + number * 2;
            let payload = vec![b'x'; usize::try_from(first).unwrap()];
            let span = Span { first, last: first + 1 };
            journal.append(span, &payload).unwrap();
            (span, payload)
        })
        .collect()
}

fn only_segment(folder: &Path) -> PathBuf {
    let [segment] = &list(folder).unwrap()[..] else { panic!("not one segment") };
    segment.clone()
}

#[test]
fn what_was_appended_is_read_again_over_several_segments() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = journal(folder.path());
    let mut written = write(&mut journal, 1, 5);
    journal.rotate();
    written.extend(write(&mut journal, 11, 5));
    assert_eq!(frames(folder.path()), written);
    assert_eq!(list(folder.path()).unwrap().len(), 2);
}

#[test]
fn a_segment_goes_when_all_of_it_is_safe() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = journal(folder.path());
    write(&mut journal, 1, 5);
    journal.rotate();
    let kept = write(&mut journal, 11, 1);
    journal.retire(9).unwrap();
    assert_eq!(list(folder.path()).unwrap().len(), 2, "sequence 10 is not safe yet");
    journal.retire(10).unwrap();
    assert_eq!(frames(folder.path()), kept);
    // The segment that is being written stays, whatever is safe.
    journal.retire(u64::MAX).unwrap();
    assert_eq!(frames(folder.path()), kept);
    // One from before goes when everything in it has been taken over.
    let mut again = Journal::open(folder.path(), Durability::Process).unwrap();
    assert!(again.leftovers());
    again.retire(0).unwrap();
    assert_eq!(list(folder.path()).unwrap().len(), 0);
}

#[test]
fn a_segment_of_the_same_name_replaces_what_was_never_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(format!("{:020}", 1)), b"mhjrnl01 half a frame").unwrap();
    let mut journal = journal(folder.path());
    assert!(frames(folder.path()).is_empty());
    let written = write(&mut journal, 1, 2);
    journal.retire(0).unwrap();
    assert_eq!(frames(folder.path()), written);
}

#[test]
fn a_segment_of_another_program_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(format!("{:020}", 1)), b"mhjrnl99 whatever").unwrap();
    let error = Frames::of(folder.path()).unwrap().next().unwrap_err();
    assert_eq!(error.to_string(), "the store could not read the journal");
    // Where a machine lost its power before anything was written, there is nothing to lose.
    std::fs::write(folder.path().join(format!("{:020}", 1)), [0; 64]).unwrap();
    assert!(frames(folder.path()).is_empty());
}

#[test]
fn after_a_failed_write_a_whole_frame_is_read_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = journal(folder.path());
    let written = write(&mut journal, 1, 2);
    // A descriptor that cannot be written, as on a full disk.
    let segment = journal.current.as_mut().unwrap();
    segment.file = File::open(&segment.path).unwrap();
    let error = journal.append(Span { first: 5, last: 6 }, b"lost").unwrap_err();
    assert_eq!(error.to_string(), "the store could not write the journal");
    // Nor could it be cut, so nobody knows what the next reader would see: no more is accepted.
    assert!(journal.append(Span { first: 5, last: 6 }, b"more").is_err());
    assert_eq!(frames(folder.path()), written);
}

proptest! {
    /// Wherever the file is cut, the frames before the cut are read, and nothing else.
    #[test]
    fn a_cut_segment_gives_the_frames_before_the_cut(cut in 0_usize..400) {
        let folder = tempfile::tempdir().unwrap();
        let written = write(&mut journal(folder.path()), 1, 4);
        let segment = only_segment(folder.path());
        let bytes = std::fs::read(&segment).unwrap();
        std::fs::write(&segment, &bytes[..bytes.len().min(cut)]).unwrap();
        let read = frames(folder.path());
        prop_assert_eq!(&read[..], &written[..read.len()]);
        prop_assert_eq!(read.len() == 4, cut >= bytes.len());
    }

    /// A changed byte ends the reading at its frame.
    #[test]
    fn a_changed_byte_never_gives_another_frame(at in 8_usize..200, flip in 1_u8..=255) {
        let folder = tempfile::tempdir().unwrap();
        let written = write(&mut journal(folder.path()), 1, 4);
        let segment = only_segment(folder.path());
        let mut bytes = std::fs::read(&segment).unwrap();
        bytes[at] ^= flip;
        std::fs::write(&segment, &bytes).unwrap();
        let read = frames(folder.path());
        prop_assert!(read.len() < 4);
        prop_assert_eq!(&read[..], &written[..read.len()]);
    }

    /// Whatever lies in the folder, reading it ends without a panic.
    #[test]
    fn any_bytes_are_read_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let folder = tempfile::tempdir().unwrap();
        let whole = [MAGIC.as_slice(), &bytes].concat();
        std::fs::write(folder.path().join(format!("{:020}", 1)), whole).unwrap();
        prop_assert!(frames(folder.path()).len() <= 38);
    }
}
