//! The compiled types of event, and the choice of one for each index.
//!
//! Invariant: all 43 types of the reference are here once; the order is part of what (seed, index) means.

use std::sync::LazyLock;

use super::devices::Form;
use super::kinds::{self, Kind, Named};
use super::kinds_in_app;
use super::template::Template;
use crate::engine::random::Draw;

/// A type of event, ready to be filled.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) kind: &'static Kind,
    variants: Vec<Variant>,
}

/// A way to write a device, ready to be filled.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) form: &'static Form,
    pub(super) template: Template,
}

/// Device, body and further members of one event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    pub(super) device: &'static Device,
    pub(super) body: Option<&'static Template>,
    pub(super) extra: &'static Template,
    /// Whom the body names.
    pub(super) names: Named,
}

#[derive(Debug)]
struct Variant {
    devices: Vec<Device>,
    bodies: Vec<Option<Template>>,
    extra: Template,
    names: Named,
}

#[derive(Debug)]
struct Catalog {
    shapes: Vec<Shape>,
    /// Index into `shapes`, repeated by weight.
    weighted: Vec<usize>,
}

/// With what only official examples show.
static ALL: LazyLock<Catalog> = LazyLock::new(|| Catalog::compile(false));
/// Without it.
static BY_SCHEMA: LazyLock<Catalog> = LazyLock::new(|| Catalog::compile(true));

/// The type of event that `draw` picks, by weight. With `by_schema` it has no shape that the schema does not allow.
pub(super) fn pick(draw: &mut Draw, by_schema: bool) -> &'static Shape {
    let catalog = if by_schema { &*BY_SCHEMA } else { &*ALL };
    &catalog.shapes[*draw.pick(&catalog.weighted)]
}

/// All type names, in catalogue order.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    ALL.shapes.iter().map(|shape| shape.kind.name)
}

impl Catalog {
    fn compile(by_schema: bool) -> Self {
        let kinds = kinds::KINDS.iter().chain(kinds_in_app::KINDS);
        let shapes: Vec<Shape> = kinds.map(|kind| Shape::compile(kind, by_schema)).collect();
        let weighted = shapes
            .iter()
            .enumerate()
            .flat_map(|(number, shape)| std::iter::repeat_n(number, shape.kind.weight as usize))
            .collect();
        Self { shapes, weighted }
    }
}

impl Shape {
    pub(super) fn choose(&'static self, draw: &mut Draw) -> Choice {
        let variant = draw.pick(&self.variants);
        Choice {
            device: draw.pick(&variant.devices),
            body: draw.pick(&variant.bodies).as_ref(),
            extra: &variant.extra,
            names: variant.names,
        }
    }

    fn compile(kind: &'static Kind, by_schema: bool) -> Self {
        let variants = kind.variants.iter().filter(|variant| !(by_schema && variant.only_example));
        Self { kind, variants: variants.map(|variant| Variant::compile(variant, by_schema)).collect() }
    }
}

impl Variant {
    fn compile(variant: &'static kinds::Variant, by_schema: bool) -> Self {
        let devices = variant.devices.iter().filter(|form| !(by_schema && form.only_example));
        let device = |form: &'static Form| Device { form, template: Template::compile(form.text, by_schema) };
        let body = |text: &&'static str| (!text.is_empty()).then(|| Template::compile(text, by_schema));
        Self {
            devices: devices.map(device).collect(),
            bodies: variant.bodies.iter().map(body).collect(),
            extra: Template::compile(variant.extra, by_schema),
            names: variant.names,
        }
    }
}
