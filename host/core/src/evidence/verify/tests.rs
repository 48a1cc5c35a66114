use proptest::prelude::*;

use super::*;
use crate::evidence::{
    event::Stamp,
    fixture::{OwnedHead, OwnedRow, Store, call, head, host_id, signer, stamp, subject},
    lifecycle, merkle,
};

fn verify(store: &Store) -> Result<Report, Broken> {
    let key = signer().public_key();
    let mut verifier = Verifier::new(host_id(), store.signed.clone(), &key)?;
    for row in &store.rows {
        verifier.event(&row.row())?;
    }
    for (correlation, head) in &store.heads {
        verifier.head(&head.head(correlation));
    }
    verifier.finish()
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
    let heads = store.heads.iter().map(|(id, head)| (id.as_str(), head.hash.parse().unwrap()));
    assert_eq!(report.head_v1, merkle::head_v1(heads));
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
    let mut store = Store::of(2);
    store.rows.clear();
    store.signed.clear();
    for draft in call(1, "work") {
        let mut group = sealer.group();
        group.seal(&draft, None).unwrap();
        let subtrees = group.nodes().iter().flat_map(|(_, hash)| *hash.as_bytes()).collect();
        store.rows.push(OwnedRow::of(&group.events()[0], subtrees));
        assert!(sealer.commit(group));
    }
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
    type Change = fn(&mut OwnedHead);
    let changes: [(Change, Wrong); 8] = [
        (|head| head.hash = Hash::of(b"other").to_string(), Wrong::CorrelationHead),
        (|head| head.hash = head.hash.to_uppercase(), Wrong::CorrelationHead),
        (|head| head.sequence = head.sequence.map(|at| at - 1), Wrong::CorrelationHead),
        (|head| head.sequence = None, Wrong::CorrelationHead),
        (|head| head.owner.push('x'), Wrong::CorrelationOwner),
        (|head| head.starts = head.starts.map(|starts| starts + 1), Wrong::CorrelationStarts),
        (
            |head| head.starts = head.starts.map(|starts| starts.wrapping_sub(1)),
            Wrong::CorrelationStarts,
        ),
        (|head| head.starts = None, Wrong::CorrelationStarts),
    ];
    let store = Store::of(60);
    for (id, head) in &store.heads {
        let at = head.sequence.unwrap();
        for (change, wrong) in &changes {
            let mut changed = store.clone();
            change(changed.heads.get_mut(id).unwrap());
            let expected = Broken { sequence: at, wrong: wrong.clone() };
            assert_eq!(verify(&changed).unwrap_err(), expected, "{id}");
        }
        let mut changed = store.clone();
        changed.heads.remove(id);
        let expected = Broken { sequence: at, wrong: Wrong::CorrelationHead };
        assert_eq!(verify(&changed).unwrap_err(), expected, "{id}");
    }
    let mut more = store.clone();
    let unknown = OwnedHead { sequence: Some(5), ..store.heads.values().next().unwrap().clone() };
    more.heads.insert("unknown".to_owned(), unknown);
    assert_eq!(verify(&more).unwrap_err(), Broken { sequence: 5, wrong: Wrong::CorrelationHead });
}

#[test]
fn an_owner_whose_name_the_record_cuts_is_compared_as_far_as_it_stands_there() {
    let mut drafts = call(1, "work");
    for draft in &mut drafts {
        let mut context = (*draft.context).clone();
        context.subject.id = format!("local:{}", "é".repeat(5_000));
        draft.context = std::sync::Arc::new(context);
    }
    let mut store = Store::sealed(drafts);
    verify(&store).unwrap();
    store.heads.get_mut("work").unwrap().owner.replace_range(..5, "other");
    assert_eq!(verify(&store).unwrap_err().wrong, Wrong::CorrelationOwner);
}

#[test]
fn every_byte_of_every_stored_subtree_is_covered() {
    let store = Store::of(40);
    let mut verifier = Verifier::new(host_id(), Vec::new(), &signer().public_key()).unwrap();
    for row in &store.rows {
        let mut changes: Vec<Vec<u8>> = (0..row.subtrees.len())
            .map(|at| {
                let mut subtrees = row.subtrees.clone();
                subtrees[at] ^= 1;
                subtrees
            })
            .collect();
        changes.push(row.subtrees[1..].to_vec());
        changes.push(row.subtrees[..row.subtrees.len() - 32].to_vec());
        changes.push([&row.subtrees[..], &[0]].concat());
        for subtrees in changes {
            let changed = OwnedRow { subtrees, ..row.clone() };
            let found = verifier.clone().event(&changed.row()).unwrap_err();
            assert_eq!(found, Broken { sequence: row.sequence, wrong: Wrong::Tree });
        }
        verifier.event(&row.row()).unwrap();
    }
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

/// A store whose correlation `gone` was purged and went on.
fn purged_store(change: impl Fn(&mut Tombstone)) -> Store {
    let before = [call(1, "gone"), call(2, "stays"), call(4, "gone")].concat();
    let whole = Store::sealed(before.clone());
    let gone: Vec<_> =
        whole.events.iter().filter(|e| e.correlation_id.as_str() == "gone").collect();
    let leaves = gone
        .iter()
        .map(|event| (event.sequence, merkle::leaf(&event.correlation_id, &event.content_hash)));
    let head_hash = gone.last().unwrap().content_hash;
    let mut tombstone = Tombstone::of("gone", leaves, head_hash).unwrap();
    change(&mut tombstone);
    let stamp: Stamp = stamp(99);
    let act = "purge".parse().unwrap();
    let kind = EventType::EvidencePurged;
    let draft =
        lifecycle::event(&host_id(), act, subject(), stamp, kind, tombstone.facts()).unwrap();
    let after = call(5, "gone");
    let mut store = Store::sealed([before, vec![draft], after].concat());
    for event in gone {
        let index = usize::try_from(event.sequence).unwrap() - 1;
        store.rows[index].purge();
    }
    store
}

#[test]
fn a_purged_correlation_leaves_hashes_and_a_tombstone_and_can_go_on() {
    let report = verify(&purged_store(|_| {})).unwrap();
    assert_eq!((report.events, report.purged, report.sequence), (5, 4, 9));
    assert_eq!(report.purged_correlations, 1);
    assert_eq!(verify(&Store::of(2)).unwrap().purged_correlations, 0);
}

#[test]
fn what_a_purge_leaves_is_compared() {
    let store = purged_store(|_| {});
    let purged = |change: fn(&mut OwnedRow)| {
        let mut store = store.clone();
        change(&mut store.rows[0]);
        verify(&store).unwrap_err()
    };
    let wrong = |wrong| Broken { sequence: 1, wrong };
    let other = |row: &mut OwnedRow| drop(row.columns.insert("correlation_id", Some("x".into())));
    assert_eq!(purged(other), wrong(Wrong::Tree));
    let hash = |row: &mut OwnedRow| {
        row.columns.insert("content_hash", Some(Hash::of(b"x").to_string()));
    };
    assert_eq!(purged(hash), wrong(Wrong::Tree));
    let no_hash = |row: &mut OwnedRow| drop(row.columns.insert("content_hash", None));
    assert_eq!(purged(no_hash), wrong(Wrong::Column("content_hash")));
    let again =
        |row: &mut OwnedRow| drop(row.columns.insert("event_type", Some("key_rotated".into())));
    assert_eq!(purged(again), wrong(Wrong::Column("event_type")));
    assert_eq!(purged(|row| row.subtrees[0] ^= 1), wrong(Wrong::Tree));
}

#[test]
fn of_a_purged_correlation_the_calls_that_are_gone_may_be_counted_but_no_more() {
    let mut store = purged_store(|_| {});
    let head = store.heads["gone"].clone();
    assert_eq!(head.starts, Some(3));
    for (starts, sound) in [(0, false), (1, true), (5, true), (6, false)] {
        store.heads.insert("gone".to_owned(), OwnedHead { starts: Some(starts), ..head.clone() });
        assert_eq!(verify(&store).is_ok(), sound, "{starts}");
    }
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
        let found = verify(&purged_store(change)).unwrap_err();
        assert_eq!(found, Broken { sequence: 7, wrong: Wrong::Tombstone });
    }
}

#[test]
fn a_purge_without_tombstone_or_of_a_part_is_found() {
    let store = Store::sealed([call(2, "stays"), call(4, "gone")].concat());
    let purged = |from: usize, to: usize| {
        let mut store = store.clone();
        store.rows[from..to].iter_mut().for_each(OwnedRow::purge);
        verify(&store).unwrap_err()
    };
    assert_eq!(purged(2, 4), Broken { sequence: 4, wrong: Wrong::NoTombstone });
    assert_eq!(purged(3, 4), Broken { sequence: 4, wrong: Wrong::PartialPurge });
    assert_eq!(purged(2, 3), Broken { sequence: 4, wrong: Wrong::Chain });
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
