//! Types have one text, and come back from it.

use proptest::prelude::*;

use super::*;

fn function(text: &str) -> Result<FunctionType, TypeError> {
    text.parse()
}

/// The texts stand for types whose hashes are kept with grants and links: they never change.
#[test]
fn every_kind_of_type_has_its_text() {
    for text in [
        "func()",
        "func(at: record{x: f32, y: f32, }, )",
        "func(a: variant{a, b: u8, }, b: enum{c, d, }, c: flags{h, }, d: tuple<s8, char, >, \
         e: option<string, >, f: list<u64, >, g: own<a:b/i@1.0.0.r>, h: borrow<a:b/i@1.0.0.r>, ) \
         -> result<_, bool, >",
        "func() -> map<string, list16<u8, >, >",
        "func() -> future<_, >",
        "func() -> stream<u8, >",
        "func() -> error-context",
        "func() -> result<_, _, >",
        "func(a: u16, b: u32, c: s16, d: s32, e: s64, f: f64, )",
    ] {
        let read = function(text).unwrap();
        assert_eq!(read.to_string(), text);
        assert_eq!(read.hash(), Digest::of(text.as_bytes()));
        assert_eq!(serde_json::to_value(&read).unwrap(), text);
        assert_eq!(serde_json::from_value::<FunctionType>(text.into()).unwrap(), read);
    }
}

#[test]
fn other_texts_are_no_types() {
    for text in [
        "",
        "func",
        "func() ",
        "func(a: u8)",
        "func(a: u8, ) -> ",
        "func() -> u7",
        "func() -> list<u8>",
        "func() -> list016<u8, >",
        "func() -> list<u8, , >",
        "func() -> option<u8, u8, >",
        "func() -> result<u8, >",
        "func() -> enum{a b, }",
        "func() -> record{a: u8, ",
        "func() -> own<a",
        "func(\u{e9}: u8, )",
    ] {
        assert_eq!(function(text), Err(TypeError::Text), "{text}");
    }
    for text in [
        "func(a: u8, a: u8, )",
        "func(: u8, )",
        "func() -> enum{a, a, }",
        "func() -> own<>",
        "func() -> own<a b>",
    ] {
        assert_eq!(function(text), Err(TypeError::Name), "{text}");
    }
}

#[test]
fn types_are_bounded_in_depth_and_length() {
    let deep = |depth: usize| {
        let (open, close) = ("option<".repeat(depth), ", >".repeat(depth));
        function(&format!("func() -> {open}u8{close}"))
    };
    assert!(deep(DEPTH_MAX - 1).is_ok());
    assert_eq!(deep(DEPTH_MAX), Err(TypeError::TooDeep));
    assert_eq!(deep(20_000), Err(TypeError::TooDeep));
    let long = format!("func() -> enum{{{}, }}", "a".repeat(TEXT_BYTES_MAX));
    assert_eq!(function(&long), Err(TypeError::TooLong));
    let many = vec![Type::Plain(Plain::String); TEXT_BYTES_MAX / 8];
    assert_eq!(FunctionType::new(Vec::new(), Some(Type::Tuple(many))), Err(TypeError::TooLong));
}

#[test]
fn the_blob_of_the_contract_is_known_by_its_name() {
    let handle = |resource: &str| Type::Handle { own: true, resource: resource.to_owned() };
    assert!(handle("meshhost:blob/types@0.1.0.blob").is_blob());
    assert!(handle("meshhost:blob/types.blob").is_blob());
    for other in ["a:blob/types.blob", "meshhost:blob/typesx.blob", "meshhost:blob/types.writer"] {
        assert!(!handle(other).is_blob(), "{other}");
    }
}

/// Types that have values in JSON.
pub(crate) fn any_type() -> impl Strategy<Value = Type> {
    let plain = Plain::ALL.iter().copied().filter(|plain| *plain != Plain::ErrorContext);
    let blob = "meshhost:blob/types@0.1.0.blob";
    let leaf = prop_oneof![
        8 => prop::sample::select(plain.collect::<Vec<_>>()).prop_map(Type::Plain),
        1 => any_names().prop_map(Type::Enum),
        1 => any_names().prop_map(Type::Flags),
        1 => any::<bool>().prop_map(move |own| Type::Handle { own, resource: blob.to_owned() }),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        let some = || inner.clone().prop_map(Box::new);
        let maybe = || prop::option::of(some());
        prop_oneof![
            any_members(inner.clone()).prop_map(Type::Record),
            (any_names(), prop::collection::vec(prop::option::of(inner.clone()), 4)).prop_map(
                |(names, types)| {
                    let cases = names.into_iter().zip(types);
                    Type::Variant(cases.map(|(name, ty)| Case { name, ty }).collect())
                }
            ),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Type::Tuple),
            some().prop_map(Type::Option),
            (maybe(), maybe()).prop_map(|(ok, err)| Type::Result { ok, err }),
            some().prop_map(Type::List),
            (some(), 0_u32..4).prop_map(|(ty, length)| Type::FixedLengthList(ty, length)),
            (some(), some()).prop_map(|(key, value)| Type::Map(key, value)),
        ]
    })
}

fn any_names() -> impl Strategy<Value = Vec<String>> {
    (1_usize..18).prop_map(|count| {
        let name = |at| if at % 2 == 0 { format!("n{at}") } else { format!("a-name-{at}") };
        (0..count).map(name).collect()
    })
}

fn any_members(ty: impl Strategy<Value = Type>) -> impl Strategy<Value = Vec<Member>> {
    (any_names(), prop::collection::vec(ty, 4)).prop_map(|(names, types)| {
        names.into_iter().zip(types).map(|(name, ty)| Member { name, ty }).collect()
    })
}

/// Functions whose values have a form in JSON.
pub(crate) fn any_function() -> impl Strategy<Value = FunctionType> {
    (any_members(any_type()), prop::option::of(any_type()))
        .prop_map(|(parameters, result)| FunctionType::new(parameters, result).unwrap())
}

proptest! {
    #[test]
    fn any_type_comes_back_from_its_text(read in any_function()) {
        prop_assert_eq!(function(&read.to_string()), Ok(read));
    }

    #[test]
    fn any_text_is_a_type_with_that_text_or_none(
        read in any_function(),
        place in any::<prop::sample::Index>(),
        character in any::<char>(),
    ) {
        let mut text: Vec<char> = read.to_string().chars().collect();
        let at = place.index(text.len());
        text[at] = character;
        let text: String = text.into_iter().collect();
        if let Ok(read) = function(&text) {
            prop_assert_eq!(read.to_string(), text);
        }
    }
}
