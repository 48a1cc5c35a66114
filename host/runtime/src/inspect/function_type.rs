//! The type of a function from its WIT, without names of types, aliases and comments: by its hash, what
//! a component imports is compared with what another exports, since the two need not agree on those.

use meshhost_core::function_type::{Case, FunctionType, Member, Plain, TEXT_BYTES_MAX, Type};
use wit_parser::{
    Function, Handle, Resolve, Type as WitType, TypeDefKind, TypeId, TypeOwner, Variant,
};

/// The function's type; none when its text is too long, or when it names a resource of no interface.
pub(super) fn function_type(resolve: &Resolve, function: &Function) -> Option<FunctionType> {
    let mut builder = Builder { resolve, left: TEXT_BYTES_MAX };
    let parameters = function.params.iter().map(|parameter| {
        let name = builder.name(&parameter.name)?;
        Some(Member { name, ty: builder.ty(&parameter.ty)? })
    });
    let parameters = parameters.collect::<Option<_>>()?;
    let result = match &function.result {
        Some(ty) => Some(builder.ty(ty)?),
        None => None,
    };
    FunctionType::new(parameters, result).ok()
}

/// A type that is named once may stand in many places, and is built anew in each.
struct Builder<'a> {
    resolve: &'a Resolve,
    /// Bytes that the text may still have. What is built takes at least what is counted here.
    left: usize,
}

/// Nothing comes back once the text would be too long.
impl Builder<'_> {
    fn charge(&mut self, bytes: usize) -> Option<()> {
        self.left = self.left.checked_sub(bytes)?;
        Some(())
    }

    fn name(&mut self, name: &str) -> Option<String> {
        self.charge(name.len() + ", ".len())?;
        Some(name.to_owned())
    }

    fn names<'n>(&mut self, names: impl Iterator<Item = &'n String>) -> Option<Vec<String>> {
        names.map(|name| self.name(name)).collect()
    }

    fn ty(&mut self, ty: &WitType) -> Option<Type> {
        self.charge("u8".len())?;
        self.uncharged(ty)
    }

    /// What an alias names has no more text than the alias.
    fn uncharged(&mut self, ty: &WitType) -> Option<Type> {
        Some(Type::Plain(match ty {
            WitType::Bool => Plain::Bool,
            WitType::U8 => Plain::U8,
            WitType::U16 => Plain::U16,
            WitType::U32 => Plain::U32,
            WitType::U64 => Plain::U64,
            WitType::S8 => Plain::S8,
            WitType::S16 => Plain::S16,
            WitType::S32 => Plain::S32,
            WitType::S64 => Plain::S64,
            WitType::F32 => Plain::F32,
            WitType::F64 => Plain::F64,
            WitType::Char => Plain::Char,
            WitType::String => Plain::String,
            WitType::ErrorContext => Plain::ErrorContext,
            WitType::Id(id) => return self.defined(*id),
        }))
    }

    fn boxed(&mut self, ty: &WitType) -> Option<Box<Type>> {
        self.ty(ty).map(Box::new)
    }

    /// The outer option is none when the text would be too long.
    #[expect(
        clippy::option_option,
        reason = "a part that is absent is not a part that is too long"
    )]
    fn optional(&mut self, ty: Option<&WitType>) -> Option<Option<Box<Type>>> {
        match ty {
            Some(ty) => self.boxed(ty).map(Some),
            None => Some(None),
        }
    }

    fn defined(&mut self, id: TypeId) -> Option<Type> {
        let resolve = self.resolve;
        Some(match &resolve.types.get(id)?.kind {
            TypeDefKind::Type(ty) => self.uncharged(ty)?,
            TypeDefKind::Record(record) => {
                let fields = record.fields.iter().map(|field| {
                    let name = self.name(&field.name)?;
                    Some(Member { name, ty: self.ty(&field.ty)? })
                });
                Type::Record(fields.collect::<Option<_>>()?)
            }
            TypeDefKind::Variant(variant) => self.variant(variant)?,
            TypeDefKind::Enum(names) => {
                Type::Enum(self.names(names.cases.iter().map(|case| &case.name))?)
            }
            TypeDefKind::Flags(names) => {
                Type::Flags(self.names(names.flags.iter().map(|flag| &flag.name))?)
            }
            TypeDefKind::Tuple(tuple) => {
                Type::Tuple(tuple.types.iter().map(|ty| self.ty(ty)).collect::<Option<_>>()?)
            }
            TypeDefKind::Option(inner) => Type::Option(self.boxed(inner)?),
            TypeDefKind::Result(result) => Type::Result {
                ok: self.optional(result.ok.as_ref())?,
                err: self.optional(result.err.as_ref())?,
            },
            TypeDefKind::List(item) => Type::List(self.boxed(item)?),
            TypeDefKind::Map(key, value) => Type::Map(self.boxed(key)?, self.boxed(value)?),
            TypeDefKind::FixedLengthList(item, length) => {
                Type::FixedLengthList(self.boxed(item)?, *length)
            }
            TypeDefKind::Future(item) => Type::Future(self.optional(item.as_ref())?),
            TypeDefKind::Stream(item) => Type::Stream(self.optional(item.as_ref())?),
            TypeDefKind::Handle(Handle::Own(id)) => self.handle(true, *id)?,
            TypeDefKind::Handle(Handle::Borrow(id)) => self.handle(false, *id)?,
            TypeDefKind::Resource | TypeDefKind::Unknown => return None,
        })
    }

    fn variant(&mut self, variant: &Variant) -> Option<Type> {
        let cases = variant.cases.iter().map(|case| {
            let name = self.name(&case.name)?;
            let ty = match &case.ty {
                Some(ty) => Some(self.ty(ty)?),
                None => None,
            };
            Some(Case { name, ty })
        });
        Some(Type::Variant(cases.collect::<Option<_>>()?))
    }

    /// A resource has no structure: it is told by where it comes from.
    fn handle(&mut self, own: bool, id: TypeId) -> Option<Type> {
        let resolve = self.resolve;
        let mut id = id;
        let resource = loop {
            let definition = resolve.types.get(id)?;
            match &definition.kind {
                TypeDefKind::Type(WitType::Id(aliased)) => id = *aliased,
                _ => break definition,
            }
        };
        let TypeOwner::Interface(interface) = resource.owner else { return None };
        let owner = resolve.id_of(interface)?;
        let resource = format!("{owner}.{}", resource.name.as_deref()?);
        self.charge(resource.len())?;
        Some(Type::Handle { own, resource })
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
        let function = interface.functions.get("f").unwrap();
        function_type(&resolve, function).map(|function| function.to_string())
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
