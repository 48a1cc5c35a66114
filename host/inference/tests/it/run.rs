//! Calls that work.

use std::time::Instant;

use meshhost_core::inference::{ElementType, Elements, Inference as _, InferenceErrorCode, Tensor};
use meshhost_inference::Provider;

use crate::{
    node::{Node, caller, floats, long},
    onnx::{self, STRING, Size},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_runs_in_the_worker_and_the_result_says_where() {
    let Some(node) = Node::start(|_| {}) else { return };
    let model = node.add(&onnx::add(2));
    assert_eq!(node.process(), None, "no worker runs before a model is needed");
    let description = node.serving.describe(&caller("a"), &model).await.unwrap();
    assert_eq!(description.digest, model);
    let inputs = vec![floats("a", &[3, 2], 1.5), floats("b", &[3, 2], 2.0)];
    let wanted = vec!["y".to_owned()];
    let result = node.serving.run(&caller("a"), &model, inputs, wanted).await.unwrap();
    assert_eq!(result.0, [floats("y", &[3, 2], 3.5)]);
    let (report, provider) = (result.1, onnx::provider());
    assert_eq!((report.model, &*report.provider, report.batch), (model, provider.name(), 1));
    assert!(report.engine.starts_with("onnxruntime 1."), "{}", report.engine);
    let loaded = node.serving.loaded();
    assert_eq!((loaded.len(), loaded[0].sessions, loaded[0].runs), (1, 1, 1));
    assert_eq!(loaded[0].provider, provider);
    node.serving.forget(&model);
    assert_eq!(node.serving.loaded(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_tensors_and_texts_cross_whole() {
    let Some(node) = Node::start(|_| {}) else { return };
    let floats_model = node.add(&onnx::identity(onnx::FLOAT, &[Size::Free("n"), Size::Free("m")]));
    let texts_model = node.add(&onnx::identity(STRING, &[Size::Free("n")]));
    for _ in 0..3 {
        let bytes: Vec<u8> = (0..4 << 20).map(|at: u32| u8::try_from(at % 60).unwrap()).collect();
        let elements = Elements::Bytes(bytes);
        let x = Tensor::new("x".into(), ElementType::Float32, vec![1024, 1024], elements, 1 << 30);
        let x = x.unwrap();
        let (y, _) = node.run(&floats_model, x.clone()).await.unwrap();
        assert!(y.elements() == x.elements(), "other bytes came back");
    }
    let texts = Elements::Texts((0..5000).map(|at| format!("text {at} ä")).collect());
    let x = Tensor::new("x".into(), ElementType::Text, vec![5000], texts.clone(), 1 << 20).unwrap();
    let result = node.run(&texts_model, x).await;
    if onnx::provider() == Provider::Cpu {
        assert!(*result.unwrap().0.elements() == texts);
    } else {
        // No graphics card computes with texts, and the processor does not step in.
        let error = result.unwrap_err();
        assert_eq!(error.code, InferenceErrorCode::Failed);
        assert!(error.message.contains("choose another provider"), "{}", error.message);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_had_to_wait_run_together_and_get_their_own_rows() {
    let Some(node) = Node::start(|_| {}) else { return };
    let model = node.add_batched(&onnx::products(512, 40), 64);
    let blocker = node.run(&model, floats("x", &[2048, 512], 9.0));
    let others = async {
        node.running(1).await;
        let calls = (1..=8_u8).map(|at| node.run(&model, floats("x", &[1, 512], f32::from(at))));
        futures::future::join_all(calls).await
    };
    let (blocker, others) = tokio::join!(blocker, others);
    assert_eq!(blocker.unwrap().1.batch, 1);
    for (at, result) in (1..=8_u8).zip(others) {
        let (y, report) = result.unwrap();
        assert_eq!((y, report.batch), (floats("y", &[1, 512], f32::from(at)), 8));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_whose_rows_belong_together_is_not_divided() {
    let Some(node) = Node::start(|_| {}) else { return };
    let slow = node.add(&onnx::products(512, 40));
    // The operator said by mistake that its rows stand alone.
    let model = node.add_batched(&onnx::sum(), 64);
    node.run(&model, floats("x", &[3, 1], 1.0)).await.unwrap();
    let calls = (1..=20).map(|at: u8| node.run(&model, floats("x", &[2, 1], f32::from(at))));
    let (_, results) = tokio::join!(
        node.run(&slow, floats("x", &[64, 512], 1.0)),
        futures::future::join_all(calls),
    );
    for (at, result) in (1..=20_u8).zip(results) {
        assert_eq!(result.unwrap().0, floats("y", &[1, 1], f32::from(at) * 2.0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_dropped_frees_its_session() {
    let Some(node) = Node::start(|_| {}) else { return };
    let (model, x) = long();
    let model = node.add(&model);
    let short = floats("x", &[1, x.shape()[1]], 1.0);
    let slow = node.run(&model, x);
    tokio::select! {
        result = slow => panic!("it was too fast: {result:?}"),
        () = node.running(1) => {}
    }
    let since = Instant::now();
    let (_, report) = node.run(&model, short).await.unwrap();
    println!("the next run answered {:?} after the drop", since.elapsed());
    assert!(report.queue_us < 5_000_000, "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_over_its_time_is_ended() {
    let change = |settings: &mut meshhost_inference::Settings| {
        settings.run = std::time::Duration::from_millis(500);
    };
    let Some(node) = Node::start(change) else { return };
    let (model, x) = long();
    let model = node.add(&model);
    let error = node.run(&model, x).await.unwrap_err();
    assert_eq!(error.code, InferenceErrorCode::Failed);
    assert!(error.message.contains("longer than"), "{}", error.message);
    let small = node.add(&onnx::identity(onnx::FLOAT, &[]));
    assert!(node.run(&small, floats("x", &[], 1.0)).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_make_room_for_one_another() {
    let model = |columns| onnx::products(columns, 2);
    let most = model(200).len() as u64 * 2;
    let Some(node) = Node::start(|settings| settings.model_bytes = most) else { return };
    let models = [200, 199, 198].map(|columns| (columns, node.add(&model(columns))));
    for (columns, model) in models.iter().chain(&models) {
        node.run(model, floats("x", &[1, *columns], 1.0)).await.unwrap();
        let loaded = node.serving.loaded();
        assert!(loaded.iter().map(|model| model.bytes).sum::<u64>() <= most);
        assert!(loaded.iter().any(|loaded| loaded.digest == *model));
    }
    let large = node.add(&onnx::products(400, 2));
    let error = node.run(&large, floats("x", &[1, 400], 1.0)).await.unwrap_err();
    assert_eq!(error.code, InferenceErrorCode::TooLarge);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_onnx_runtime_has_the_embedded_engine() {
    let change = |settings: &mut meshhost_inference::Settings| {
        settings.libraries.clear();
        settings.provider = Provider::Cpu;
    };
    let Some(node) = Node::start(change) else { return };
    let model = node.add(&onnx::add(2));
    let inputs = vec![floats("a", &[3, 2], 1.5), floats("b", &[3, 2], 2.0)];
    let (outputs, report) = node.serving.run(&caller("a"), &model, inputs, vec![]).await.unwrap();
    assert_eq!(outputs, [floats("y", &[3, 2], 3.5)]);
    assert!(report.engine.starts_with("rten "), "{}", report.engine);
    let change = |settings: &mut meshhost_inference::Settings| {
        settings.libraries.clear();
        settings.provider = Provider::Cuda;
    };
    let Some(node) = Node::start(change) else { return };
    let model = node.add(&onnx::add(2));
    let error = node.serving.describe(&caller("a"), &model).await.unwrap_err();
    assert_eq!(error.code, InferenceErrorCode::Unavailable, "it runs on no other device instead");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_that_is_hidden_runs_nothing_and_the_processor_does_not_step_in() {
    if onnx::provider() != Provider::Cuda {
        println!("skipped: MESHHOST_TEST_PROVIDER is not cuda");
        return;
    }
    let change = |settings: &mut meshhost_inference::Settings| {
        let environment = &mut settings.program.environment;
        environment.retain(|(name, _)| name != "CUDA_VISIBLE_DEVICES");
        environment.push(("CUDA_VISIBLE_DEVICES".into(), "".into()));
    };
    let Some(node) = Node::start(change) else { return };
    let model = node.add(&onnx::add(2));
    let inputs = vec![floats("a", &[1, 2], 1.0), floats("b", &[1, 2], 1.0)];
    let error = node.serving.run(&caller("a"), &model, inputs, vec![]).await.unwrap_err();
    assert_eq!(error.code, InferenceErrorCode::Unavailable, "{error}");
    assert!(error.message.contains("`cuda`"), "{}", error.message);
}
