use super::*;

async fn plugins() -> (tempfile::TempDir, Plugins) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("meshhost.db");
    let database = Database::open(&path, meshhost_core::config::Durability::Process).await.unwrap();
    (home, Plugins::new(database))
}

fn record(name: &str, installed: u64) -> PluginRecord {
    let version = PluginVersion {
        version: "1.2.3".parse().unwrap(),
        component: Digest::of(name.as_bytes()),
        manifest_digest: Some(Digest::of(b"manifest")),
        manifest: Some("name = 'x'".to_owned()),
        consent: Digest::of(b"consent"),
        grants: "fs = []".to_owned(),
        size_bytes: 7,
        capabilities: Vec::new(),
        can_reach: vec!["clock".to_owned()],
        links: Vec::new(),
    };
    PluginRecord {
        name: name.parse().unwrap(),
        current: version.clone(),
        staged: Some(version),
        previous: None,
        enabled: true,
        installed,
    }
}

#[tokio::test]
async fn records_come_back_as_they_were_in_the_order_of_installs() {
    let (_home, plugins) = plugins().await;
    for (name, installed) in [("b", 1), ("a", 2)] {
        plugins.save_plugin(&record(name, installed)).await.unwrap();
    }
    let changed = PluginRecord { enabled: false, ..record("a", 2) };
    plugins.save_plugin(&changed).await.unwrap();
    let loaded = plugins.load_all().await.unwrap();
    assert_eq!(loaded.plugins, [record("b", 1), changed]);
}

#[tokio::test]
async fn a_plugin_goes_with_its_preferences_and_traps_and_an_update_keeps_them() {
    let (_home, plugins) = plugins().await;
    let (git, log) = ("git".parse::<PluginName>().unwrap(), "git.log".parse().unwrap());
    plugins.prefer(&log, &git).await.unwrap_err();
    plugins.save_plugin(&record("git", 1)).await.unwrap();
    plugins.prefer(&log, &git).await.unwrap();
    let mut traps = Quarantine::default();
    traps.trapped("local:me", false, 7);
    plugins.save_quarantine(&git, &traps).await.unwrap();
    plugins.save_plugin(&record("git", 1)).await.unwrap();
    let loaded = plugins.load_all().await.unwrap();
    assert_eq!(loaded.preferences, [(log, git.clone())]);
    assert_eq!(loaded.quarantines, [(git.clone(), traps.clone())]);
    plugins.save_quarantine(&git, &Quarantine::default()).await.unwrap();
    assert_eq!(plugins.load_all().await.unwrap().quarantines, []);
    plugins.save_quarantine(&git, &traps).await.unwrap();
    plugins.remove(&git).await.unwrap();
    assert_eq!(plugins.load_all().await.unwrap(), LoadedPlugins::default());
    assert!(matches!(plugins.remove(&git).await.unwrap_err(), StoreError::NotFound(_)));
}

#[tokio::test]
async fn a_row_that_is_no_record_is_called_damaged() {
    let (_home, plugins) = plugins().await;
    sqlx::query("INSERT INTO plugins VALUES ('git', '{\"name\": \"git\"}')")
        .execute(&mut *plugins.database.writer().await)
        .await
        .unwrap();
    assert!(matches!(plugins.load_all().await.unwrap_err(), StoreError::Damaged { .. }));
}
