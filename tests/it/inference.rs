//! A component runs models through the real program: it holds none itself.

use std::path::PathBuf;

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

/// Where `cargo xtask models` puts PP-OCR.
fn ppocr() -> Option<PathBuf> {
    let folder = repository().join("target/models/ppocr");
    folder.join("models.toml").is_file().then_some(folder)
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
    let Some(models) = ppocr() else {
        println!("skipped: no PP-OCR here, run cargo xtask models");
        return;
    };
    let home = home();
    let models = models.to_str().expect("UTF-8");
    home.run(["model", "add", "ppocr", "--from", models]).expect(0);
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
