//! The walk of a value along its schema: finds every violation of a shape at once,
//! each at its path, where deserialising would stop at the first.

use serde_json::{Map, Number, Value};
use sluice_model::Code;

use crate::grammar::{Grammar, TextError};
use crate::nearest::nearest;
use crate::quantity::{QUANTITY, Quantity, QuantityError};
use crate::report::{Report, described, quoted};
use crate::schema::{UNION, UNSUPPORTED};
use crate::secret::{BASE64, REDACTED, SECRET, decode};
use crate::share::{PERCENT, Share};

/// Reports what is wrong with `value` by `schema`. As deep as the schema at most, so the
/// stack is bounded whatever the value.
pub(crate) fn walk(schema: &Value, value: &Value, report: &mut Report<'_>) {
    let Some(schema) = schema.as_object() else { return };
    if let Some(form) = schema.get(SECRET) {
        return walk_secret(form == BASE64, value, report);
    }
    if schema.get("format").is_some_and(|format| format == QUANTITY) {
        return walk_quantity(value, report);
    }
    match (expected_type(schema), value) {
        ("object", Value::Object(object)) => walk_object(schema, object, report),
        ("array", Value::Array(items)) => walk_array(schema, items, report),
        ("string", Value::String(text)) => walk_string(schema, text, report),
        ("number", Value::Number(number)) => walk_number(schema, number, report),
        ("boolean", Value::Bool(_)) => {}
        ("integer", Value::Number(number)) if !number.is_f64() => walk_number(schema, number, report),
        // Values that are somewhere else than they should be are nobody's business all the same.
        (expected, _) if holds_secrets(schema) => {
            report.add(
                Code::WrongType,
                format_args!("must be an {expected} of values by name"),
            );
        }
        (expected, found) => {
            let hint = match (expected, found) {
                ("string", Value::Bool(_) | Value::Number(_)) => "; put it in quotes",
                ("integer" | "number", Value::String(text)) if text.parse::<f64>().is_ok() => {
                    "; without quotes"
                }
                _ => "",
            };
            let article = if matches!(expected, "object" | "array" | "integer") {
                "an"
            } else {
                "a"
            };
            let message = report.instead_of(format_args!("must be {article} {expected}"), described(found));
            report.add(Code::WrongType, message + hint);
        }
    }
}

/// A value of a Secret: whatever is wrong with it, nothing of it is said.
fn walk_secret(is_base64: bool, value: &Value, report: &mut Report<'_>) {
    match value {
        Value::String(text) if text == REDACTED => report.add(
            Code::Invalid,
            "is what is printed in place of a value: write the value itself, or leave the resource as it is",
        ),
        Value::String(text) if is_base64 && decode(text).is_none() => {
            report.add(
                Code::Invalid,
                "must be base64; as plain text it goes into `stringData`",
            );
        }
        Value::String(_) => {}
        _ => report.add(Code::WrongType, "must be a string; put it in quotes"),
    }
}

fn walk_quantity(value: &Value, report: &mut Report<'_>) {
    let quantity = match value {
        Value::Number(number) => number.as_u64().map(Quantity::Of).ok_or(QuantityError),
        Value::String(text) => text.parse(),
        _ => {
            let message = report.instead_of(QuantityError, described(value));
            return report.add(Code::WrongType, message);
        }
    };
    if let Err(error) = quantity {
        let message = report.instead_of(error, described(value));
        report.add(Code::Invalid, message);
    }
}

fn holds_secrets(schema: &Map<String, Value>) -> bool {
    let values = schema.get("additionalProperties");
    values.is_some_and(|values| values.get(SECRET).is_some())
}

/// The one type that a schema here has; a choice of constants is a string.
fn expected_type(schema: &Map<String, Value>) -> &str {
    schema.get("type").and_then(Value::as_str).unwrap_or("string")
}

fn walk_object(schema: &Map<String, Value>, object: &Map<String, Value>, report: &mut Report<'_>) {
    if walk_union(schema, object, report) == Union::Unsupported {
        return;
    }
    let (least, most) = (number(schema, "minProperties"), number(schema, "maxProperties"));
    let known = schema.get("properties").and_then(Value::as_object);
    let unsupported = texts(schema.get(UNSUPPORTED));
    let count = object.len() as f64;
    let only_known = object
        .keys()
        .all(|name| known.is_some_and(|known| known.contains_key(name)));
    if only_known && (least.is_some_and(|least| count < least) || most.is_some_and(|most| count > most)) {
        let names: Vec<_> = known
            .into_iter()
            .flat_map(Map::keys)
            .map(|name| format!("`{name}`"))
            .collect();
        report.add(
            Code::Invalid,
            format_args!("must have exactly one of {}", names.join(", ")),
        );
    }
    for (name, value) in object {
        match (
            known.and_then(|known| known.get(name)),
            schema.get("additionalProperties"),
        ) {
            (Some(part), _) => report.field(name, |report| walk(part, value, report)),
            (None, Some(part)) => walk_member(schema.get("propertyNames"), part, (name, value), report),
            (None, None) if unsupported.contains(&name.as_str()) => {
                let message = format_args!("`{name}` is not supported by this version");
                report.add_in(name, Code::Unsupported, message);
            }
            (None, None) => report.unknown(name, |report| unknown_field(name, known, report)),
        }
    }
    for name in texts(schema.get("required")) {
        if !object.contains_key(name) {
            report.add_in(name, Code::Missing, "is required");
        }
    }
}

/// A member whose name is the writer's choice, as far as `names` allows.
fn walk_member(
    names: Option<&Value>,
    part: &Value,
    (name, value): (&String, &Value),
    report: &mut Report<'_>,
) {
    let names = names.and_then(Value::as_object);
    match names.is_none_or(|names| text_fault(names, name).is_none()) {
        true => report.field(name, |report| walk(part, value, report)),
        false => report.unknown(name, |report| {
            names
                .into_iter()
                .for_each(|names| walk_string(names, name, report));
            walk(part, value, report);
        }),
    }
}

fn unknown_field(name: &str, known: Option<&Map<String, Value>>, report: &mut Report<'_>) {
    let mut names = known.into_iter().flat_map(Map::keys).map(String::as_str);
    let unknown = report.naming("unknown field", name);
    let message = match nearest(name, names.clone()) {
        Some(meant) => format!("{unknown}; did you mean `{meant}`?"),
        None => match names.next() {
            Some(first) => {
                let rest: String = names.map(|name| format!(", {name}")).collect();
                format!("{unknown}; there are {first}{rest}")
            }
            None => format!("{unknown}; there are none here"),
        },
    };
    report.add(Code::UnknownField, message);
}

/// What the walk of a union found.
#[derive(PartialEq)]
enum Union {
    /// Not a union, or a union of a type that this build has.
    Supported,
    /// A union of a type that this build has not: what belongs to it is no further violation.
    Unsupported,
}

/// Of the fields of a union, exactly the one that `type` names must be there.
fn walk_union(schema: &Map<String, Value>, object: &Map<String, Value>, report: &mut Report<'_>) -> Union {
    let (Some(Value::Object(fields)), Some(Value::String(chosen))) = (schema.get(UNION), object.get("type"))
    else {
        return Union::Supported;
    };
    let Some(chosen_field) = fields.get(chosen).and_then(Value::as_str) else {
        let type_schema = schema
            .get("properties")
            .and_then(|properties| properties.get("type"));
        if texts(type_schema.and_then(|part| part.get(UNSUPPORTED))).contains(&chosen.as_str()) {
            report.add_in(
                "type",
                Code::Unsupported,
                format_args!("`{chosen}` is not supported by this version"),
            );
            return Union::Unsupported;
        }
        return Union::Supported;
    };
    if !object.contains_key(chosen_field) {
        report.add_in(
            chosen_field,
            Code::Missing,
            format_args!("is required with type `{chosen}`"),
        );
    }
    for field in fields.values().filter_map(Value::as_str) {
        if field != chosen_field && object.contains_key(field) {
            report.add_in(
                field,
                Code::Conflict,
                format_args!("does not go with type `{chosen}`"),
            );
        }
    }
    Union::Supported
}

fn walk_array(schema: &Map<String, Value>, items: &[Value], report: &mut Report<'_>) {
    let count = items.len() as f64;
    if let Some(least) = number(schema, "minItems").filter(|least| count < *least) {
        report.add(Code::OutOfRange, format_args!("must have at least {least} items"));
    }
    if let Some(most) = number(schema, "maxItems").filter(|most| count > *most) {
        report.add(
            Code::OutOfRange,
            format_args!("must have at most {most} items, not {count}"),
        );
    }
    let Some(part) = schema.get("items") else { return };
    for (index, item) in items.iter().enumerate() {
        report.item(index, |report| walk(part, item, report));
    }
}

fn walk_string(schema: &Map<String, Value>, text: &str, report: &mut Report<'_>) {
    let allowed = allowed_texts(schema);
    if !allowed.is_empty() && !allowed.contains(&text) {
        if texts(schema.get(UNSUPPORTED)).contains(&text) {
            report.add(
                Code::Unsupported,
                format_args!("`{text}` is not supported by this version"),
            );
            return;
        }
        let hint = nearest(text, allowed.iter().copied())
            .map(|meant| format!("; did you mean `{meant}`?"))
            .unwrap_or_default();
        let allowed = format!("must be one of {}", allowed.join(", "));
        let message = report.instead_of(allowed, quoted(text));
        report.add(Code::Invalid, message + &hint);
        return;
    }
    match text_fault(schema, text) {
        None => {}
        Some(TextFault::Length(message)) => report.add(Code::OutOfRange, message),
        Some(TextFault::Grammar(error)) => {
            let message = report.quoting(text, error);
            report.add(Code::Invalid, message);
        }
    }
}

/// What is wrong with a string that is not a choice.
enum TextFault {
    Length(String),
    Grammar(TextError),
}

fn text_fault(schema: &Map<String, Value>, text: &str) -> Option<TextFault> {
    let length = text.chars().count() as f64;
    if let Some(least) = number(schema, "minLength").filter(|least| length < *least) {
        let message = format!("must have at least {least} characters");
        return Some(TextFault::Length(message));
    }
    if let Some(most) = number(schema, "maxLength").filter(|most| length > *most) {
        let message = format!("must have at most {most} characters, not {length}");
        return Some(TextFault::Length(message));
    }
    let format = schema.get("format").and_then(Value::as_str);
    let grammar = format.and_then(Grammar::by_name)?;
    grammar.check(text).err().map(TextFault::Grammar)
}

fn walk_number(schema: &Map<String, Value>, found: &Number, report: &mut Report<'_>) {
    let Some(value) = found.as_f64() else { return };
    if let Some(Value::Array(allowed)) = schema.get("enum") {
        if !allowed.iter().any(|number| number.as_f64() == Some(value)) {
            let allowed: Vec<_> = allowed.iter().map(Value::to_string).collect();
            report.add(
                Code::Invalid,
                format_args!("must be one of {}, not {found}", allowed.join(", ")),
            );
        }
        return;
    }
    let least = number(schema, "minimum");
    let most = number(schema, "maximum");
    if least.is_some_and(|least| value < least) || most.is_some_and(|most| value > most) {
        let message = match (least, most) {
            (Some(least), Some(most)) => format!("must be from {least} to {most}, not {found}"),
            (Some(least), None) => format!("must be at least {least}, not {found}"),
            _ => format!("must be at most {}, not {found}", most.unwrap_or_default()),
        };
        report.add(Code::OutOfRange, message);
    } else if schema.get("format").is_some_and(|format| format == PERCENT)
        && let Err(error) = Share::try_from(value)
    {
        report.add(Code::Invalid, format_args!("{found} {error}"));
    }
}

/// The strings that `enum`, or a `oneOf` of documented constants, allows; empty when any is.
fn allowed_texts(schema: &Map<String, Value>) -> Vec<&str> {
    match (schema.get("enum"), schema.get("oneOf")) {
        (Some(values), _) => texts(Some(values)),
        (None, Some(Value::Array(options))) => options
            .iter()
            .filter_map(|option| option.get("const").and_then(Value::as_str))
            .collect(),
        _ => Vec::new(),
    }
}

fn texts(list: Option<&Value>) -> Vec<&str> {
    list.and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

fn number(schema: &Map<String, Value>, word: &str) -> Option<f64> {
    schema.get(word).and_then(Value::as_f64)
}
