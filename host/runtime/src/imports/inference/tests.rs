use meshhost_core::{grant::EffectiveGrants, limits::Limits};
use wasmtime::component::Resource;

use super::{
    bindings::meshhost::inference::{
        sessions::{ElementType, Elements, ErrorCode, HostSession, Tensor},
        text::Host as _,
    },
    *,
};
use crate::imports::testing::Setting;

fn granted(models: &[&str]) -> HostState {
    let models = models.iter().map(|&name| name.to_owned()).collect();
    Setting::granted(EffectiveGrants { models, ..EffectiveGrants::default() }).state()
}

fn tensor(name: &str, shape: &[u32], bytes: Vec<u8>) -> Tensor {
    let elements = Elements::Bytes(bytes);
    Tensor {
        name: name.to_owned(),
        element_type: ElementType::Uint8,
        shape: shape.to_vec(),
        elements,
    }
}

async fn open(state: &mut HostState, name: &str) -> Result<Resource<Session>, ErrorCode> {
    let opened = View::of(state).open(name.to_owned()).await.unwrap();
    opened.map_err(|error| error.code)
}

async fn run(
    state: &mut HostState,
    session: &Resource<Session>,
    inputs: Vec<Tensor>,
) -> Result<Vec<Tensor>, ErrorCode> {
    let session = Resource::new_borrow(session.rep());
    let ran = HostSession::run(&mut View::of(state), session, inputs, Vec::new()).await.unwrap();
    ran.map_err(|error| error.code)
}

#[tokio::test]
async fn a_granted_model_is_described_and_runs_and_is_counted() {
    let mut state = granted(&["doubling"]);
    let session = open(&mut state, "doubling").await.unwrap();
    let borrowed = || Resource::new_borrow(session.rep());
    let described = View::of(&mut state).describe(borrowed()).await.unwrap().unwrap();
    assert_eq!(described.digest, Digest::of(b"doubling").to_string());
    assert_eq!(described.inputs[0].shape, [None, Some(2)]);
    let usage = described.text.unwrap();
    assert_eq!((usage.task, usage.tokens_max), (sessions::TextTask::Embed, 256));
    assert_eq!((usage.pooling, usage.normalise), (sessions::Pooling::First, true));
    let outputs = run(&mut state, &session, vec![tensor("x", &[1, 2], vec![3, 4])]).await.unwrap();
    assert!(matches!(&outputs[0].elements, Elements::Bytes(bytes) if bytes == &[6, 8]));
    let file = View::of(&mut state).file(borrowed(), "notes".to_owned()).await.unwrap().unwrap();
    assert_eq!(file, b"doubles");
    let missing = View::of(&mut state).file(borrowed(), "../notes".to_owned()).await.unwrap();
    assert_eq!(missing.unwrap_err().code, ErrorCode::NotFound);
    let used = state.record().take().models;
    assert_eq!((used[0].model, used[0].runs), (Digest::of(b"doubling"), 1));
}

#[tokio::test]
async fn a_model_that_is_not_granted_and_one_that_is_not_there_answer_alike() {
    let mut state = granted(&["absent"]);
    let mut texts = Vec::new();
    for name in ["doubling", "absent", "../doubling", "/etc/passwd", "http://host/model", ""] {
        let opened = View::of(&mut state).open(name.to_owned()).await.unwrap();
        let error = opened.map(|_| ()).unwrap_err();
        assert_eq!(error.code, ErrorCode::NotFound, "{name}");
        texts.push(error.message.replace(name, "NAME"));
    }
    assert_eq!(texts[0], texts[1]);
    let denied = state.record().take().denied;
    assert_eq!(denied[0].permission.as_deref(), Some("model=doubling"));
    assert!(
        denied.iter().all(|access| access.function == "meshhost:inference/sessions#session.open")
    );
}

#[tokio::test]
async fn tensors_that_do_not_fit_never_reach_the_model() {
    let mut state = granted(&["doubling"]);
    let session = open(&mut state, "doubling").await.unwrap();
    for inputs in [
        vec![],
        vec![tensor("other", &[1, 2], vec![0; 2])],
        vec![tensor("x", &[2], vec![0; 2])],
        vec![tensor("x", &[1, 3], vec![0; 3])],
        vec![tensor("x", &[1, 2], vec![0; 3])],
        vec![tensor("x", &[u32::MAX, u32::MAX, 2], vec![])],
        vec![Tensor { element_type: ElementType::Float32, ..tensor("x", &[1, 2], vec![0; 8]) }],
        vec![Tensor { elements: Elements::Texts(vec![]), ..tensor("x", &[1, 2], vec![]) }],
    ] {
        let refused = run(&mut state, &session, inputs).await.unwrap_err();
        assert_eq!(refused, ErrorCode::InvalidArgument);
    }
    let many = (0..300).map(|_| tensor("x", &[1, 2], vec![0; 2])).collect();
    assert_eq!(run(&mut state, &session, many).await.unwrap_err(), ErrorCode::TooLarge);
    assert!(state.record().take().models.is_empty());
}

#[tokio::test]
async fn tensors_count_as_host_memory_of_the_call() {
    let limits = Limits { host_buffer_bytes: 1_000, ..Limits::DEFAULT };
    let grants = EffectiveGrants { models: vec!["doubling".to_owned()], ..Default::default() };
    let mut state = Setting { limits, ..Setting::granted(grants) }.state();
    let session = open(&mut state, "doubling").await.unwrap();
    let input = |rows: u32| vec![tensor("x", &[rows, 2], vec![0; rows as usize * 2])];
    run(&mut state, &session, input(200)).await.unwrap();
    for rows in [300, 600] {
        let borrowed = Resource::new_borrow(session.rep());
        let view = &mut View::of(&mut state);
        let ended = HostSession::run(view, borrowed, input(rows), Vec::new()).await;
        assert!(ended.is_err(), "{rows} rows in and out are more than the call may hold");
    }
}

#[tokio::test]
async fn text_models_take_a_bounded_number_of_texts() {
    let mut state = granted(&["doubling"]);
    let texts = |count: usize| vec!["ab".to_owned(); count];
    let mut view = View::of(&mut state);
    let vectors = view.embed("doubling".to_owned(), texts(2)).await.unwrap().unwrap();
    assert_eq!(vectors, vec![vec![2.0; 3]; 2]);
    let scores = view.rerank("doubling".to_owned(), "a".to_owned(), texts(1)).await.unwrap();
    assert_eq!(scores.unwrap(), [1.0]);
    for count in [0, 257] {
        let refused = view.embed("doubling".to_owned(), texts(count)).await.unwrap().unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidArgument);
    }
    let refused = view.embed("other".to_owned(), texts(1)).await.unwrap().unwrap_err();
    assert_eq!(refused.code, ErrorCode::NotFound);
    assert_eq!(state.record().take().models[0].runs, 2);
}

#[tokio::test]
async fn tensors_are_as_large_as_the_plugins_limit_says() {
    let limits = Limits { tensor_bytes: 4, ..Limits::DEFAULT };
    let grants = EffectiveGrants { models: vec!["doubling".to_owned()], ..Default::default() };
    let mut state = Setting { limits, ..Setting::granted(grants) }.state();
    let session = open(&mut state, "doubling").await.unwrap();
    let input = |rows: u32| vec![tensor("x", &[rows, 2], vec![0; rows as usize * 2])];
    assert!(run(&mut state, &session, input(2)).await.is_ok());
    assert_eq!(run(&mut state, &session, input(3)).await.unwrap_err(), ErrorCode::TooLarge);
}
