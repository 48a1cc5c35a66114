//! Components for tests, made from WIT text: every function is there and traps.

use serde_json::Value;
use wasmtime::{
    Config, Engine, Store,
    component::{Component, Resource, ResourceAny, types::ComponentFunc, types::ComponentItem},
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve, WorldId};

use meshhost_core::{code::Code, id::Digest};

use crate::convert::{
    BlobHandles, BlobSource, ConvertError, ConvertedOutput, InputRules, OutputRules, UnknownInput,
    lift, lower,
};

/// The interfaces of the host that fixtures import.
pub(crate) const HOST: &str = "
package meshhost:blob@0.1.0 {
  interface types {
    resource blob { length: func() -> u64; }
  }
}
";

/// The world `world` of a package written in WIT.
pub(crate) fn world(wit: &str, world: &str) -> (Resolve, WorldId) {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("fixture.wit", wit).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    (resolve, world)
}

/// A component that has the world `test` of the WIT text.
pub(crate) fn component(wit: &str) -> Vec<u8> {
    let (resolve, world) = world(wit, "test");
    let abi = ManglingAndAbi::Legacy(LiftLowerAbi::Sync);
    let mut module = wit_component::dummy_module(&resolve, world, abi);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}

/// An engine for types, with every kind of type that the mapping knows.
pub(crate) fn engine() -> Engine {
    let mut config = Config::new();
    config.wasm_component_model_map(true).wasm_component_model_fixed_length_lists(true);
    Engine::new(&config).unwrap()
}

/// The type of the function `f` that the world of a component exports.
pub(crate) fn function(engine: &Engine, bytes: &[u8]) -> ComponentFunc {
    let component = Component::new(engine, bytes).unwrap();
    match component.component_type().get_export(engine, "f").unwrap().ty {
        ComponentItem::ComponentFunc(function) => function,
        other => panic!("f is {other:?}"),
    }
}

/// A function with its conversions.
pub(crate) struct Converter {
    pub(crate) function: ComponentFunc,
    pub(crate) blobs: Blobs,
    pub(crate) input: InputRules,
    pub(crate) output: OutputRules,
}

impl Converter {
    /// The function of `export f: func(…) -> …;` with these types declared before it.
    pub(crate) fn new(types: &str, signature: &str) -> Self {
        let wit = format!(
            "package test:fixture; {HOST} interface types {{ {types} }}
             world test {{ import meshhost:blob/types@0.1.0; {} export f: {signature}; }}",
            uses(types),
        );
        let engine = engine();
        let function = function(&engine, &component(&wit));
        let input = InputRules { unknown: UnknownInput::Refuse, list_bytes: 64 };
        let output = OutputRules { output_bytes: 4096, list_bytes: 64 };
        Self { function, blobs: Blobs::new(&engine), input, output }
    }

    pub(crate) fn lower(
        &mut self,
        input: &Value,
    ) -> Result<Vec<wasmtime::component::Val>, ConvertError> {
        lower(input, &self.function, &self.input, &mut self.blobs)
    }

    pub(crate) fn lift(
        &mut self,
        results: &[wasmtime::component::Val],
    ) -> Result<ConvertedOutput, ConvertError> {
        lift(results, Vec::new(), &self.function, &self.output, &mut self.blobs)
    }

    /// The message of the refusal.
    pub(crate) fn refusal(&mut self, input: &Value) -> String {
        self.lower(input).unwrap_err().to_string()
    }
}

/// `use types.{…};` for every type that is declared.
fn uses(types: &str) -> String {
    let words: Vec<&str> = types.split_whitespace().collect();
    let names: Vec<&str> = words
        .windows(2)
        .filter(|pair| ["record", "variant", "enum", "flags", "type"].contains(&pair[0]))
        .map(|pair| pair[1])
        .collect();
    let blob = "use meshhost:blob/types@0.1.0.{blob};";
    if names.is_empty() {
        blob.into()
    } else {
        format!("{blob} use types.{{{}}};", names.join(", "))
    }
}

/// Blobs that are named by what they hold; it knows the one with the bytes `known`.
pub(crate) struct Blobs {
    store: Store<()>,
    held: Vec<Digest>,
    /// For each handle that was made, whether it goes to an `own`.
    pub(crate) owned: Vec<bool>,
}

struct Blob;

impl Blobs {
    pub(crate) fn new(engine: &Engine) -> Self {
        Self { store: Store::new(engine, ()), held: Vec::new(), owned: Vec::new() }
    }
}

impl BlobHandles for Blobs {
    fn lower(&mut self, source: BlobSource, own: bool) -> Result<ResourceAny, ConvertError> {
        let digest = match source {
            BlobSource::Digest(digest) => digest,
            BlobSource::Bytes(bytes) => Digest::of(&bytes),
        };
        let index = u32::try_from(self.held.len()).unwrap();
        self.held.push(digest);
        self.owned.push(own);
        // wasmtime makes no host borrow outside a call; an own handle serves a `borrow` as well.
        let resource: Resource<Blob> = Resource::new_own(index);
        Ok(ResourceAny::try_from_resource(resource, &mut self.store).unwrap())
    }

    fn lift(&mut self, handle: ResourceAny) -> Result<Digest, ConvertError> {
        let resource: Resource<Blob> = handle.try_into_resource(&mut self.store).unwrap();
        Ok(self.held[usize::try_from(resource.rep()).unwrap()])
    }

    fn bytes(&mut self, digest: &Digest, bytes_max: u64) -> Result<Vec<u8>, ConvertError> {
        if *digest == Digest::of(b"known") && bytes_max >= 5 {
            return Ok(b"known".to_vec());
        }
        Err(ConvertError::new(Code::NotFound, "there is no such blob"))
    }
}
