use proptest::prelude::*;

use super::*;
use crate::evidence::{
    event::Stamp,
    fixture::{OwnedRow, Store, call, head, host_id, signer, stamp, subject},
    lifecycle, merkle,
};

fn verify(store: &Store) -> Result<Report, Broken> {
    let key = signer().public_key();
    let mut verifier = Verifier::new(host_id(), store.signed.clone(), &key)?;
    for row in &store.rows {
        verifier.event(&row.row())?;
    }
    verifier
        .finish(store.heads.iter().map(|(id, (sequence, hash))| (id.as_str(), *sequence, *hash)))
}

fn first_wrong(store: &Store) -> u64 {
    verify(store).expect_err("the change must be found").sequence
}

#[test]
fn a_sound_store_is_reported_with_its_heads() {
    let store = Store::of(200);
    let report = verify(&store).unwrap();
    assert_eq!((report.events, report.sequence, report.purged), (200, 200, 0));
    assert_eq!(report.correlations, 8);
    assert_eq!(report.root, store.root);
    assert_eq!(report.signed_through, 200);
    let heads = store.heads.iter().map(|(id, (_, hash))| (id.as_str(), *hash));
    assert_eq!(report.head_v1, head_v1(heads));
    let empty = Store::sealed(Vec::new());
    assert_eq!(verify(&empty).unwrap().sequence, 0);
}

/// The text with one bit of one byte changed, when that is still UTF-8.
fn flipped(text: &str, at: usize, bit: u8) -> Option<String> {
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] ^= 1 << bit;
    String::from_utf8(bytes).ok()
}

#[test]
fn every_single_byte_of_every_column_is_covered() {
    let store = Store::of(12);
    let mut verifier = Verifier::new(host_id(), Vec::new(), &signer().public_key()).unwrap();
    for row in &store.rows {
        for (name, text) in row.columns.clone() {
            let text = text.unwrap_or_default();
            for (at, bit) in (0..text.len()).flat_map(|at| [(at, 0), (at, 5)]) {
                let Some(changed) = flipped(&text, at, bit) else { continue };
                let mut row = row.clone();
                row.columns.insert(name, Some(changed));
                let found = verifier.clone().event(&row.row()).expect_err(name);
                assert_eq!(found.sequence, row.sequence, "{name} byte {at} bit {bit}");
            }
        }
        verifier.event(&row.row()).unwrap();
    }
}

/// The first wrong thing in a store whose record of event 2 is `change` of what was written.
fn after(change: impl Fn(&str) -> String) -> Broken {
    let mut store = Store::of(12);
    let json = store.rows[1].columns["json"].clone().unwrap();
    let changed = change(&json);
    assert_ne!(changed, json);
    store.rows[1].columns.insert("json", Some(changed));
    verify(&store).unwrap_err()
}

#[test]
fn a_record_has_one_spelling() {
    let wrong = |wrong| Broken { sequence: 2, wrong };
    let spelt = |from: &'static str, to: &'static str| after(|json| json.replacen(from, to, 1));
    assert_eq!(spelt("\"capability_id\": ", "\"capability_id\":  "), wrong(Wrong::Spelling));
    assert_eq!(spelt(", \"host_id\"", ",\t\"host_id\""), wrong(Wrong::Spelling));
    assert_eq!(spelt("\"node-1\"", "\"node\\u002d1\""), wrong(Wrong::Spelling));
    assert_eq!(after(|json| format!("{json} ")), wrong(Wrong::Spelling));
    let turned = after(|json| {
        let json = json.replacen("{\"assurance\": {\"level\": \"S1\"}, ", "{", 1);
        format!("{}, \"assurance\": {{\"level\": \"S1\"}}}}", json.trim_end_matches('}'))
    });
    assert_eq!(turned, wrong(Wrong::Spelling));
    let more = after(|json| json.replacen('{', "{\"actor\": null, ", 1));
    assert_eq!(more, wrong(Wrong::Unreadable));
    let twice = after(|json| json.replacen('{', "{\"redacted\": true, ", 1));
    assert_eq!(twice, wrong(Wrong::Unreadable));
    assert_eq!(
        spelt("\"assurance\": {\"level\": \"S1\"}", "\"assurance\": {\"level\": \"S3\"}"),
        wrong(Wrong::Copy)
    );
}

#[test]
fn a_change_made_in_column_and_record_alike_is_found_by_the_hashes() {
    let store = Store::of(12);
    for (index, row) in store.rows.iter().enumerate() {
        for name in [
            "event_id",
            "event_type",
            "invocation_id",
            "capability_id",
            "timestamp",
            "content_hash",
        ] {
            let mut store = store.clone();
            let json = row.columns["json"].clone().unwrap();
            let record: serde_json::Value = serde_json::from_str(&json).unwrap();
            let old = record[name].as_str().unwrap().to_owned();
            let first = if old.starts_with('0') { "1" } else { "0" };
            let new = format!("{first}{}", &old[1..]);
            let json = json.replacen(
                &format!("\"{name}\": \"{old}\""),
                &format!("\"{name}\": \"{new}\""),
                1,
            );
            store.rows[index].columns.insert("json", Some(json));
            store.rows[index].columns.insert(name, Some(new));
            let expected = Broken { sequence: index as u64 + 1, wrong: Wrong::ContentHash };
            assert_eq!(verify(&store).unwrap_err(), expected, "{name}");
        }
    }
}

#[test]
fn an_event_that_begins_its_chain_anew_is_found() {
    let mut sealer = crate::evidence::chain::Sealer::default();
    let mut rows = Vec::new();
    for draft in call(1, "work") {
        let mut group = sealer.group();
        group.seal(draft, None).unwrap();
        rows.extend(group.events().iter().map(OwnedRow::of));
        assert!(sealer.commit(group));
    }
    let mut store = Store::of(2);
    store.rows = rows;
    store.signed.clear();
    assert_eq!(verify(&store).unwrap_err(), Broken { sequence: 2, wrong: Wrong::Chain });
}

#[test]
fn a_record_of_another_host_is_found() {
    let store = Store::of(2);
    let other = "node-2".parse().unwrap();
    let mut verifier = Verifier::new(other, Vec::new(), &signer().public_key()).unwrap();
    let found = verifier.event(&store.rows[0].row()).unwrap_err();
    assert_eq!(found, Broken { sequence: 1, wrong: Wrong::Host });
}

#[test]
fn what_is_taken_away_is_missing_wherever_it_stood() {
    let store = Store::of(60);
    for index in 0..60 {
        let mut shorter = store.clone();
        shorter.rows.remove(index);
        let found = verify(&shorter).unwrap_err();
        assert_eq!(found, Broken { sequence: index as u64 + 1, wrong: Wrong::Missing });
    }
    for left in 0..60 {
        let mut shorter = store.clone();
        shorter.rows.truncate(left);
        let found = verify(&shorter).unwrap_err();
        assert_eq!(found, Broken { sequence: left as u64 + 1, wrong: Wrong::Missing });
        // Without any signed head the stored heads of the correlations still show it.
        shorter.signed.clear();
        assert_eq!(first_wrong(&shorter), left as u64 + 1);
    }
}

#[test]
fn what_is_put_in_another_order_is_found() {
    let store = Store::of(60);
    for index in 0..59 {
        let mut rows = store.clone();
        rows.rows.swap(index, index + 1);
        assert_eq!(first_wrong(&rows), index as u64 + 1);
        // With the sequence columns put right again, the record itself tells.
        rows.rows[index].sequence = index as u64 + 1;
        rows.rows[index + 1].sequence = index as u64 + 2;
        assert_eq!(first_wrong(&rows), index as u64 + 1);
    }
    let mut twice = store.clone();
    twice.rows.insert(10, store.rows[9].clone());
    assert_eq!(verify(&twice).unwrap_err(), Broken { sequence: 10, wrong: Wrong::Order });
}

#[test]
fn stored_heads_are_compared() {
    let store = Store::of(60);
    for (id, (sequence, _)) in &store.heads {
        let mut changed = store.clone();
        changed.heads.insert(id.clone(), (*sequence, Hash::of(b"other")));
        let expected = Broken { sequence: *sequence, wrong: Wrong::CorrelationHead };
        assert_eq!(verify(&changed).unwrap_err(), expected);
        changed.heads.remove(id);
        assert_eq!(verify(&changed).unwrap_err().wrong, Wrong::CorrelationHead);
    }
    let mut more = store.clone();
    more.heads.insert("unknown".to_owned(), (5, Hash::of(b"x")));
    assert_eq!(verify(&more).unwrap_err(), Broken { sequence: 5, wrong: Wrong::CorrelationHead });
}

#[test]
fn a_record_that_was_written_anew_differs_from_the_signed_head() {
    let store = Store::of(60);
    let mut drafts = Vec::new();
    for number in 1..40 {
        drafts.extend(call(number, &format!("other-{}", number % 7)));
    }
    drafts.truncate(60);
    let mut rewritten = Store::sealed(drafts);
    assert!(verify(&rewritten).is_ok());
    rewritten.signed = vec![head(60, store.root)];
    let found = verify(&rewritten).unwrap_err();
    assert_eq!(found, Broken { sequence: 1, wrong: Wrong::Rewritten { signed: 60 } });
}

#[test]
fn a_head_that_is_not_genuine_is_refused() {
    let store = Store::of(12);
    let mut forged = store.clone();
    forged.signed[0].root = Hash::of(b"forged");
    let expected = Wrong::SignedHead(StatementError::Signature);
    assert_eq!(verify(&forged).unwrap_err().wrong, expected);
    let mut later = store;
    later.signed.push(head(99, Hash::of(b"later")));
    assert_eq!(verify(&later).unwrap_err(), Broken { sequence: 13, wrong: Wrong::Missing });
}

/// A store whose correlation `gone` was purged, with the leaves that stay.
struct PurgedStore {
    store: Store,
    leaves: Vec<(u64, Hash)>,
}

fn purged_store(change: impl Fn(&mut Tombstone)) -> PurgedStore {
    let before = [call(1, "gone"), call(2, "stays"), call(4, "gone")].concat();
    let whole = Store::sealed(before.clone());
    let gone: Vec<_> =
        whole.events.iter().filter(|e| e.correlation_id.as_str() == "gone").collect();
    let leaves: Vec<(u64, Hash)> = gone
        .iter()
        .map(|event| (event.sequence, merkle::leaf(&event.correlation_id, &event.content_hash)))
        .collect();
    let head_hash = gone.last().unwrap().content_hash;
    let mut tombstone = Tombstone::of("gone", leaves.clone(), head_hash).unwrap();
    change(&mut tombstone);
    let stamp: Stamp = stamp(99);
    let act = "purge".parse().unwrap();
    let kind = EventType::EvidencePurged;
    let draft =
        lifecycle::event(&host_id(), act, subject(), stamp, kind, tombstone.facts()).unwrap();
    let after = call(5, "gone");
    let mut store = Store::sealed([before, vec![draft], after].concat());
    store.rows.retain(|row| !leaves.iter().any(|(sequence, _)| *sequence == row.sequence));
    PurgedStore { store, leaves }
}

fn verify_purged(purged: &PurgedStore) -> Result<Report, Broken> {
    let key = signer().public_key();
    let mut verifier = Verifier::new(host_id(), purged.store.signed.clone(), &key)?;
    let mut rows: Vec<(u64, Option<&OwnedRow>, Option<Hash>)> =
        purged.store.rows.iter().map(|row| (row.sequence, Some(row), None)).collect();
    rows.extend(purged.leaves.iter().map(|(sequence, leaf)| (*sequence, None, Some(*leaf))));
    rows.sort_by_key(|(sequence, ..)| *sequence);
    for (sequence, row, leaf) in rows {
        match (row, leaf) {
            (Some(row), _) => verifier.event(&row.row())?,
            (None, leaf) => verifier.purged(sequence, "gone", leaf.unwrap())?,
        }
    }
    let heads = &purged.store.heads;
    verifier.finish(heads.iter().map(|(id, (sequence, hash))| (id.as_str(), *sequence, *hash)))
}

#[test]
fn a_purged_correlation_leaves_leaves_and_a_tombstone_and_can_go_on() {
    let report = verify_purged(&purged_store(|_| {})).unwrap();
    assert_eq!((report.events, report.purged, report.sequence), (5, 4, 9));
}

#[test]
fn a_tombstone_that_does_not_fit_is_found() {
    let changes: [fn(&mut Tombstone); 5] = [
        |tombstone| tombstone.events += 1,
        |tombstone| tombstone.last_sequence += 1,
        |tombstone| tombstone.leaves = Hash::of(b"x"),
        |tombstone| tombstone.head_hash = Hash::of(b"x"),
        |tombstone| tombstone.correlation_id = "stays".to_owned(),
    ];
    for change in changes {
        let found = verify_purged(&purged_store(change)).unwrap_err();
        assert_eq!(found, Broken { sequence: 7, wrong: Wrong::Tombstone });
    }
}

#[test]
fn a_purge_without_tombstone_or_of_a_part_is_found() {
    let store = Store::sealed([call(2, "stays"), call(4, "gone")].concat());
    let leaf = |index: usize| {
        let event = &store.events[index];
        merkle::leaf(&event.correlation_id, &event.content_hash)
    };
    let mut silent = PurgedStore { store: store.clone(), leaves: vec![(3, leaf(2)), (4, leaf(3))] };
    silent.store.rows.truncate(2);
    assert_eq!(verify_purged(&silent).unwrap_err().wrong, Wrong::NoTombstone);
    let mut part = PurgedStore { store: store.clone(), leaves: vec![(4, leaf(3))] };
    part.store.rows.truncate(3);
    assert_eq!(
        verify_purged(&part).unwrap_err(),
        Broken { sequence: 4, wrong: Wrong::PartialPurge }
    );
    let mut begin = PurgedStore { store: store.clone(), leaves: vec![(3, leaf(2))] };
    begin.store.rows.remove(2);
    assert_eq!(verify_purged(&begin).unwrap_err(), Broken { sequence: 4, wrong: Wrong::Chain });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_changed_byte_of_a_larger_store_is_found_at_its_event(
        index in 0..200_usize, column: prop::sample::Index, at: prop::sample::Index, byte in 1..=127_u8,
    ) {
        thread_local! {
            static STORE: Store = Store::of(200);
        }
        let mut store = STORE.with(Store::clone);
        let columns: Vec<&'static str> = store.rows[index].columns.keys().copied().collect();
        let name = columns[column.index(columns.len())];
        let Some(text) = store.rows[index].columns[name].clone() else { return Ok(()) };
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= byte;
        let Ok(changed) = String::from_utf8(bytes) else { return Ok(()) };
        store.rows[index].columns.insert(name, Some(changed));
        prop_assert_eq!(first_wrong(&store), index as u64 + 1);
    }

    #[test]
    fn any_text_in_place_of_a_record_is_an_error_and_no_panic(text in any::<String>()) {
        let mut store = Store::of(2);
        store.rows[1].columns.insert("json", Some(text));
        prop_assert_eq!(verify(&store).unwrap_err(), Broken { sequence: 2, wrong: Wrong::Unreadable });
    }
}
