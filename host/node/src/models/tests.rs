//! The store of models with a real database and record, without a node around it.

use std::fs;

use meshhost_core::config::NodeConfig;

use super::*;
use crate::{
    entrance::Entrance,
    store::{
        Store,
        directory::{Access, DataDirectory},
    },
    sys::{SystemClock, SystemEntropy},
};

struct Fixture {
    home: tempfile::TempDir,
    store: Store,
    models: ModelStore,
}

impl Fixture {
    async fn new(config: InferenceConfig) -> Self {
        Self::open(tempfile::tempdir().unwrap(), config).await
    }

    async fn open(home: tempfile::TempDir, config: InferenceConfig) -> Self {
        let data = home.path().join("data");
        let directory = DataDirectory::open(&data, Access::Command);
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        let directory = directory.await.unwrap();
        let node = NodeConfig::DEFAULT;
        let store = Store::open(directory, &node, clock.clone(), entropy.clone()).await.unwrap();
        let host_id = store.keys.host_id().clone();
        let lifecycle = Lifecycle { evidence: store.evidence.clone(), host_id, clock, entropy };
        let folder = store.directory.models();
        let models = ModelStore::open(folder, store.models.clone(), lifecycle, &config);
        let models = models.await.unwrap();
        Self { home, store, models }
    }

    /// A package with these models, each with a file beside it, by their names and content.
    fn package(&self, models: &[(&str, &str)]) -> PathBuf {
        let folder = self.home.path().join("package");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("words.txt"), "words").unwrap();
        let mut description = String::new();
        for (name, content) in models {
            fs::write(folder.join(format!("{name}.onnx")), content).unwrap();
            description += &format!(
                "[[model]]\nname = \"{name}\"\nfile = \"{name}.onnx\"\nfiles = [\"words.txt\"]\n\
                 licence = \"MIT\"\n"
            );
        }
        fs::write(folder.join("models.toml"), description).unwrap();
        folder
    }

    async fn add(&self, name: &str, from: PathBuf) -> Result<Vec<AddedModel>, Refusal> {
        let entrance = Entrance::command_line("me");
        self.models.add(&entrance, name.parse().unwrap(), vec![from]).await
    }

    async fn events(&self) -> u64 {
        self.store.evidence.end().await.unwrap().sequence
    }

    fn names(&self) -> Vec<String> {
        self.models.catalogue().snapshot().keys().map(ToString::to_string).collect()
    }

    fn files(&self) -> usize {
        fs::read_dir(self.store.directory.models()).unwrap().count()
    }
}

#[tokio::test]
async fn models_are_added_replaced_and_removed_and_that_is_written_down() {
    let fixture = Fixture::new(InferenceConfig::DEFAULT).await;
    let before = fixture.events().await;
    let package = fixture.package(&[("ocr-det", "one"), ("ocr-rec", "two")]);
    let added = fixture.add("ocr", package.clone()).await.unwrap();
    assert!(added.iter().all(|one| one.change == ModelChange::Added && one.replaced.is_none()));
    assert_eq!(fixture.names(), ["ocr-det", "ocr-rec"]);
    assert_eq!(fixture.files(), 3, "the file that both have is kept once");
    assert_eq!(fixture.models.catalogue().digest_of("ocr-det"), Some(Digest::of(b"one")));
    assert_eq!(fixture.models.catalogue().digest_of("ocr/det"), None);
    assert_eq!(fixture.events().await, before + 2);

    let again = fixture.add("ocr", package.clone()).await.unwrap();
    assert!(again.iter().all(|one| one.change == ModelChange::Unchanged));
    assert_eq!(fixture.events().await, before + 2, "nothing happened");

    fixture.package(&[("ocr-det", "three"), ("ocr-rec", "two")]);
    let updated = fixture.add("ocr-det", package).await.unwrap();
    assert_eq!(updated[0].change, ModelChange::Updated);
    assert_eq!(updated[0].replaced, Some(Digest::of(b"one")));
    assert_eq!(fixture.files(), 3, "the old file is gone");

    let entrance = Entrance::command_line("me");
    let name = "ocr-rec".parse().unwrap();
    fixture.models.remove(&entrance, &name).await.unwrap();
    let refusal = fixture.models.remove(&entrance, &name).await.unwrap_err();
    assert_eq!(refusal.code, Code::NotFound);
    assert_eq!((fixture.names(), fixture.files()), (vec!["ocr-det".to_owned()], 2));
    assert_eq!(fixture.events().await, before + 4);
}

#[tokio::test]
async fn a_package_is_added_whole_or_not_at_all() {
    let config = InferenceConfig { model_bytes: 8, store_bytes: 20, ..InferenceConfig::DEFAULT };
    let fixture = Fixture::new(config).await;
    let before = fixture.events().await;
    for (models, part) in [
        ([("a-a", "small"), ("a-b", "too large a file")], "larger than 8 bytes"),
        ([("a-a", "same"), ("a-b", "same")], "a-b is the same file as the model a-a"),
        ([("a-a", "12345678"), ("a-b", "87654321")], "may take 20"),
    ] {
        let package = fixture.package(&models);
        let refusal = fixture.add("a", package).await.unwrap_err();
        assert_eq!(refusal.code, Code::ModelInvalid);
        assert!(refusal.message.contains(part), "{}", refusal.message);
        assert_eq!((fixture.names().len(), fixture.files()), (0, 0), "nothing is left of it");
    }
    let package = fixture.package(&[("a", "small")]);
    fs::remove_file(package.join("words.txt")).unwrap();
    assert_eq!(fixture.add("a", package.clone()).await.unwrap_err().code, Code::NotFound);
    // A package that somebody else made cannot name what lies elsewhere.
    std::os::unix::fs::symlink("/etc/passwd", package.join("words.txt")).unwrap();
    let refusal = fixture.add("a", package).await.unwrap_err();
    assert!(refusal.message.contains("it is a link"), "{}", refusal.message);
    assert_eq!(fixture.events().await, before);
    assert_eq!(fixture.files(), 0);
}

#[tokio::test]
async fn what_an_interrupted_add_left_is_removed_at_the_next_start() {
    let fixture = Fixture::new(InferenceConfig::DEFAULT).await;
    let package = fixture.package(&[("a", "one")]);
    fixture.add("a", package).await.unwrap();
    let folder = fixture.store.directory.models();
    fs::write(folder.join(".new"), "half a file").unwrap();
    fs::write(folder.join(Digest::of(b"whole").to_hex()), "whole").unwrap();
    let Fixture { home, store, models } = fixture;
    drop(models);
    store.close().await.unwrap();
    let fixture = Fixture::open(home, InferenceConfig::DEFAULT).await;
    assert_eq!((fixture.names(), fixture.files()), (vec!["a".to_owned()], 2));
    assert_eq!(fixture.models.verify(None).await.unwrap().damaged, []);
}

#[tokio::test]
async fn a_flipped_byte_is_found() {
    let fixture = Fixture::new(InferenceConfig::DEFAULT).await;
    let package = fixture.package(&[("a", "one"), ("b", "two")]);
    fixture.add("a", package.clone()).await.unwrap();
    fixture.add("b", package).await.unwrap();
    let whole = fixture.models.verify(None).await.unwrap();
    assert_eq!((whole.files, whole.bytes, whole.damaged.len()), (3, 11, 0));
    let path = fixture.models.catalogue().path(&Digest::of(b"two"));
    fs::write(path, "twO").unwrap();
    fs::remove_file(fixture.models.catalogue().path(&Digest::of(b"words"))).unwrap();
    let found = fixture.models.verify(None).await.unwrap().damaged;
    let found: Vec<(&str, Option<&str>, &str)> = found
        .iter()
        .map(|one| (one.model.as_str(), one.file.as_deref(), one.problem.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("a", Some("words.txt"), "missing"),
            ("b", None, "changed"),
            ("b", Some("words.txt"), "missing"),
        ]
    );
    let name = "a".parse().unwrap();
    assert_eq!(fixture.models.verify(Some(&name)).await.unwrap().damaged.len(), 1);
}
