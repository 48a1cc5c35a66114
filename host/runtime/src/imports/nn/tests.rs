use meshhost_core::grant::EffectiveGrants;
use wasmtime::component::Resource;

use super::{
    bindings::wasi::nn::{
        errors::HostError as _,
        graph::{Host as _, HostGraph as _},
        inference::HostGraphExecutionContext as _,
        tensor::{self, HostTensor as _},
    },
    *,
};
use crate::imports::testing::Setting;

fn granted(models: &[&str]) -> HostState {
    let models = models.iter().map(|&name| name.to_owned()).collect();
    Setting::granted(EffectiveGrants { models, ..EffectiveGrants::default() }).state()
}

async fn code_of(view: &mut View<'_>, error: Resource<NnError>) -> ErrorCode {
    view.code(error).await.unwrap()
}

#[tokio::test]
async fn a_granted_model_computes_by_its_name() {
    let mut state = granted(&["doubling"]);
    let mut view = View::of(&mut state);
    let graph = view.load_by_name("doubling".to_owned()).await.unwrap().unwrap();
    let context = view.init_execution_context(graph).await.unwrap().unwrap();
    let rep = context.rep();
    let tensor = view.new(vec![1, 2], TensorType::U8, vec![3, 4]).await.unwrap();
    let outputs =
        view.compute(Resource::new_borrow(rep), vec![("x".to_owned(), tensor)]).await.unwrap();
    let (name, output) = outputs.unwrap().remove(0);
    assert_eq!(name, "y");
    let output_rep = output.rep();
    assert_eq!(
        tensor::HostTensor::data(&mut view, Resource::new_borrow(output_rep)).await.unwrap(),
        [6, 8]
    );
    assert_eq!(view.dimensions(Resource::new_borrow(output_rep)).await.unwrap(), [1, 2]);
    let wrong = view.new(vec![1, 2], TensorType::Fp32, vec![0; 3]).await.unwrap();
    let refused = view.compute(Resource::new_borrow(rep), vec![("x".to_owned(), wrong)]).await;
    let error = refused.unwrap().unwrap_err();
    assert_eq!(code_of(&mut view, error).await, ErrorCode::InvalidArgument);
    assert_eq!(state.record().take().models[0].runs, 1);
}

#[tokio::test]
async fn models_come_by_granted_name_alone() {
    let mut state = granted(&["absent"]);
    let mut view = View::of(&mut state);
    for name in ["doubling", "absent", "../doubling"] {
        let error = view.load_by_name(name.to_owned()).await.unwrap().unwrap_err();
        assert_eq!(code_of(&mut view, error).await, ErrorCode::NotFound, "{name}");
    }
    let bytes = view.load(vec![vec![0; 8]], GraphEncoding::Onnx, ExecutionTarget::Cpu).await;
    let error = bytes.unwrap().unwrap_err();
    assert_eq!(code_of(&mut view, error).await, ErrorCode::Security);
    let denied = state.record().take().denied;
    assert_eq!(denied[0].permission.as_deref(), Some("model=doubling"));
}
