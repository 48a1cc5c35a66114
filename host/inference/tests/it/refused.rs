//! Calls and models that are refused, and what it leaves behind.

use meshhost_core::{
    id::Digest,
    inference::{
        ElementType, Elements, Inference as _, InferenceCaller, InferenceErrorCode, InferenceQuota,
        Tensor,
    },
};

use crate::{
    node::{Node, caller, floats},
    onnx,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inputs_that_do_not_fit_never_reach_the_engine() {
    let Some(node) = Node::start(|_| {}) else { return };
    let model = node.add(&onnx::identity(onnx::FLOAT, &[onnx::Size::Free("n")]));
    let run = |x: Tensor| node.run(&model, x);
    let integers = Elements::Bytes(vec![0; 8]);
    let integers = Tensor::new("x".into(), ElementType::Int64, vec![1], integers, 99).unwrap();
    for x in [
        floats("x", &[1, 1], 0.0),
        floats("x", &[], 0.0),
        floats("z", &[1], 0.0),
        floats("x", &[1], f32::NAN),
        floats("x", &[1], f32::INFINITY),
        integers,
    ] {
        let error = run(x).await.unwrap_err();
        assert_eq!(error.code, InferenceErrorCode::InvalidArgument, "{error}");
    }
    let runs = node.serving.loaded()[0].runs;
    assert_eq!(runs, 0);
    let outputs = vec!["no such output".to_owned()];
    let inputs = vec![floats("x", &[1], 0.0)];
    let error = node.serving.run(&caller("a"), &model, inputs, outputs).await.unwrap_err();
    assert_eq!(error.code, InferenceErrorCode::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_that_are_not_there_or_not_allowed_are_errors() {
    let Some(node) = Node::start(|_| {}) else { return };
    let unknown = Digest::of(b"nothing");
    let error = node.serving.describe(&caller("a"), &unknown).await.unwrap_err();
    assert_eq!(error.code, InferenceErrorCode::NotFound);
    for (bytes, said) in [
        (onnx::unknown_operator(), "NoSuchOperator"),
        (onnx::external_data(), "other files"),
        (b"no model at all".to_vec(), "not a whole ONNX model"),
    ] {
        let model = node.add(&bytes);
        let error = node.serving.describe(&caller("a"), &model).await.unwrap_err();
        assert_eq!(error.code, InferenceErrorCode::Failed);
        assert!(error.message.contains(said), "{}", error.message);
    }
    let good = node.add(&onnx::identity(onnx::FLOAT, &[]));
    assert!(node.run(&good, floats("x", &[], 1.0)).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_byte_is_noticed_and_a_mended_file_can_be_used() {
    let Some(node) = Node::start(|_| {}) else { return };
    let bytes = onnx::identity(onnx::FLOAT, &[]);
    let model = node.add(&bytes);
    let mut flipped = bytes.clone();
    *flipped.last_mut().unwrap() ^= 1;
    std::fs::write(node.path(&model), &flipped).unwrap();
    let error = node.run(&model, floats("x", &[], 1.0)).await.unwrap_err();
    assert_eq!(error.code, InferenceErrorCode::Failed);
    assert!(error.message.contains("not the one that was added"), "{}", error.message);
    let folder = node.path(&model).parent().unwrap().to_owned();
    assert!(!error.message.contains(&*folder.to_string_lossy()), "{}", error.message);
    std::fs::write(node.path(&model), &bytes).unwrap();
    node.serving.forget(&model);
    assert!(node.run(&model, floats("x", &[], 1.0)).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_wants_too_much_memory_fails_and_nothing_else() {
    let change = |settings: &mut meshhost_inference::Settings| settings.memory_bytes = 1 << 30;
    let Some(node) = Node::start(change) else { return };
    let model = node.add(&onnx::zeros());
    let shape = |a: i64, b: i64| {
        let bytes = [a.to_le_bytes(), b.to_le_bytes()].concat();
        let elements = Elements::Bytes(bytes);
        Tensor::new("x".into(), ElementType::Int64, vec![2], elements, 99).unwrap()
    };
    assert!(node.run(&model, shape(2, 2)).await.is_ok());
    let process = node.process();
    // 40 GB, 400 MB (more than a run may give), and shapes that overflow.
    for (a, b) in [(100_000, 100_000), (10_000, 10_000), (1 << 33, 1 << 33), (-1, 1)] {
        let error = node.run(&model, shape(a, b)).await.unwrap_err();
        println!("{a} x {b}: {error}");
        assert!(
            matches!(error.code, InferenceErrorCode::Failed | InferenceErrorCode::TooLarge),
            "{error:?}"
        );
    }
    assert!(node.run(&model, shape(2, 2)).await.is_ok());
    assert_eq!(node.process(), process, "the worker lives on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quotas_hold() {
    let Some(node) = Node::start(|_| {}) else { return };
    let model = node.add(&onnx::identity(onnx::FLOAT, &[onnx::Size::Free("n")]));
    let quota = InferenceQuota {
        runs_per_minute: 2,
        compute_ms_per_day: u64::MAX,
        calls: 4,
        tensor_bytes: 400,
    };
    let caller = InferenceCaller { plugin: "a".parse().unwrap(), quota };
    let run = async |count: u32| {
        let inputs = vec![floats("x", &[count], 1.0)];
        node.serving.run(&caller, &model, inputs, vec![]).await.map(|_| ()).map_err(|it| it.code)
    };
    assert_eq!(run(101).await, Err(InferenceErrorCode::TooLarge));
    assert_eq!(run(100).await, Ok(()));
    assert_eq!(run(1).await, Err(InferenceErrorCode::Quota));
    assert!(node.serving.describe(&caller, &model).await.is_ok(), "asking is not running");
    node.clock.set_us(60_000_000);
    assert_eq!(run(1).await, Ok(()));
}
