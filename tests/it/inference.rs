//! A component runs models through the real program: it holds none itself.

use serde_json::{Value, json};

use crate::{
    onnx,
    support::{Home, guest, repository},
};

/// Side of the test's picture in pixels.
const SIDE: u32 = 64;

/// A white picture without text: BMP, 24 bits a pixel, whose rows need no padding.
fn blank() -> Vec<u8> {
    let pixels = SIDE * SIDE * 3;
    let header = 14 + 40;
    let mut bytes = b"BM".to_vec();
    for number in [header + pixels, 0, header, 40, SIDE, SIDE] {
        bytes.extend(number.to_le_bytes());
    }
    for number in [1_u16, 24] {
        bytes.extend(number.to_le_bytes());
    }
    for number in [0, pixels, 2_835, 2_835, 0, 0] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(std::iter::repeat_n(255, pixels as usize));
    bytes
}

/// A node with the plugin `ocr` and a picture.
fn home() -> Home {
    let home = Home::new();
    home.file("blank.bmp", blank());
    home.install(&guest("ocr"), &["--yes"]).expect(0);
    home
}

fn regions(home: &Home) -> Value {
    home.run_json(["call", "ocr.find_regions", "image=@blank.bmp"]).json()
}

/// Adds a package that `cargo xtask models` made; false, with the reason printed, where it is not
/// there.
fn added(home: &Home, package: &str) -> bool {
    let folder = repository().join("target/models").join(package);
    if !folder.join("models.toml").is_file() {
        println!("skipped: no {package} here, run cargo xtask models");
        return false;
    }
    let folder = folder.to_str().expect("UTF-8");
    home.run(["model", "add", package, "--from", folder]).expect(0);
    true
}

#[test]
fn a_missing_model_and_one_of_another_kind_are_told_by_the_plugin() {
    let home = home();
    let missing = regions(&home);
    assert_eq!(missing["error"]["details"]["tag"], "no-model", "{missing}");
    let said = missing["error"]["details"]["value"].as_str().expect("text");
    assert!(said.contains("`meshhost model add ppocr-det --from PATH`"), "{said}");
    assert_eq!(missing["models"], json!([]));

    for (number, name) in [(4, "ppocr-det"), (5, "ppocr-rec"), (6, "ppocr-cls")] {
        home.file(&format!("{name}.onnx"), onnx::add(number));
        let file = format!("{name}.onnx");
        home.run(["model", "add", name, "--from", file.as_str()]).expect(0);
    }
    let other = regions(&home);
    assert_eq!(other["outcome"], "failure", "{other}");
    assert_eq!(other["error"]["details"]["tag"], "no-model", "{other}");
    assert_eq!(home.run(["audit", "verify"]).expect(0).code, 0);
}

#[test]
fn the_models_that_ran_stand_in_the_result_and_in_the_evidence() {
    let home = home();
    if !added(&home, "ppocr") {
        return;
    }
    let call = regions(&home);
    assert_eq!(call["outcome"], "success", "{call}");
    assert_eq!(call["data"]["regions"], json!([]), "{call}");
    let detector = home.json(["model", "inspect", "ppocr-det"]);
    let used = &call["models"][0];
    assert_eq!((&used["model"], &used["runs"]), (&detector["digest"], &json!(1)), "{call}");
    assert_eq!(used["provider"], "cpu");

    let events = home.json(["audit", "replay", call["correlation_id"].as_str().expect("an id")]);
    let last = events["events"].as_array().expect("events").last().expect("an end").clone();
    let written = &last["payload"]["models"][0];
    assert_eq!((&written["model"], &written["engine"]), (&used["model"], &used["engine"]));
    home.run(["audit", "verify"]).expect(0);
}

#[test]
fn a_missing_model_of_text_is_told_by_the_plugin() {
    let home = Home::new();
    home.install(&guest("embedding"), &["--yes"]).expect(0);
    home.install(&guest("rerank"), &["--yes"]).expect(0);
    let vectors = ["call", "embedding.embed", r#"texts:=["a"]"#];
    let scores = ["call", "rerank.rerank", "query=a", r#"passages:=["b"]"#];
    for (call, model) in [(vectors.as_slice(), "minilm"), (&scores, "tiny-rerank")] {
        let missing = home.run_json(call).json();
        assert_eq!(missing["error"]["details"]["tag"], "no-model", "{missing}");
        let said = missing["error"]["details"]["value"].as_str().expect("text");
        assert!(said.contains(&format!("`meshhost model add {model} --from PATH`")), "{said}");
    }
}

#[test]
fn texts_become_vectors() {
    let home = Home::new();
    home.install(&guest("embedding"), &["--yes"]).expect(0);
    if !added(&home, "minilm") {
        return;
    }
    let texts = r#"texts:=["A cat sits on the mat.", "Rates rose.", "A kitten rests on a rug."]"#;
    let call = home.run_json(["call", "embedding.embed", texts]).json();
    assert_eq!(call["data"]["model"]["dimensions"], 384, "{call}");
    let digest = &home.json(["model", "inspect", "minilm"])["digest"];
    assert_eq!(&call["data"]["model"]["digest"], digest, "{call}");
    let vectors: Vec<Vec<f64>> =
        serde_json::from_value(call["data"]["vectors"].clone()).expect("vectors");
    let cosine = |one: usize, other: usize| {
        vectors[one].iter().zip(&vectors[other]).map(|(a, b)| a * b).sum::<f64>()
    };
    assert!((cosine(0, 0) - 1.0).abs() < 1e-5, "{}", cosine(0, 0));
    assert!(cosine(0, 2) > cosine(0, 1) + 0.3, "{} {}", cosine(0, 2), cosine(0, 1));

    let counted = home.run_json(["call", "embedding.count_tokens", r#"texts:=["", "Paris"]"#]);
    assert_eq!(counted.json()["data"], json!([2, 3]));
}

#[test]
fn the_passage_that_answers_stands_first() {
    let home = Home::new();
    home.install(&guest("rerank"), &["--yes"]).expect(0);
    if !added(&home, "tiny-rerank") {
        return;
    }
    let query = "query=Who sleeps in the garden?";
    let passages =
        r#"passages:=["The dog sings in the park.", "The old cat sleeps in the garden."]"#;
    let call = home.run_json(["call", "rerank.rerank", query, passages]).json();
    let ranked = call["data"]["ranked"].as_array().expect("a ranking");
    let places: Vec<_> = ranked.iter().map(|one| one["passage"].clone()).collect();
    assert_eq!(places, [1, 0], "{call}");
    let score = |place: usize| ranked[place]["score"].as_f64().expect("a score");
    assert!(score(0) > score(1), "{call}");
}

#[test]
fn a_component_that_knows_wasi_nn_alone_runs_a_granted_model_by_its_name() {
    let home = Home::new();
    home.file("adder.onnx", onnx::add(3));
    home.run(["model", "add", "adder", "--from", "adder.onnx"]).expect(0);
    home.install(&guest("nn-adder"), &["--yes"]).expect(0);
    let add = ["call", "nn_adder.add", "model=adder", "a:=[1, 2, 3]", "b:=[0.5, 0, -3]"];
    let denied = home.run_json(add).json();
    assert!(denied["error"]["details"].as_str().expect("text").starts_with("ErrorCode::NotFound"));
    assert_eq!(denied["denied"][0]["command"], "meshhost plugin grant nn-adder model=adder");

    home.run(["plugin", "grant", "nn-adder", "model=adder"]).expect(0);
    let call = home.json(add);
    assert_eq!(call["data"], json!([1.5, 2.0, 0.0]), "{call}");
    assert_eq!(call["models"][0]["runs"], 1, "{call}");
    let wrong = home.run_json(["call", "nn_adder.add", "model=adder", "a:=[1]", "b:=[1]"]).json();
    let said = wrong["error"]["details"].as_str().expect("text");
    assert!(said.starts_with("ErrorCode::InvalidArgument"), "{wrong}");

    let refused = home.run_json(["call", "nn_adder.add_by_bytes", "model=CAcA"]).json();
    let said = refused["error"]["details"].as_str().expect("text");
    assert!(said.starts_with("ErrorCode::Security") && said.contains("load-by-name"), "{said}");
    home.run(["audit", "verify"]).expect(0);
}
