//! The real models.

use std::time::Instant;

use meshhost_core::inference::{
    Inference as _, InferenceErrorCode, Pooling, RunReport, TextTask, TextUse,
};
use meshhost_inference::{Engines, Provider, TextModel};

use crate::{
    node::{Node, caller, floats},
    onnx,
};

fn minilm(node: &Node) -> Option<meshhost_core::id::Digest> {
    let Some(path) = onnx::real_model("minilm/model.onnx") else {
        println!("skipped: run cargo xtask models");
        return None;
    };
    let task = TextTask::Embed { pooling: Pooling::Mean, normalise: true };
    let usage = TextUse { task, tokens_max: 256 };
    let text = TextModel { usage, tokenizer: "tokenizer.json".to_owned() };
    Some(node.add_file(&path, 32, Some(text)))
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_of_one_meaning_are_near_one_another() {
    near_and_far(Engines::OnnxRuntime).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_engine_understands_them_as_well() {
    near_and_far(Engines::Embedded).await;
}

async fn near_and_far(engines: Engines) {
    let change = |settings: &mut meshhost_inference::Settings| {
        settings.engines = engines;
        if engines == Engines::Embedded {
            settings.provider = Provider::Cpu;
        }
    };
    let Some(node) = Node::start(change) else { return };
    let Some(model) = minilm(&node) else { return };
    let embed = async |texts: &[&str]| -> (Vec<Vec<f32>>, RunReport) {
        let texts = texts.iter().map(|&text| text.to_owned()).collect();
        node.serving.embed(&caller("a"), &model, texts).await.unwrap()
    };
    let texts = [
        "A man is eating a piece of bread.",
        "Someone eats food.",
        "The stock market fell sharply today, and nobody knows why it did so at this hour.",
    ];
    let (vectors, report) = embed(&texts).await;
    assert_eq!((vectors.len(), vectors[0].len(), report.batch), (3, 384, 1));
    assert!(vectors.iter().all(|vector| (cosine(vector, vector) - 1.0).abs() < 1e-4));
    let (near, far) = (cosine(&vectors[0], &vectors[1]), cosine(&vectors[0], &vectors[2]));
    assert!(near > 0.5 && far < 0.2, "{near} {far}");
    // A text gives the same vector alone and with longer ones beside it.
    let (alone, _) = embed(&texts[..1]).await;
    assert!(cosine(&alone[0], &vectors[0]) > 0.9999);
    let (long, _) = embed(&[&"word ".repeat(2000)]).await;
    assert_eq!(long[0].len(), 384);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_calls_are_for_models_of_their_task() {
    let Some(node) = Node::start(|_| {}) else { return };
    let Some(model) = minilm(&node) else { return };
    let plain = node.add(&onnx::add(2));
    let a = caller("a");
    let text = || vec!["text".to_owned()];
    let code = |error: meshhost_core::inference::InferenceError| error.code;
    let invalid = Some(InferenceErrorCode::InvalidArgument);
    let rerank = node.serving.rerank(&a, &model, "query".into(), text()).await;
    assert_eq!(rerank.err().map(code), invalid);
    assert_eq!(node.serving.embed(&a, &plain, text()).await.err().map(code), invalid);
    assert_eq!(node.serving.embed(&a, &model, vec![]).await.err().map(code), invalid);
    let many = vec![String::new(); 257];
    assert_eq!(node.serving.embed(&a, &model, many).await.err().map(code), invalid);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_beside_a_model_are_handed_out_by_name_alone() {
    let Some(node) = Node::start(|_| {}) else { return };
    let Some(model) = minilm(&node) else { return };
    let a = caller("a");
    let file = node.serving.file(&a, &model, "tokenizer.json").await.unwrap();
    assert!(file.starts_with(b"{"));
    for name in ["", "../model.onnx", "/etc/passwd", "model.onnx"] {
        let error = node.serving.file(&a, &model, name).await.unwrap_err();
        assert_eq!(error.code, InferenceErrorCode::NotFound, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_models_for_reading_pictures_run() {
    let Some(node) = Node::start(|_| {}) else { return };
    let Some(det) = onnx::real_model("ppocr/det.onnx") else {
        println!("skipped: run cargo xtask models");
        return;
    };
    let rec = det.with_file_name("rec.onnx");
    let model = node.add_file(&det, 1, None);
    let picture = floats("x", &[1, 3, 320, 320], 0.5);
    node.run(&model, picture.clone()).await.unwrap();
    let since = Instant::now();
    let (found, report) = node.run(&model, picture).await.unwrap();
    println!("320 x 320 in {:?}, {} us of it in the engine", since.elapsed(), report.run_us);
    assert_eq!(found.shape(), [1, 1, 320, 320]);

    let model = node.add_file(&rec, 1, None);
    let description = node.serving.describe(&caller("a"), &model).await.unwrap();
    let characters = description.metadata.iter().find(|(key, _)| key == "character").unwrap();
    assert!(characters.1.lines().count() > 6000);
    let (read, _) = node.run(&model, floats("x", &[1, 3, 48, 320], 0.5)).await.unwrap();
    assert_eq!((read.shape()[0], read.shape().len()), (1, 3));
}
