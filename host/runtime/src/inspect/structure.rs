//! The first pass over hostile bytes: bounds, validation, sizes and custom sections.
//!
//! Every bound is checked before the part that it bounds is read.

use std::collections::{BTreeMap, BTreeSet};

use meshhost_core::config::COMPONENT_BYTES_MAX;
use wasmparser::{
    BinaryReader, ComponentExternalKind, CustomSectionReader, Encoding, FuncValidatorAllocations,
    Parser, Payload, ProducersSectionReader, ValidPayload, Validator,
};

use super::{
    InspectError,
    features::{Needs, needs, read_features},
    instances::Instances,
    type_depth,
};

/// Deepest nesting of components and modules.
const NESTING_MAX: usize = 16;
/// Most functions over all modules.
const FUNCTIONS_MAX: u32 = 300_000;
/// Most types over all components and modules.
const TYPES_MAX: u32 = 200_000;
/// Most imports, and most exports, of the component itself.
const EXTERNS_MAX: u32 = 2_000;
/// Most components and modules inside.
const PARTS_MAX: u32 = 1_000;
/// Most bytes of declarations (types, imports, exports, aliases, instances) over all components
/// and modules. They cost the reader up to a hundred times their bytes; a Python component has
/// 300 KiB.
const DECLARATION_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Most entries of the producers sections that are kept.
const PRODUCERS_MAX: usize = 64;
/// Most bytes of one name or version there.
const PRODUCER_BYTES_MAX: usize = 128;
/// Most bytes of the manifest.
const MANIFEST_BYTES_MAX: usize = 256 * 1024;
/// Most bytes of the doc comments.
const DOCS_BYTES_MAX: usize = 4 * 1024 * 1024;

const TYPES: &str = "types";
const COMPONENT_TYPES: &str = "component types";
const COMPONENT_FUNCTIONS: &str = "component functions";
/// Imports, exports, aliases, instances and what is small.
const OTHER: &str = "other";
/// The kinds of sections that count as declarations.
const DECLARATIONS: [&str; 4] = [TYPES, COMPONENT_TYPES, COMPONENT_FUNCTIONS, OTHER];

/// The custom section with the manifest, TOML text.
pub(super) const MANIFEST_SECTION: &str = "meshhost:manifest";
/// The custom section with the doc comments, JSON.
pub(super) const DOCS_SECTION: &str = "meshhost:docs";

/// What the first pass found.
#[derive(Debug)]
pub(super) struct Structure<'a> {
    pub(super) producers: Vec<(String, String, String)>,
    pub(super) section_bytes: Vec<(String, u64)>,
    pub(super) core_instances: u32,
    pub(super) manifest: Option<String>,
    pub(super) docs: Option<&'a [u8]>,
    pub(super) needs: Needs,
    /// Imports that WIT cannot name: modules, components and values.
    pub(super) unnamed_imports: Vec<String>,
}

/// Reads and validates the bytes.
///
/// # Errors
/// When they are no valid component, or beyond a bound.
pub(super) fn read(bytes: &[u8]) -> Result<Structure<'_>, InspectError> {
    if bytes.len() > COMPONENT_BYTES_MAX {
        return Err(InspectError::too_large(format!(
            "the file has {} bytes, the most is {COMPONENT_BYTES_MAX}",
            bytes.len()
        )));
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(InspectError::invalid("the file is not WebAssembly: it does not begin as one"));
    }
    if Parser::is_core_wasm(bytes) {
        return Err(InspectError::invalid(
            "the file is a core module, not a component: build it for wasm32-wasip2, or wrap it \
             with an adapter",
        ));
    }
    let mut pass = Pass::new(bytes);
    for payload in Parser::new(0).parse_all(bytes) {
        pass.payload(&payload.map_err(damaged)?)?;
    }
    pass.finish()
}

struct Pass<'a> {
    bytes: &'a [u8],
    validator: Validator,
    allocations: FuncValidatorAllocations,
    nesting: Vec<Encoding>,
    functions: u32,
    types: u32,
    parts: u32,
    imports: u32,
    exports: u32,
    instances: Instances,
    sections: BTreeMap<&'static str, u64>,
    producers: BTreeSet<(String, String, String)>,
    manifest: Option<&'a [u8]>,
    docs: Option<&'a [u8]>,
    unnamed_imports: Vec<String>,
}

impl<'a> Pass<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            validator: Validator::new_with_features(read_features()),
            allocations: FuncValidatorAllocations::default(),
            nesting: Vec::new(),
            functions: 0,
            types: 0,
            parts: 0,
            imports: 0,
            exports: 0,
            instances: Instances::default(),
            sections: BTreeMap::new(),
            producers: BTreeSet::new(),
            manifest: None,
            docs: None,
            unnamed_imports: Vec::new(),
        }
    }

    fn payload(&mut self, payload: &Payload<'a>) -> Result<(), InspectError> {
        self.measure(payload)?;
        self.bounds(payload)?;
        if let ValidPayload::Func(function, body) =
            self.validator.payload(payload).map_err(damaged)?
        {
            let allocations = std::mem::take(&mut self.allocations);
            let mut validator = function.into_validator(allocations);
            validator.validate(&body).map_err(damaged)?;
            self.allocations = validator.into_allocations();
        }
        self.instances.payload(payload)?;
        match payload {
            Payload::Version { encoding, .. } => self.nesting.push(*encoding),
            Payload::End(_) => {
                self.nesting.pop();
            }
            Payload::ComponentImportSection(section) if self.nesting.len() == 1 => {
                for import in section.clone() {
                    let import = import.map_err(damaged)?;
                    let kind = import.ty.kind();
                    if !matches!(
                        kind,
                        ComponentExternalKind::Instance
                            | ComponentExternalKind::Func
                            | ComponentExternalKind::Type
                    ) {
                        self.unnamed_imports.push(import.name.name.to_owned());
                    }
                }
            }
            Payload::CustomSection(section) => self.custom(section)?,
            _ => {}
        }
        Ok(())
    }

    /// What must hold before the payload is read any further.
    fn bounds(&mut self, payload: &Payload<'_>) -> Result<(), InspectError> {
        let top = self.nesting.len() == 1;
        let (count, counted, most, what) = match payload {
            Payload::Version { .. } => {
                if self.nesting.len() >= NESTING_MAX {
                    let message = format!("components nest deeper than {NESTING_MAX} levels");
                    return Err(InspectError::too_large(message));
                }
                (&mut self.parts, 1, PARTS_MAX, "components and modules")
            }
            Payload::ComponentTypeSection(section) => {
                let range = section.range();
                let data = self.bytes.get(range.clone()).unwrap_or_default();
                type_depth::check(BinaryReader::new(data, range.start))?;
                (&mut self.types, section.count(), TYPES_MAX, "types")
            }
            Payload::CoreTypeSection(section) => {
                (&mut self.types, section.count(), TYPES_MAX, "types")
            }
            Payload::TypeSection(section) => (&mut self.types, section.count(), TYPES_MAX, "types"),
            Payload::FunctionSection(section) => {
                (&mut self.functions, section.count(), FUNCTIONS_MAX, "functions")
            }
            Payload::ComponentImportSection(section) if top => {
                (&mut self.imports, section.count(), EXTERNS_MAX, "imports")
            }
            Payload::ComponentExportSection(section) if top => {
                (&mut self.exports, section.count(), EXTERNS_MAX, "exports")
            }
            _ => return Ok(()),
        };
        *count = count.saturating_add(counted);
        if *count > most {
            let message = format!("the component has more than {most} {what}");
            return Err(InspectError::too_large(message));
        }
        Ok(())
    }

    /// Adds the bytes of a section to those of its kind. Components and modules inside count by
    /// their own sections.
    ///
    /// # Errors
    /// When there are too many bytes of declarations.
    fn measure(&mut self, payload: &Payload<'_>) -> Result<(), InspectError> {
        let (kind, range) = match payload {
            Payload::CodeSectionStart { range, .. } => ("code", range.clone()),
            Payload::DataSection(section) => ("data", section.range()),
            Payload::ElementSection(section) => ("elements", section.range()),
            Payload::TypeSection(section) => (TYPES, section.range()),
            Payload::ComponentTypeSection(section) => (COMPONENT_TYPES, section.range()),
            Payload::ComponentCanonicalSection(section) => (COMPONENT_FUNCTIONS, section.range()),
            Payload::CustomSection(section) => {
                let kind = match section.name() {
                    "name" => "names",
                    name if name.starts_with(".debug") => "debug information",
                    _ => "custom",
                };
                (kind, section.range())
            }
            Payload::FunctionSection(section) => ("functions", section.range()),
            Payload::ModuleSection { .. }
            | Payload::ComponentSection { .. }
            | Payload::CodeSectionEntry(_) => return Ok(()),
            other => match other.as_section() {
                Some((_, range)) => (OTHER, range),
                None => return Ok(()),
            },
        };
        let bytes = u64::try_from(range.len()).unwrap_or(u64::MAX);
        let total = self.sections.entry(kind).or_default();
        *total = total.saturating_add(bytes);
        let declared: u64 =
            DECLARATIONS.iter().filter_map(|kind| self.sections.get(kind)).copied().sum();
        if declared > DECLARATION_BYTES_MAX {
            let message = format!(
                "the component has more than {DECLARATION_BYTES_MAX} bytes of declarations"
            );
            return Err(InspectError::too_large(message));
        }
        Ok(())
    }

    fn custom(&mut self, section: &CustomSectionReader<'a>) -> Result<(), InspectError> {
        let top = self.nesting.len() == 1;
        match section.name() {
            "producers" => self.producers(section.data(), section.data_offset()),
            MANIFEST_SECTION if top => {
                single(&mut self.manifest, section, MANIFEST_BYTES_MAX)?;
            }
            DOCS_SECTION if top => single(&mut self.docs, section, DOCS_BYTES_MAX)?,
            _ => {}
        }
        Ok(())
    }

    /// Keeps what it can read: a damaged producers section says nothing, and no more.
    fn producers(&mut self, data: &[u8], offset: usize) {
        let Ok(fields) = ProducersSectionReader::new(BinaryReader::new(data, offset)) else {
            return;
        };
        for field in fields.into_iter().map_while(Result::ok) {
            for value in field.values.into_iter().map_while(Result::ok) {
                let fits = [field.name, value.name, value.version]
                    .iter()
                    .all(|text| text.len() <= PRODUCER_BYTES_MAX);
                if fits && self.producers.len() < PRODUCERS_MAX {
                    self.producers.insert((
                        field.name.to_owned(),
                        value.name.to_owned(),
                        value.version.to_owned(),
                    ));
                }
            }
        }
    }

    fn finish(self) -> Result<Structure<'a>, InspectError> {
        let manifest = match self.manifest.map(std::str::from_utf8) {
            None => None,
            Some(Ok(text)) => Some(text.to_owned()),
            Some(Err(_)) => {
                return Err(InspectError::invalid(
                    "the manifest inside the component is not UTF-8",
                ));
            }
        };
        let mut section_bytes: Vec<(String, u64)> =
            self.sections.into_iter().map(|(kind, bytes)| (kind.to_owned(), bytes)).collect();
        section_bytes.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        Ok(Structure {
            producers: self.producers.into_iter().collect(),
            section_bytes,
            core_instances: self.instances.total()?,
            manifest,
            docs: self.docs,
            needs: needs(self.bytes),
            unnamed_imports: self.unnamed_imports,
        })
    }
}

/// Keeps the one section of this name.
fn single<'a>(
    kept: &mut Option<&'a [u8]>,
    section: &CustomSectionReader<'a>,
    bytes_max: usize,
) -> Result<(), InspectError> {
    let name = section.name();
    if kept.is_some() {
        return Err(InspectError::invalid(format!("the component has two sections `{name}`")));
    }
    if section.data().len() > bytes_max {
        let message = format!("the section `{name}` has more than {bytes_max} bytes");
        return Err(InspectError::too_large(message));
    }
    *kept = Some(section.data());
    Ok(())
}

/// What the parser or validator said, with the place in the file.
pub(super) fn damaged(error: wasmparser::Error) -> InspectError {
    InspectError::invalid(format!(
        "the component is damaged or uses what is switched off, at byte {}: {}",
        error.offset(),
        error.message()
    ))
}
