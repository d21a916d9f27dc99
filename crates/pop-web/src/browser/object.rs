//! Plain JavaScript objects, written and read.

use js_sys::{Array, Object, Reflect, Uint8Array};
use wasm_bindgen::{JsCast as _, JsValue};

/// A JavaScript number. Exact up to 2^53: bytes of petabytes, milliseconds of ages.
#[expect(clippy::cast_precision_loss, reason = "a JavaScript number is an f64")]
pub(super) fn number(value: u64) -> f64 {
    value as f64
}

/// A JavaScript number of something that is counted in memory.
pub(super) fn count(value: usize) -> f64 {
    number(u64::try_from(value).unwrap_or(u64::MAX))
}

/// What a JavaScript number means where an integer is expected: cut off, never negative.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, which is what is wanted"
)]
pub(super) fn integer(value: f64) -> u64 {
    value as u64
}

/// An object in the making.
pub(super) struct Writer(Object);

impl Writer {
    /// An object with a field `type`.
    pub(super) fn of_type(name: &str) -> Self {
        Self::new().with("type", name)
    }

    pub(super) fn new() -> Self {
        Self(Object::new())
    }

    pub(super) fn with(self, name: &str, value: impl Into<JsValue>) -> Self {
        // A fresh plain object takes every field.
        let _ = Reflect::set(&self.0, &JsValue::from_str(name), &value.into());
        self
    }

    pub(super) fn number(self, name: &str, value: u64) -> Self {
        self.with(name, number(value))
    }

    pub(super) fn bytes(self, name: &str, value: &[u8]) -> Self {
        self.with(name, Uint8Array::from(value))
    }

    pub(super) fn list(self, name: &str, values: impl IntoIterator<Item = JsValue>) -> Self {
        self.with(name, values.into_iter().collect::<Array>())
    }
}

impl From<Writer> for JsValue {
    fn from(writer: Writer) -> Self {
        writer.0.into()
    }
}

/// A field of an object; `undefined` if there is none.
pub(super) fn field(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED)
}

pub(super) fn number_field(object: &JsValue, name: &str) -> Option<u64> {
    field(object, name).as_f64().map(integer)
}

pub(super) fn bytes_field(object: &JsValue, name: &str) -> Option<Vec<u8>> {
    field(object, name).dyn_ref::<Uint8Array>().map(Uint8Array::to_vec)
}

/// The entries of a field that is a list; none if it is not.
pub(super) fn list_field(object: &JsValue, name: &str) -> Vec<JsValue> {
    field(object, name).dyn_ref::<Array>().map(|it| it.iter().collect()).unwrap_or_default()
}
