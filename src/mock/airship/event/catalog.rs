//! The compiled types of event, and the choice of one for each index.
//!
//! Invariant: all 43 types of the reference are here once; the order is part of what (seed, index) means.

use std::sync::LazyLock;

use super::devices::Form;
use super::kinds::{self, Kind};
use super::kinds_in_app;
use super::template::Template;
use crate::mock::random::Draw;

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
}

#[derive(Debug)]
struct Variant {
    devices: Vec<Device>,
    bodies: Vec<Option<Template>>,
    extra: Template,
}

#[derive(Debug)]
struct Catalog {
    shapes: Vec<Shape>,
    /// Index into `shapes`, repeated by weight.
    weighted: Vec<usize>,
}

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
    let shapes: Vec<Shape> = kinds::KINDS.iter().chain(kinds_in_app::KINDS).map(Shape::compile).collect();
    let weighted = shapes
        .iter()
        .enumerate()
        .flat_map(|(number, shape)| std::iter::repeat_n(number, shape.kind.weight as usize))
        .collect();
    Catalog { shapes, weighted }
});

/// The type of event that `draw` picks, by weight.
pub(super) fn pick(draw: &mut Draw) -> &'static Shape {
    let catalog = &*CATALOG;
    &catalog.shapes[*draw.pick(&catalog.weighted)]
}

/// All type names, in catalogue order.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    CATALOG.shapes.iter().map(|shape| shape.kind.name)
}

impl Shape {
    pub(super) fn choose(&'static self, draw: &mut Draw) -> Choice {
        let variant = draw.pick(&self.variants);
        Choice {
            device: draw.pick(&variant.devices),
            body: draw.pick(&variant.bodies).as_ref(),
            extra: &variant.extra,
        }
    }

    fn compile(kind: &'static Kind) -> Self {
        let variants = kind.variants.iter().map(Variant::compile).collect();
        Self { kind, variants }
    }
}

impl Variant {
    fn compile(variant: &'static kinds::Variant) -> Self {
        let device = |form: &'static Form| Device { form, template: Template::compile(form.text) };
        let body = |text: &&'static str| (!text.is_empty()).then(|| Template::compile(text));
        Self {
            devices: variant.devices.iter().map(device).collect(),
            bodies: variant.bodies.iter().map(body).collect(),
            extra: Template::compile(variant.extra),
        }
    }
}
