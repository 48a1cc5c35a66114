//! The type of a function as one text, by which what a component imports is compared with what another
//! exports: without names of types, aliases and comments, since the two need not agree on those.
//! Names of parameters, fields and cases are part of it.

use std::fmt::Write as _;

use meshhost_core::id::Digest;
use wit_parser::{Function, Handle, Resolve, Type, TypeDefKind, TypeId, TypeOwner};

/// Longest text. One type may stand in many places, so that a short WIT has a long text.
const TEXT_BYTES_MAX: usize = 256 * 1024;

/// BLAKE3 of the function's type; none when its text is too long.
pub(super) fn hash(resolve: &Resolve, function: &Function) -> Option<Digest> {
    text(resolve, function).map(|text| Digest::of(text.as_bytes()))
}

/// The function's type, `func(texts: list<string>) -> result<list<u32>, variant{…}>`.
fn text(resolve: &Resolve, function: &Function) -> Option<String> {
    let mut writer = Writer { resolve, text: "func(".to_owned() };
    for parameter in &function.params {
        writer.member(&parameter.name, &parameter.ty)?;
    }
    writer.push(")")?;
    if let Some(result) = &function.result {
        writer.push(" -> ")?;
        writer.ty(result)?;
    }
    Some(writer.text)
}

struct Writer<'a> {
    resolve: &'a Resolve,
    text: String,
}

/// Nothing comes back once the text is too long.
impl Writer<'_> {
    fn push(&mut self, part: &str) -> Option<()> {
        (self.text.len().saturating_add(part.len()) <= TEXT_BYTES_MAX)
            .then(|| self.text.push_str(part))
    }

    fn member(&mut self, name: &str, ty: &Type) -> Option<()> {
        self.push(name)?;
        self.push(": ")?;
        self.ty(ty)?;
        self.push(", ")
    }

    fn ty(&mut self, ty: &Type) -> Option<()> {
        match ty {
            Type::Bool => self.push("bool"),
            Type::U8 => self.push("u8"),
            Type::U16 => self.push("u16"),
            Type::U32 => self.push("u32"),
            Type::U64 => self.push("u64"),
            Type::S8 => self.push("s8"),
            Type::S16 => self.push("s16"),
            Type::S32 => self.push("s32"),
            Type::S64 => self.push("s64"),
            Type::F32 => self.push("f32"),
            Type::F64 => self.push("f64"),
            Type::Char => self.push("char"),
            Type::String => self.push("string"),
            Type::ErrorContext => self.push("error-context"),
            Type::Id(id) => self.defined(*id),
        }
    }

    fn defined(&mut self, id: TypeId) -> Option<()> {
        let resolve = self.resolve;
        match &resolve.types.get(id)?.kind {
            TypeDefKind::Type(ty) => self.ty(ty),
            TypeDefKind::Record(record) => {
                let members = record.fields.iter().map(|field| (&*field.name, Some(&field.ty)));
                self.members("record", members)
            }
            TypeDefKind::Variant(variant) => {
                let members = variant.cases.iter().map(|case| (&*case.name, case.ty.as_ref()));
                self.members("variant", members)
            }
            TypeDefKind::Enum(names) => {
                self.members("enum", names.cases.iter().map(|case| (&*case.name, None)))
            }
            TypeDefKind::Flags(names) => {
                self.members("flags", names.flags.iter().map(|flag| (&*flag.name, None)))
            }
            TypeDefKind::Tuple(tuple) => self.around("tuple", tuple.types.iter().map(Some)),
            TypeDefKind::Option(inner) => self.around("option", [Some(inner)]),
            TypeDefKind::Result(result) => {
                self.around("result", [result.ok.as_ref(), result.err.as_ref()])
            }
            TypeDefKind::List(item) => self.around("list", [Some(item)]),
            TypeDefKind::Map(key, value) => self.around("map", [Some(key), Some(value)]),
            TypeDefKind::FixedLengthList(item, length) => {
                self.around(&format!("list{length}"), [Some(item)])
            }
            TypeDefKind::Future(item) => self.around("future", [item.as_ref()]),
            TypeDefKind::Stream(item) => self.around("stream", [item.as_ref()]),
            TypeDefKind::Handle(Handle::Own(id)) => self.handle("own", *id),
            TypeDefKind::Handle(Handle::Borrow(id)) => self.handle("borrow", *id),
            TypeDefKind::Resource | TypeDefKind::Unknown => None,
        }
    }

    fn members<'a>(
        &mut self,
        kind: &str,
        members: impl Iterator<Item = (&'a str, Option<&'a Type>)>,
    ) -> Option<()> {
        self.push(kind)?;
        self.push("{")?;
        for (name, ty) in members {
            match ty {
                Some(ty) => self.member(name, ty)?,
                None => {
                    self.push(name)?;
                    self.push(", ")?;
                }
            }
        }
        self.push("}")
    }

    fn around<'a>(
        &mut self,
        kind: &str,
        types: impl IntoIterator<Item = Option<&'a Type>>,
    ) -> Option<()> {
        self.push(kind)?;
        self.push("<")?;
        for ty in types {
            match ty {
                Some(ty) => self.ty(ty)?,
                None => self.push("_")?,
            }
            self.push(", ")?;
        }
        self.push(">")
    }

    /// A resource has no structure: it is told by where it comes from.
    fn handle(&mut self, kind: &str, id: TypeId) -> Option<()> {
        let resolve = self.resolve;
        let mut id = id;
        let resource = loop {
            let definition = resolve.types.get(id)?;
            match &definition.kind {
                TypeDefKind::Type(Type::Id(aliased)) => id = *aliased,
                _ => break definition,
            }
        };
        let TypeOwner::Interface(interface) = resource.owner else { return None };
        let mut name = String::new();
        let owner = resolve.id_of(interface)?;
        write!(name, "{kind}<{owner}.{}>", resource.name.as_deref()?).ok()?;
        self.push(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::world;

    /// The text of the function `f` of an interface with these types.
    fn of(types: &str, signature: &str) -> Option<String> {
        let wit = format!(
            "package a:b@1.0.0; interface i {{ {types} f: {signature}; }} world w {{ import i; }}"
        );
        let (resolve, _) = world(&wit, "w");
        let (_, interface) = resolve.interfaces.iter().next().unwrap();
        text(&resolve, interface.functions.get("f").unwrap())
    }

    #[test]
    fn names_of_types_do_not_count_and_everything_else_does() {
        let one = of("record point { x: f32, y: f32 } type place = point;", "func(at: place)");
        let same = of("record spot { x: f32, y: f32 }", "func(at: spot)");
        assert_eq!(one, same);
        assert_eq!(one.unwrap(), "func(at: record{x: f32, y: f32, }, )");
        for (types, signature) in [
            ("record spot { x: f32, y: f64 }", "func(at: spot)"),
            ("record spot { x: f32, z: f32 }", "func(at: spot)"),
            ("record spot { y: f32, x: f32 }", "func(at: spot)"),
            ("record spot { x: f32, y: f32 }", "func(to: spot)"),
            ("record spot { x: f32, y: f32 }", "func(at: spot) -> bool"),
        ] {
            assert_ne!(of(types, signature), same, "{types} {signature}");
        }
    }

    #[test]
    fn every_kind_of_type_has_a_text() {
        let types = "variant v { a, b(u8) } enum e { c, d } flags g { h } resource r;";
        let signature = "func(a: v, b: e, c: g, d: tuple<s8, char>, e: option<string>, \
                         f: list<u64>, g: own<r>, h: borrow<r>) -> result<_, bool>";
        assert_eq!(
            of(types, signature).unwrap(),
            "func(a: variant{a, b: u8, }, b: enum{c, d, }, c: flags{h, }, \
             d: tuple<s8, char, >, e: option<string, >, f: list<u64, >, g: own<a:b/i@1.0.0.r>, \
             h: borrow<a:b/i@1.0.0.r>, ) -> result<_, bool, >"
        );
    }

    #[test]
    fn a_type_that_doubles_at_every_step_has_none() {
        let mut types = "record t0 { a: u8, b: u8 }".to_owned();
        for step in 1..30 {
            let before = step - 1;
            types.push_str(&format!(" record t{step} {{ a: t{before}, b: t{before} }}"));
        }
        assert_eq!(of(&types, "func(x: t29)"), None);
    }
}
