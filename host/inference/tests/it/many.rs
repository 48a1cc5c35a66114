//! Many calls at once.

use std::sync::atomic::{AtomicUsize, Ordering};

use meshhost_core::inference::{Inference as _, InferenceErrorCode};

use crate::{
    node::{Node, caller, floats},
    onnx::{self, Size},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_calls_at_once_are_answered_or_refused_and_leave_nothing() {
    let Some(node) = Node::start(|_| {}) else { return };
    let model = node.add(&onnx::identity(onnx::FLOAT, &[Size::Free("n")]));
    node.run(&model, floats("x", &[1], 0.0)).await.unwrap();
    let plugins = ["a", "b", "c", "d"].map(caller);
    let calls = (0..10_000).map(|at| {
        let inputs = vec![floats("x", &[1], 1.0)];
        node.serving.run(&plugins[at % plugins.len()], &model, inputs, vec![])
    });
    let results = futures::future::join_all(calls).await;
    let answered = results.iter().filter(|result| result.is_ok()).count();
    let busy = results.iter().filter_map(|result| result.as_ref().err());
    assert!(busy.clone().all(|error| error.code == InferenceErrorCode::Busy));
    assert_eq!(answered + busy.count(), 10_000);
    let at_least = plugins.len() * plugins[0].quota.calls as usize;
    assert!(answered >= at_least, "{answered}");
    let loaded = node.serving.loaded();
    assert_eq!((loaded.len(), loaded[0].sessions), (1, 1));
    assert_eq!((loaded[0].running, loaded[0].waiting), (0, 0));
    // Every place is free again.
    let calls = (0..plugins[0].quota.calls)
        .map(|_| node.serving.run(&plugins[0], &model, vec![floats("x", &[1], 1.0)], vec![]));
    assert!(futures::future::join_all(calls).await.iter().all(Result::is_ok));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_asks_much_does_not_hold_up_another() {
    let Some(node) = Node::start(|_| {}) else { return };
    let model = node.add(&onnx::products(512, 40));
    let done = AtomicUsize::new(0);
    let call = async |plugin: &'static str| {
        let inputs = vec![floats("x", &[1, 512], 1.0)];
        node.serving.run(&caller(plugin), &model, inputs, vec![]).await.unwrap();
        done.fetch_add(1, Ordering::Relaxed)
    };
    let blocker = node.run(&model, floats("x", &[1024, 512], 1.0));
    let both = async {
        node.running(1).await;
        let greedy = futures::future::join_all((0..30).map(|_| call("greedy")));
        let modest = futures::future::join_all((0..5).map(|_| call("modest")));
        tokio::join!(biased; greedy, modest).1
    };
    let (_, modest) = tokio::join!(blocker, both);
    // They take turns: five of the one are done when five or six of the other are.
    assert!(modest.iter().all(|position| *position < 12), "{modest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_sessions_run_beside_one_another() {
    let Some(node) = Node::start(|settings| settings.sessions = 2) else { return };
    let model = node.add(&onnx::products(512, 40));
    node.serving.describe(&caller("a"), &model).await.unwrap();
    let call = || node.run(&model, floats("x", &[1024, 512], 1.0));
    let calls = async { tokio::join!(call(), call()) };
    let (results, ()) = tokio::join!(calls, node.running(2));
    assert!(results.0.is_ok() && results.1.is_ok());
    assert_eq!(node.serving.loaded()[0].sessions, 2);
}
