//! A resource as the control plane prints it, looked into by path. Fields that are not there are
//! no errors: a newer server may write things in another way.

use serde_json::Value;

use crate::table::{NONE, listed};

/// A manifest with `metadata`, `spec` and `status`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manifest<'a>(pub(crate) &'a Value);

impl<'a> Manifest<'a> {
    /// The text or number at `pointer` (RFC 6901).
    pub(crate) fn text(self, pointer: &str) -> Option<String> {
        self.0.pointer(pointer).and_then(word)
    }

    /// The text or number at `pointer`, or what stands for none.
    pub(crate) fn text_or_none(self, pointer: &str) -> String {
        self.text(pointer).unwrap_or_else(|| NONE.to_owned())
    }

    /// The object at `pointer`.
    pub(crate) fn item(self, pointer: &str) -> Option<Manifest<'a>> {
        self.0.pointer(pointer).map(Manifest)
    }

    /// The list at `pointer`; empty when there is none.
    pub(crate) fn items(self, pointer: &str) -> impl ExactSizeIterator<Item = Manifest<'a>> + use<'a> {
        let items = self.0.pointer(pointer).and_then(Value::as_array);
        items.map_or(&[][..], Vec::as_slice).iter().map(Manifest)
    }

    /// The members of the object at `pointer` whose values are texts or numbers.
    pub(crate) fn pairs(self, pointer: &str) -> Vec<(&'a str, String)> {
        let members = self.0.pointer(pointer).and_then(Value::as_object);
        let members = members.into_iter().flatten();
        members
            .filter_map(|(key, value)| Some((key.as_str(), word(value)?)))
            .collect()
    }

    /// The list of texts at `pointer`, joined by commas.
    pub(crate) fn joined(self, pointer: &str) -> String {
        listed(self.items(pointer).filter_map(|item| word(item.0)))
    }

    /// Status of the condition of this type: `True`, `False` or `Unknown`.
    pub(crate) fn condition(self, condition_type: &str) -> String {
        self.items("/status/conditions")
            .find(|condition| condition.text("/type").as_deref() == Some(condition_type))
            .map_or_else(|| NONE.to_owned(), |condition| condition.text_or_none("/status"))
    }
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
