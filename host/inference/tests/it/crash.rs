//! The worker is ended the hard way, whatever it does.

use std::time::Instant;

use meshhost_core::inference::{Inference as _, InferenceErrorCode};

use crate::{
    node::{Node, caller, floats, long, program},
    onnx,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_ends_while_idle_is_not_noticed_by_the_next_call() {
    let Some(node) = Node::start(|_| {}) else { return };
    let model = node.add(&onnx::identity(onnx::FLOAT, &[]));
    for _ in 0..3 {
        let x = || floats("x", &[], 1.0);
        node.run(&model, x()).await.unwrap();
        let before = node.process();
        node.kill();
        let since = Instant::now();
        // The kill and the call cross: a call that was on its way fails, and says why.
        while let Err(error) = node.run(&model, x()).await {
            assert_eq!(error.code, InferenceErrorCode::Unavailable, "{error}");
        }
        println!("answered {:?} after kill -9", since.elapsed());
        assert_ne!(node.process(), before);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_ends_in_a_run_fails_that_run_and_keeps_what_waits() {
    let Some(node) = Node::start(|_| {}) else { return };
    let (model, x) = long();
    let model = node.add(&model);
    let short = floats("x", &[1, x.shape()[1]], 1.0);
    let running = node.run(&model, x);
    let rest = async {
        node.running(1).await;
        let waiting = node.run(&model, short);
        let kill = async { node.kill() };
        tokio::join!(biased; waiting, kill).0
    };
    let (ran, waited) = tokio::join!(running, rest);
    assert_eq!(ran.unwrap_err().code, InferenceErrorCode::Unavailable);
    assert!(waited.is_ok(), "what waited runs in the next worker: {waited:?}");
    let loaded = node.serving.loaded();
    assert_eq!((loaded.len(), loaded[0].running, loaded[0].waiting), (1, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_ends_in_a_load_is_started_again_and_then_left() {
    let Some(node) = Node::start(|_| {}) else { return };
    // Large enough that its load can be met: 64 MiB of weights.
    let model = node.add(&onnx::products(4096, 2));
    let describe = async { node.serving.describe(&caller("a"), &model).await };
    let kill = async {
        while node.process().is_none() {
            tokio::task::yield_now().await;
        }
        node.kill();
    };
    let (described, ()) = tokio::join!(describe, kill);
    assert_eq!(described.unwrap().inputs.len(), 1);
    let good = node.add(&onnx::identity(onnx::FLOAT, &[]));
    assert!(node.run(&good, floats("x", &[], 1.0)).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_that_were_loaded_are_loaded_again_without_a_call() {
    let Some(node) = Node::start(|_| {}) else { return };
    let models = [1, 2].map(|columns| node.add(&onnx::add(columns)));
    for model in &models {
        node.serving.describe(&caller("a"), model).await.unwrap();
    }
    let before = node.process();
    node.kill();
    let warm = async {
        while node.process().is_none_or(|now| Some(now) == before)
            || node.serving.loaded().len() < 2
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), warm).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_a_library_says_so_and_does_not_try_for_ever() {
    let change = |settings: &mut meshhost_inference::Settings| {
        settings.libraries = vec!["/no/such.so".into()];
        settings.engines = meshhost_inference::Engines::OnnxRuntime;
    };
    let Some(node) = Node::start(change) else { return };
    let model = node.add(&onnx::identity(onnx::FLOAT, &[]));
    for _ in 0..3 {
        let error = node.run(&model, floats("x", &[], 1.0)).await.unwrap_err();
        assert_eq!(error.code, InferenceErrorCode::Unavailable);
        assert!(error.message.contains("no usable library"), "{}", error.message);
        assert!(!error.message.contains("/no/such"), "{}", error.message);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_worker_ends_with_its_node() {
    let Some(node) = Node::start(|_| {}) else { return };
    let model = node.add(&onnx::identity(onnx::FLOAT, &[]));
    node.run(&model, floats("x", &[], 1.0)).await.unwrap();
    let process = rustix::process::Pid::from_raw(node.process().unwrap()).unwrap();
    drop(node);
    let gone = async {
        while rustix::process::test_kill_process(process).is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), gone).await.unwrap();
    assert!(program().path.is_file());
}
