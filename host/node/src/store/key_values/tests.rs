use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

async fn store() -> (tempfile::TempDir, KeyValues) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("meshhost.db");
    let database = Database::open(&path, meshhost_core::config::Durability::Process).await.unwrap();
    (home, KeyValues::new(database))
}

fn plugin(name: &str) -> PluginName {
    name.parse().unwrap()
}

async fn usage(store: &KeyValues, plugin: &PluginName) -> i64 {
    sqlx::query_scalar("SELECT coalesce(sum(charge), 0) FROM key_value_usage WHERE plugin = ?1")
        .bind(plugin.as_str().to_owned())
        .fetch_one(store.database.readers())
        .await
        .unwrap()
}

#[tokio::test]
async fn plugins_and_buckets_are_apart() {
    let (_home, store) = store().await;
    let (a, b) = (plugin("a"), plugin("b"));
    store.set(&a, "one", "k", b"1", 1_000).await.unwrap();
    store.set(&a, "two", "k", b"2", 1_000).await.unwrap();
    store.set(&b, "one", "k", b"3", 1_000).await.unwrap();
    assert_eq!(store.get(&a, "one", "k").await.unwrap().unwrap(), b"1");
    assert_eq!(store.get(&b, "one", "k").await.unwrap().unwrap(), b"3");
    store.delete(&a, "one", "k").await.unwrap();
    store.delete(&a, "one", "k").await.unwrap();
    assert_eq!(store.get(&a, "one", "k").await, Ok(None));
    assert_eq!(store.used(&a).await.unwrap(), 5 + ROW_CHARGE);
    store.remove_all(&a).await.unwrap();
    assert_eq!(store.used(&a).await.unwrap(), 0);
    assert_eq!(store.get(&a, "two", "k").await, Ok(None));
    assert_eq!(store.get(&b, "one", "k").await.unwrap().unwrap(), b"3");
    assert_eq!(usage(&store, &a).await, 0);
}

#[tokio::test]
async fn the_quota_counts_names_and_values_of_all_buckets() {
    let (_home, store) = store().await;
    let a = plugin("a");
    let quota = 2 * ROW_CHARGE + 20;
    store.set(&a, "x", "12345", &[0; 4], quota).await.unwrap();
    store.set(&a, "y", "12345", &[0; 4], quota).await.unwrap();
    assert_eq!(store.set(&a, "y", "12345", &[0; 5], quota).await, Err(PortError::Quota));
    assert_eq!(store.set(&a, "z", "1", &[], quota).await, Err(PortError::Quota));
    store.set(&a, "y", "12345", &[1; 4], quota).await.unwrap();
    store.set(&plugin("b"), "y", "12345", &[0; 5], quota).await.unwrap();
    store.delete(&a, "x", "12345").await.unwrap();
    store.set(&a, "y", "12345", &[0; 14 + 32], quota).await.unwrap();
    assert_eq!(store.get(&a, "y", "12345").await.unwrap().unwrap().len(), 46);
}

#[tokio::test]
async fn what_is_no_key_or_value_is_refused() {
    let (_home, store) = store().await;
    let a = plugin("a");
    let long = "k".repeat(KEY_BYTES_MAX + 1);
    for (bucket, key) in [("b", ""), ("b", long.as_str()), (long.as_str(), "k")] {
        assert!(matches!(store.set(&a, bucket, key, b"", 9_999).await, Err(PortError::Invalid(_))));
    }
    let large = vec![0; VALUE_BYTES_MAX + 1];
    assert!(matches!(store.set(&a, "b", "k", &large, u64::MAX).await, Err(PortError::Invalid(_))));
}

#[tokio::test]
async fn listing_goes_on_after_the_cursor() {
    let (_home, store) = store().await;
    let a = plugin("a");
    for key in ["b", "a", "ä", "c", "a/b"] {
        store.set(&a, "x", key, b"", 9_999).await.unwrap();
    }
    store.set(&a, "other", "0", b"", 9_999).await.unwrap();
    let first = store.list(&a, "x", None, 3).await.unwrap();
    assert_eq!(first, ["a", "a/b", "b"]);
    assert_eq!(store.list(&a, "x", Some("b"), 99).await.unwrap(), ["c", "ä"]);
    assert_eq!(store.list(&a, "x", Some("ä"), 99).await.unwrap(), [] as [&str; 0]);
}

#[tokio::test]
async fn numbers_are_added_also_by_many_at_once() {
    let (_home, store) = store().await;
    let a = plugin("a");
    assert_eq!(store.increment(&a, "x", "n", -5, 999).await, Ok(-5));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (store, a) = (store.clone(), a.clone());
        tasks.spawn(async move { store.increment(&a, "x", "n", 2, 999).await.unwrap() });
    }
    tasks.join_all().await;
    assert_eq!(store.get(&a, "x", "n").await.unwrap().unwrap(), b"35");
    store.set(&a, "x", "n", i64::MAX.to_string().as_bytes(), 999).await.unwrap();
    assert!(matches!(store.increment(&a, "x", "n", 1, 999).await, Err(PortError::Invalid(_))));
    store.set(&a, "x", "n", b"one", 999).await.unwrap();
    assert!(matches!(store.increment(&a, "x", "n", 1, 999).await, Err(PortError::Invalid(_))));
    assert_eq!(store.increment(&a, "x", "m", 1, 10).await, Err(PortError::Quota));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Against a map: the store says the same, and its sums are those of what it holds.
    #[test]
    fn it_is_a_map_with_a_quota(
        steps in prop::collection::vec((0_u8..3, 0_u8..4, 0_usize..120), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            const QUOTA: usize = 300;
            let (_home, store) = store().await;
            let a = plugin("a");
            let mut model: BTreeMap<String, usize> = BTreeMap::new();
            let charge = |length: usize| 1 + 1 + length + 32;
            for (step, key, length) in steps {
                let key = key.to_string();
                if step == 0 {
                    store.delete(&a, "b", &key).await.unwrap();
                    model.remove(&key);
                } else {
                    let others: usize = model
                        .iter().filter(|(other, _)| **other != key).map(|(_, &l)| charge(l)).sum();
                    let fits = others + charge(length) <= QUOTA;
                    let set = store.set(&a, "b", &key, &vec![1; length], QUOTA as u64).await;
                    assert_eq!(set, if fits { Ok(()) } else { Err(PortError::Quota) });
                    if fits {
                        model.insert(key, length);
                    }
                }
                let sum: usize = model.values().map(|&length| charge(length)).sum();
                assert_eq!(usage(&store, &a).await, i64::try_from(sum).unwrap());
            }
            let keys: Vec<String> = model.into_keys().collect();
            assert_eq!(store.list(&a, "b", None, 99).await.unwrap(), keys);
        });
    }
}
