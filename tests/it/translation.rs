//! The plugin `translation` through the real program, with the tiny translator that runs natively.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::{Home, guest, repository};

/// A node with the plugin.
fn home() -> Home {
    let home = Home::new();
    home.install(&guest("translation"), &["--yes"]).expect(0);
    home
}

fn translated(home: &Home, texts: &Value, more: &[&str]) -> Value {
    let texts = format!("texts:={texts}");
    let mut arguments = vec!["call", "translation.translate", texts.as_str(), "to=de"];
    arguments.extend(more);
    home.run_json(arguments).json()
}

/// Where `cargo xtask models` puts the tiny translator.
fn tiny() -> Option<PathBuf> {
    let folder = repository().join("target/models/tiny-translation");
    folder.join("tokenizer_config.json").is_file().then_some(folder)
}

#[test]
fn without_a_model_languages_are_found_and_nothing_is_translated() {
    let home = home();
    let texts = json!(["Wo ist der Weg, den wir gestern mit den Kindern gegangen sind?"]);
    let argument = format!("texts:={texts}");
    let found = home.run_json(["call", "translation.detect", argument.as_str()]).json();
    assert_eq!(found["data"][0]["language"], "de", "{found}");
    let missing = translated(&home, &texts, &[]);
    assert_eq!(missing["error"]["details"]["tag"], "no-model", "{missing}");
    let said = missing["error"]["details"]["value"].as_str().expect("text");
    assert!(said.contains("meshhost model add tiny-translation-encoder"), "{said}");
}

#[test]
fn texts_are_translated_by_models_that_run_natively() {
    let Some(models) = tiny() else {
        println!("skipped: no tiny translator here, run cargo xtask models");
        return;
    };
    let home = home();
    let models = models.to_str().expect("UTF-8");
    home.run(["model", "add", "tiny-translation", "--from", models]).expect(0);
    let call = translated(&home, &json!(["- The cat sees the dog.\n", "The dog sleeps."]), &[]);
    assert_eq!(call["outcome"], "success", "{call}");
    let found = call["data"]["translations"].as_array().expect("translations");
    let texts: Vec<_> = found.iter().map(|found| found["text"].as_str()).collect();
    assert_eq!(texts, [Some("- Die Katze sieht den Hund.\n"), Some("Der Hund schläft.")]);
    assert!(found.iter().all(|found| found["from"] == "en"), "{call}");
    // Encoder and decoder, each with its runs.
    assert_eq!(call["models"].as_array().map(Vec::len), Some(2), "{call}");

    let glossary = r#"glossary:=[{"source": "dog", "target": "Vogel"}]"#;
    let call = translated(&home, &json!(["The dog sleeps."]), &[glossary]);
    let found = &call["data"]["translations"][0];
    assert!(found["text"].as_str().expect("text").contains("Vogel"), "{call}");
    assert_eq!(found["missed"], json!([]), "{call}");

    let other = translated(&home, &json!(["The dog sleeps."]), &["from=fr"]);
    assert_eq!(other["error"]["details"]["tag"], "language", "{other}");
    home.run(["audit", "verify"]).expect(0);
}
