use super::{placement::Placement, *};
use crate::fixture::{FLOAT, INT64, STRING, Size, add, identity};

/// The engine, once for all tests of this process; none where the machine has no library.
fn engine() -> Option<&'static OnnxRuntime> {
    static ENGINE: std::sync::OnceLock<Option<OnnxRuntime>> = std::sync::OnceLock::new();
    let engine = ENGINE.get_or_init(|| {
        let library = crate::fixture::library()?;
        Some(OnnxRuntime::start(&library, Device::least(Provider::Cpu)).unwrap())
    });
    if engine.is_none() {
        println!("skipped: no ONNX Runtime here, run cargo xtask models");
    }
    engine.as_ref()
}

fn floats(name: &str, shape: &[u32], values: &[f32]) -> Tensor {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let elements = Elements::Bytes(bytes);
    Tensor::new(name.into(), ElementType::Float32, shape.to_vec(), elements, 1 << 20).unwrap()
}

#[test]
fn a_model_describes_itself_and_runs() {
    let Some(engine) = engine() else { return };
    let mut session = engine.load(&add(2), &Summary::default()).unwrap();
    let (inputs, outputs) = session.values();
    assert_eq!((inputs.len(), outputs.len()), (2, 1));
    assert_eq!((inputs[0].name.as_str(), &inputs[0].shape), ("a", &vec![None, Some(2)]));
    let inputs = [floats("b", &[2, 2], &[1.0; 4]), floats("a", &[2, 2], &[1.0, 2.0, 3.0, 4.0])];
    let outputs = session.run(&inputs, 1024).unwrap();
    assert_eq!(outputs, [floats("y", &[2, 2], &[2.0, 3.0, 4.0, 5.0])]);
    let error = session.run(&inputs, 8).unwrap_err();
    assert_eq!(error.code, InferenceErrorCode::TooLarge);
    assert!(engine.name().starts_with("onnxruntime 1."), "{}", engine.name());
}

#[test]
fn every_type_goes_in_and_comes_out() {
    let Some(engine) = engine() else { return };
    // The numbers of ONNX, in the order of `ElementType`.
    let numbers = [1, 11, 10, 16, 3, 5, 6, INT64, 2, 4, 12, 13, 9];
    let types = [
        ElementType::Float32,
        ElementType::Float64,
        ElementType::Float16,
        ElementType::Bfloat16,
        ElementType::Int8,
        ElementType::Int16,
        ElementType::Int32,
        ElementType::Int64,
        ElementType::Uint8,
        ElementType::Uint16,
        ElementType::Uint32,
        ElementType::Uint64,
        ElementType::Boolean,
    ];
    for (number, element_type) in numbers.into_iter().zip(types) {
        let mut session =
            engine.load(&identity(number, &[Size::Free("n")]), &Summary::default()).unwrap();
        assert_eq!(session.values().0[0].element_type, element_type);
        let size = usize::try_from(element_type.size_bytes().unwrap()).unwrap();
        let bytes: Vec<u8> = (0..3 * size).map(|at| u8::from(at % size == 0)).collect();
        let elements = Elements::Bytes(bytes);
        let input = Tensor::new("x".into(), element_type, vec![3], elements.clone(), 99).unwrap();
        let outputs = session.run(&[input], 99).unwrap();
        assert_eq!(outputs[0].elements(), &elements, "{element_type:?}");
    }
}

#[test]
fn texts_go_in_and_come_out() {
    let Some(engine) = engine() else { return };
    let mut session =
        engine.load(&identity(STRING, &[Size::Free("n")]), &Summary::default()).unwrap();
    let elements = Elements::Texts(vec!["ä".into(), String::new(), "x\ny".into()]);
    let input = Tensor::new("x".into(), ElementType::Text, vec![3], elements.clone(), 999).unwrap();
    assert_eq!(session.run(&[input], 999).unwrap()[0].elements(), &elements);
}

#[test]
fn an_interrupted_run_ends_and_the_next_one_does_not() {
    let Some(engine) = engine() else { return };
    let mut session = engine.load(&add(2), &Summary::default()).unwrap();
    let inputs = [floats("a", &[1, 2], &[1.0; 2]), floats("b", &[1, 2], &[1.0; 2])];
    let interrupt = session.interrupt();
    interrupt.interrupt();
    assert_eq!(session.run(&inputs, 1024).unwrap_err().code, InferenceErrorCode::Cancelled);
    interrupt.reset();
    assert!(session.run(&inputs, 1024).is_ok());
}

#[test]
fn where_the_nodes_went_is_known_and_a_provider_that_is_not_there_fails_the_load() {
    let Some(engine) = engine() else { return };
    let placement = Placement::default();
    let mut builder = engine.builder(&placement).unwrap();
    builder.commit_from_memory(&identity(FLOAT, &[Size::Fixed(1)])).unwrap();
    assert_eq!(placement.nodes(), [("CPUExecutionProvider".to_owned(), 1)]);
    let cuda = OnnxRuntime {
        environment: engine.environment.clone(),
        version: engine.version.clone(),
        device: Device::least(Provider::Cuda),
    };
    let error = cuda.load(&add(2), &Summary::default()).unwrap_err();
    assert_eq!(error.code, InferenceErrorCode::Unavailable);
    assert!(error.message.contains("`cuda`"), "{}", error.message);
    assert_eq!(cuda.check().unwrap_err(), error);
}

#[test]
fn the_smallest_model_is_one() {
    assert_eq!(SMALLEST, identity(FLOAT, &[]));
    let Some(engine) = engine() else { return };
    assert_eq!(engine.check(), Ok(()));
}

#[test]
fn what_an_engine_says_names_neither_folders_nor_the_machine() {
    for (error, expected) in [
        (
            "/src/bridge.cc:20 Get() [ONNXRuntimeError] : 1 : FAIL : cannot load /a b/1/so : no",
            "1 : FAIL : cannot load a so : no",
        ),
        (
            "/src/call.cc:1 Call(int) CUDA failure 2: out of memory ; GPU=0 ; hostname=box",
            "CUDA failure 2: out of memory",
        ),
        ("running Add node. Name:'/layer/Add'\nstack", "running Add node. Name:'/layer/Add'"),
    ] {
        assert_eq!(said(&error), expected);
    }
}

#[test]
fn what_is_no_model_is_an_error() {
    let Some(engine) = engine() else { return };
    assert_eq!(
        engine.load(b"not a model", &Summary::default()).unwrap_err().code,
        InferenceErrorCode::Failed
    );
    let unknown = crate::fixture::unknown_operator();
    assert_eq!(
        engine.load(&unknown, &Summary::default()).unwrap_err().code,
        InferenceErrorCode::Failed
    );
}
