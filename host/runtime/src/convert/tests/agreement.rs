//! Random types: what is lowered comes back the same, and the schema takes exactly what
//! `lower` takes.

use proptest::{prelude::*, test_runner::RngSeed};

use super::*;
use crate::{
    fixture::world,
    fuzz::shape::{PRIMITIVES, Shape, spoil},
    schema::{FunctionSchemas, SchemaBudget, function_schemas},
};

fn shapes() -> impl Strategy<Value = Shape> {
    let leaf = prop_oneof![
        4 => prop::sample::select(PRIMITIVES.to_vec()).prop_map(Shape::Primitive),
        1 => (1_usize..5).prop_map(Shape::Enum),
        1 => (1_usize..5).prop_map(Shape::Flags),
    ];
    leaf.prop_recursive(4, 12, 3, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        prop_oneof![
            boxed().prop_map(Shape::List),
            (boxed(), 1_u32..4).prop_map(|(element, length)| Shape::Array(element, length)),
            boxed().prop_map(Shape::Pairs),
            boxed().prop_map(Shape::Option),
            (prop::option::of(boxed()), prop::option::of(boxed()))
                .prop_map(|(ok, err)| Shape::Result(ok, err)),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Shape::Tuple),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Shape::Record),
            prop::collection::vec(prop::option::of(inner.clone()), 1..4).prop_map(Shape::Variant),
        ]
    })
}

fn schemas(declared: &str, uses: &str, ty: &str) -> FunctionSchemas {
    let wit = format!(
        "package a:b; interface types {{ {declared} }}
         world test {{ {uses} export f: func(x: {ty}) -> {ty}; }}"
    );
    let (resolve, world) = world(&wit, "test");
    let function = resolve.worlds[world].exports.values().find_map(|item| match item {
        wit_parser::WorldItem::Function(function) => Some(function),
        _ => None,
    });
    let nothing = std::collections::BTreeMap::new();
    function_schemas(&resolve, function.unwrap(), &nothing, &mut SchemaBudget::new()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn values_come_back_and_the_schema_agrees(
        shape in shapes(),
        seed in 1_u64..u64::MAX,
    ) {
        let mut declared = Vec::new();
        let ty = shape.wit(&mut declared);
        let names: Vec<String> = (0..declared.len()).map(|index| format!("t-n{index}")).collect();
        let uses = if names.is_empty() { String::new() } else { format!("use types.{{{}}};", names.join(", ")) };
        let declared = declared.join(" ");
        let mut converter = Converter::new(&declared, &format!("func(x: {ty}) -> {ty}"));
        let schemas = schemas(&declared, &uses, &ty);
        let input_schema = jsonschema::validator_for(&schemas.input).unwrap();
        let output_schema = jsonschema::validator_for(&schemas.output).unwrap();
        let mut state = seed;
        let mut dice = |sides: usize| {
            // Knuth's linear congruential generator: small, and the same in every run of a seed.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % sides
        };
        for _ in 0..24 {
            let value = shape.value(&mut dice);
            let mut input = json!({ "x": value });
            prop_assert!(input_schema.is_valid(&input), "schema refuses {input}: {}", schemas.input);
            let values = converter.lower(&input).unwrap();
            let lifted = converter.lift(&values).unwrap();
            prop_assert_eq!(lifted.bytes, u64::try_from(returned(&lifted.returned).to_string().len()).unwrap());
            if let Shape::Result(..) = shape {
                // Its own result is unwrapped; inside other types it is compared above.
            } else {
                prop_assert_eq!(&lifted.returned, &Returned::Output(value.clone()));
                prop_assert!(output_schema.is_valid(&value), "{value}: {}", schemas.output);
            }
            spoil(&mut input, &mut dice);
            let takes = converter.lower(&input);
            prop_assert_eq!(
                input_schema.is_valid(&input), takes.is_ok(),
                "{} {:?} {}", input, takes, schemas.input
            );
        }
    }
}

fn returned(returned: &Returned) -> &Value {
    match returned {
        Returned::Output(value) | Returned::PluginError(value) => value,
    }
}
