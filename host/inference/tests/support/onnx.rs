//! Writes small ONNX models, for tests: the least of protobuf, the other way round.

use std::path::{Path, PathBuf};

use meshhost_core::config::InferenceProvider;

/// A message that is being written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    #[must_use]
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
            number >>= 7;
        }
        self.0.push(u8::try_from(number).unwrap());
    }

    /// Adds a number.
    #[must_use]
    pub(crate) fn number(mut self, field: u64, number: u64) -> Self {
        self.varint(field << 3);
        self.varint(number);
        self
    }

    /// Adds bytes, a text or a message.
    #[must_use]
    pub(crate) fn bytes(mut self, field: u64, bytes: impl AsRef<[u8]>) -> Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.as_ref().len() as u64);
        self.0.extend_from_slice(bytes.as_ref());
        self
    }
}

impl AsRef<[u8]> for Writer {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// The number of an element type in ONNX.
pub(crate) const FLOAT: u64 = 1;
pub(crate) const INT64: u64 = 7;
pub(crate) const STRING: u64 = 8;

/// A size of a dimension: free ones have a name.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Size {
    Free(&'static str),
    Fixed(u64),
}

/// An input or output.
#[must_use]
pub(crate) fn value(name: &str, element_type: u64, shape: &[Size]) -> Writer {
    let shape = shape.iter().fold(Writer::new(), |shape, size| {
        let size = match *size {
            Size::Free(name) => Writer::new().bytes(2, name),
            Size::Fixed(size) => Writer::new().number(1, size),
        };
        shape.bytes(1, size)
    });
    let tensor = Writer::new().number(1, element_type).bytes(2, shape);
    Writer::new().bytes(1, name).bytes(2, Writer::new().bytes(1, tensor))
}

/// A node without attributes.
#[must_use]
pub(crate) fn node(operator: &str, domain: &str, inputs: &[&str], outputs: &[&str]) -> Writer {
    let node = inputs.iter().fold(Writer::new(), |node, name| node.bytes(1, name));
    let node = outputs.iter().fold(node, |node, name| node.bytes(2, name));
    node.bytes(4, operator).bytes(7, domain)
}

/// A graph.
#[must_use]
pub(crate) fn graph(nodes: &[Writer], inputs: &[Writer], outputs: &[Writer]) -> Writer {
    let graph = nodes.iter().fold(Writer::new(), |graph, node| graph.bytes(1, node));
    let graph = graph.bytes(2, "graph");
    let graph = inputs.iter().fold(graph, |graph, value| graph.bytes(11, value));
    outputs.iter().fold(graph, |graph, value| graph.bytes(12, value))
}

/// A model of the usual versions around a graph; more fields may be added.
#[must_use]
pub(crate) fn model(graph: &Writer) -> Writer {
    Writer::new().number(1, 8).bytes(8, Writer::new().number(2, 13)).bytes(7, graph)
}

/// `y = a + b` over floats with a free first dimension and `columns` columns.
#[must_use]
pub(crate) fn add(columns: u64) -> Vec<u8> {
    let shape = [Size::Free("batch"), Size::Fixed(columns)];
    let graph = graph(
        &[node("Add", "", &["a", "b"], &["y"])],
        &[value("a", FLOAT, &shape), value("b", FLOAT, &shape)],
        &[value("y", FLOAT, &shape)],
    );
    model(&graph).as_ref().to_vec()
}

/// `y = x` over any element type and shape.
#[must_use]
pub(crate) fn identity(element_type: u64, shape: &[Size]) -> Vec<u8> {
    let graph = graph(
        &[node("Identity", "", &["x"], &["y"])],
        &[value("x", element_type, shape)],
        &[value("y", element_type, shape)],
    );
    model(&graph).as_ref().to_vec()
}

/// A model with an operator that no engine has.
#[must_use]
pub(crate) fn unknown_operator() -> Vec<u8> {
    let shape = [Size::Fixed(1)];
    let graph = graph(
        &[node("NoSuchOperator", "", &["x"], &["y"])],
        &[value("x", FLOAT, &shape)],
        &[value("y", FLOAT, &shape)],
    );
    model(&graph).as_ref().to_vec()
}

/// A tensor attribute or initializer with data in another file.
#[must_use]
pub(crate) fn external_data() -> Vec<u8> {
    let location = Writer::new().bytes(1, "location").bytes(2, "../../etc/passwd");
    let tensor = Writer::new().number(1, 4).number(2, FLOAT).bytes(8, "w").bytes(13, location);
    let graph = graph(&[node("Identity", "", &["w"], &["y"])], &[], &[value("y", FLOAT, &[])]);
    model(&graph.bytes(5, tensor.number(14, 1))).as_ref().to_vec()
}

/// A variable of the environment of the tests.
#[must_use]
pub(crate) fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "tests find what they need by the environment")]
    std::env::var(name).ok()
}

/// What runs the models: the processor, or what `MESHHOST_TEST_PROVIDER` names.
#[must_use]
pub(crate) fn provider() -> InferenceProvider {
    variable("MESHHOST_TEST_PROVIDER").map_or(InferenceProvider::Cpu, |name| name.parse().unwrap())
}

/// A folder that `cargo xtask models` fills, or the one that the environment names.
fn folder(name: &str, below_target: &str) -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target").join(below_target);
    let folder = variable(name).map_or(target, PathBuf::from);
    folder.is_dir().then(|| folder.canonicalize().unwrap())
}

/// The library of ONNX Runtime, where there is one.
#[must_use]
pub(crate) fn library() -> Option<PathBuf> {
    let runtimes = folder("MESHHOST_RUNTIMES_DIR", "runtimes")?;
    let versions = std::fs::read_dir(runtimes.join("onnxruntime")).ok()?;
    let files = versions.flatten().filter_map(|version| std::fs::read_dir(version.path()).ok());
    let mut files = files.flatten().flatten().map(|file| file.path());
    files.find(|file| file.to_string_lossy().contains("libonnxruntime."))
}

/// A file of the real models, where they are.
#[must_use]
pub(crate) fn real_model(name: &str) -> Option<PathBuf> {
    let path = folder("MESHHOST_MODELS_DIR", "models")?.join(name);
    path.is_file().then_some(path)
}

/// `y = x`, by way of `count` products with the unit matrix of `columns` rows: takes as long as
/// its rows and `count` say, and can be ended between two products.
#[must_use]
pub(crate) fn products(columns: u32, count: usize) -> Vec<u8> {
    let size = u64::from(columns);
    let one = |at: u32| if at / columns == at % columns { 1.0_f32 } else { 0.0 };
    let ones: Vec<u8> = (0..columns * columns).flat_map(|at| one(at).to_le_bytes()).collect();
    let unit = Writer::new().number(1, size).number(1, size).number(2, FLOAT).bytes(8, "w");
    let unit = unit.bytes(9, ones);
    let name = |at: usize| match at {
        0 => "x".to_owned(),
        _ if at == count => "y".to_owned(),
        _ => format!("step{at}"),
    };
    let nodes: Vec<Writer> =
        (0..count).map(|at| node("MatMul", "", &[&name(at), "w"], &[&name(at + 1)])).collect();
    let shape = [Size::Free("rows"), Size::Fixed(size)];
    let graph = graph(&nodes, &[value("x", FLOAT, &shape)], &[value("y", FLOAT, &shape)]);
    model(&graph.bytes(5, unit)).as_ref().to_vec()
}

/// A tensor of zeros, in the shape that the input says: as large as the caller likes.
#[must_use]
pub(crate) fn zeros() -> Vec<u8> {
    let graph = graph(
        &[node("ConstantOfShape", "", &["x"], &["y"])],
        &[value("x", INT64, &[Size::Fixed(2)])],
        &[value("y", FLOAT, &[Size::Free("a"), Size::Free("b")])],
    );
    model(&graph).as_ref().to_vec()
}

/// The sum of all rows: it has a free first dimension, and yet its rows depend on one another.
#[must_use]
pub(crate) fn sum() -> Vec<u8> {
    let keep = Writer::new().bytes(1, "keepdims").number(3, 1).number(20, 2);
    let axes = Writer::new().number(1, 1).number(2, INT64).bytes(8, "axes").bytes(9, [0; 8]);
    let shape = [Size::Free("rows"), Size::Fixed(1)];
    let graph = graph(
        &[node("ReduceSum", "", &["x", "axes"], &["y"]).bytes(5, keep)],
        &[value("x", FLOAT, &shape)],
        &[value("y", FLOAT, &shape)],
    );
    model(&graph.bytes(5, axes)).as_ref().to_vec()
}
