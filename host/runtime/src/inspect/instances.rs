//! How many core instances one instantiation makes, counted through nested components: a few
//! hundred bytes can stand for millions.

use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind, Encoding,
    Instance, Payload,
};

use super::{InspectError, structure::damaged};

/// Most core instances; the limit of a call is lower and judged where it is known.
const CORE_INSTANCES_MAX: u64 = 10_000;

/// The components that are open, innermost last.
#[derive(Debug, Default)]
pub(super) struct Instances {
    open: Vec<Level>,
    total: u64,
}

#[derive(Debug)]
enum Level {
    Module,
    Component(Component),
}

#[derive(Debug, Default)]
struct Component {
    /// Core instances that one instantiation makes.
    count: u64,
    /// The component index space: the count of each, `None` where the bytes do not say.
    components: Vec<Option<u64>>,
}

impl Instances {
    /// Follows one payload, which is validated already.
    ///
    /// # Errors
    /// When it cannot be counted, or the count goes beyond any limit.
    pub(super) fn payload(&mut self, payload: &Payload<'_>) -> Result<(), InspectError> {
        match payload {
            Payload::Version { encoding: Encoding::Module, .. } => self.open.push(Level::Module),
            Payload::Version { encoding: Encoding::Component, .. } => {
                self.open.push(Level::Component(Component::default()));
            }
            Payload::End(_) => self.close(),
            Payload::InstanceSection(section) => {
                for instance in section.clone() {
                    if let Instance::Instantiate { .. } = instance.map_err(damaged)? {
                        self.add(1)?;
                    }
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section.clone() {
                    if let ComponentInstance::Instantiate { component_index, .. } =
                        instance.map_err(damaged)?
                    {
                        let count = self.component(0, component_index).ok_or_else(uncountable)?;
                        self.add(count)?;
                    }
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section.clone() {
                    match alias.map_err(damaged)? {
                        ComponentAlias::InstanceExport {
                            kind: ComponentExternalKind::Component,
                            ..
                        } => self.declare(None),
                        ComponentAlias::Outer {
                            kind: ComponentOuterAliasKind::Component,
                            count,
                            index,
                        } => self.declare(self.component(count, index)),
                        _ => {}
                    }
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section.clone() {
                    if import.map_err(damaged)?.ty.kind() == ComponentExternalKind::Component {
                        self.declare(None);
                    }
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section.clone() {
                    let export = export.map_err(damaged)?;
                    if export.kind == ComponentExternalKind::Component {
                        self.declare(self.component(0, export.index));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The core instances of the whole component.
    ///
    /// # Errors
    /// When there are more than can be counted in 32 bits.
    pub(super) fn total(&self) -> Result<u32, InspectError> {
        u32::try_from(self.total).map_err(|_| uncountable())
    }

    fn close(&mut self) {
        if let Some(Level::Component(closed)) = self.open.pop() {
            self.total = closed.count;
            self.declare(Some(closed.count));
        }
    }

    /// Adds a component to the index space of the innermost open component.
    fn declare(&mut self, count: Option<u64>) {
        if let Some(Level::Component(component)) = self.open.last_mut() {
            component.components.push(count);
        }
    }

    fn component(&self, outward: u32, index: u32) -> Option<u64> {
        let outward = usize::try_from(outward).ok()?;
        let level = self.open.iter().rev().nth(outward)?;
        let Level::Component(component) = level else { return None };
        component.components.get(usize::try_from(index).ok()?).copied().flatten()
    }

    fn add(&mut self, count: u64) -> Result<(), InspectError> {
        let Some(Level::Component(component)) = self.open.last_mut() else { return Ok(()) };
        component.count = component.count.saturating_add(count);
        if component.count > CORE_INSTANCES_MAX {
            return Err(InspectError::too_large(format!(
                "one instantiation makes more than {CORE_INSTANCES_MAX} core instances"
            )));
        }
        Ok(())
    }
}

fn uncountable() -> InspectError {
    InspectError::too_large(
        "the component instantiates a component that it is handed as a value, so its instances \
         cannot be counted",
    )
}
