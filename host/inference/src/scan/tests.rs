use proptest::prelude::*;

use super::*;
use crate::fixture::{FLOAT, Size, Writer, add, graph, identity, model, node, value};

fn scanned(model: impl AsRef<[u8]>) -> Result<Summary, ScanError> {
    scan(model.as_ref())
}

fn of_node(node: Writer) -> Writer {
    model(&graph(&[node], &[value("x", FLOAT, &[])], &[value("y", FLOAT, &[])]))
}

fn external() -> Writer {
    let location = Writer::new().bytes(1, "location").bytes(2, "../../etc/passwd");
    Writer::new().number(1, 4).number(2, FLOAT).bytes(8, "w").bytes(13, location).number(14, 1)
}

#[test]
fn a_plain_model_passes_and_its_metadata_is_kept() {
    let entry = Writer::new().bytes(1, "character").bytes(2, "a\nb");
    let with_entry =
        Writer::new().number(1, 8).bytes(8, Writer::new().number(2, 13)).bytes(14, entry);
    let with_entry = [with_entry.as_ref(), &add(2)].concat();
    let summary = scan(&with_entry).unwrap();
    assert_eq!(summary.nodes, 1);
    assert_eq!(summary.metadata, vec![("character".to_owned(), "a\nb".to_owned())]);
    assert!(scanned(identity(FLOAT, &[Size::Fixed(2)])).is_ok());
}

#[test]
fn data_in_other_files_is_refused_wherever_it_stands() {
    let plain = node("Add", "", &["x", "w"], &["y"]);
    let attribute = |field| plain.clone().bytes(5, Writer::new().bytes(field, external()));
    let sparse = Writer::new().bytes(1, external());
    let inner = graph(&[attribute(5)], &[], &[]);
    for refused in [
        model(&graph(std::slice::from_ref(&plain), &[], &[]).bytes(5, external())),
        model(&graph(std::slice::from_ref(&plain), &[], &[]).bytes(15, sparse.clone())),
        of_node(attribute(5)),
        of_node(attribute(10)),
        of_node(plain.clone().bytes(5, Writer::new().bytes(22, sparse))),
        of_node(node("If", "", &["x"], &["y"]).bytes(5, Writer::new().bytes(6, inner))),
        of_node(plain.clone().bytes(5, Writer::new().bytes(5, Writer::new().number(14, 1)))),
    ] {
        assert_eq!(scanned(refused), Err(ScanError::ExternalData));
    }
}

#[test]
fn operators_of_foreign_sets_are_refused_unless_the_model_defines_them() {
    let foreign = || of_node(node("Shell", "com.evil", &["x"], &["y"]));
    assert_eq!(scanned(foreign()), Err(ScanError::Operator("com.evil::Shell".to_owned())));
    let context = of_node(node("EPContext", "com.microsoft", &["x"], &["y"]));
    assert!(matches!(scanned(context), Err(ScanError::Operator(_))));
    assert!(scanned(of_node(node("Gelu", "com.microsoft", &["x"], &["y"]))).is_ok());

    let body = Writer::new().bytes(1, "Shell").bytes(10, "com.evil");
    let defined = body.clone().bytes(7, node("Abs", "", &["x"], &["y"]));
    assert!(scanned(foreign().bytes(25, defined)).is_ok());
    let nested = body.bytes(7, node("Other", "com.evil", &["x"], &["y"]));
    assert!(matches!(scanned(foreign().bytes(25, nested)), Err(ScanError::Operator(_))));
    let standard = Writer::new().bytes(1, "Abs").bytes(10, "ai.onnx");
    assert!(matches!(scanned(foreign().bytes(25, standard)), Err(ScanError::Malformed(_))));
}

#[test]
fn versions_and_counts_have_bounds() {
    let graph_of = |nodes: usize| graph(&vec![node("Abs", "", &["x"], &["y"]); nodes], &[], &[]);
    let versions = |format, set| {
        let import = Writer::new().bytes(1, "ai.onnx").number(2, set);
        scanned(Writer::new().number(1, format).bytes(8, import).bytes(7, graph_of(1)))
    };
    assert!(versions(8, 13).is_ok());
    for (format, set) in [(2, 13), (99, 13), (8, 6), (8, 31), (u64::MAX, 13), (8, u64::MAX)] {
        assert!(matches!(versions(format, set), Err(ScanError::Version { .. })), "{format} {set}");
    }
    assert!(scanned(model(&graph_of(1000))).is_ok());
    assert_eq!(scanned(model(&graph_of(NODES_MAX + 1))), Err(ScanError::TooLarge("nodes")));

    let with_inputs = |count: usize| {
        let weights = Writer::new().bytes(8, "w");
        model(&graph(&[], &vec![Writer::new().bytes(1, "w"); count], &[]).bytes(5, weights))
    };
    assert!(scanned(with_inputs(1_000)).unwrap().inputs.is_empty());
    let many = scanned(with_inputs(TENSORS_MAX + 1));
    assert_eq!(many, Err(ScanError::TooLarge("inputs or outputs")));

    let deep = (0..DEPTH_MAX).fold(graph_of(1), |inner, _| {
        let attribute = Writer::new().bytes(6, inner);
        graph(&[node("If", "", &["x"], &["y"]).bytes(5, attribute)], &[], &[])
    });
    assert_eq!(scanned(model(&deep)), Err(ScanError::TooLarge("graphs within graphs")));
    let long = node(&"A".repeat(NAME_BYTES_MAX + 1), "", &["x"], &["y"]);
    assert!(matches!(scanned(of_node(long)), Err(ScanError::TooLarge(_))));
}

#[test]
fn what_two_parsers_could_read_differently_is_refused() {
    let plain = add(2);
    let mut marked = vec![0x12, 6];
    marked.extend_from_slice(b"aaORTM");
    marked.extend_from_slice(&plain);
    let group = [plain.as_slice(), &[7 << 3 | 3]].concat();
    let foreign_type = [plain.as_slice(), &[7 << 3, 1]].concat();
    let zero = [plain.as_slice(), &[0, 0]].concat();
    let second_graph = Writer::new().bytes(7, graph(&[], &[], &[]));
    let second_graph = [plain.as_slice(), second_graph.as_ref()].concat();
    let long_number = [plain.as_slice(), &[0x08], &[0xff; 9], &[0x7f]].concat();
    for refused in [marked, group, foreign_type, zero, second_graph, long_number, Vec::new()] {
        assert!(matches!(scan(&refused), Err(ScanError::Malformed(_))), "{refused:x?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// Any bytes get an answer.
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = scan(&bytes);
    }

    /// A damaged model gets an answer, and one that names another file never passes.
    #[test]
    fn damage_does_not_make_it_panic(
        at in any::<prop::sample::Index>(), byte in any::<u8>(), keep in any::<prop::sample::Index>(),
    ) {
        let mut bytes = add(3);
        let length = keep.index(bytes.len()) + 1;
        let position = at.index(bytes.len());
        bytes[position] = byte;
        let _ = scan(&bytes);
        bytes.truncate(length);
        let _ = scan(&bytes);
    }

    #[test]
    fn other_files_are_seen_behind_any_other_fields(
        number in 16_u64..1000, noise in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let tensor = Writer::new().bytes(number, &noise);
        let tensor = [tensor.as_ref(), external().as_ref()].concat();
        let model = model(&graph(&[], &[], &[]).bytes(5, tensor));
        prop_assert_eq!(scan(model.as_ref()), Err(ScanError::ExternalData));
    }
}
