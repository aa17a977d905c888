//! From bytes to resources: YAML or JSON, many documents, lists taken apart.

use std::collections::HashMap;

use serde_json::Value;
use sluice_model::{Code, Violation};

use crate::read::read;
use crate::report::{Quoting, Report, Violations};
use crate::resource::{Resource, ResourceId};
use crate::schema;
use crate::tree::Tree;
use crate::validate::Regexes;
use crate::walk::walk;

/// How the bytes are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// YAML 1.2, many documents; booleans are `true` and `false` only.
    Yaml,
    /// JSON, one manifest after the other.
    Json,
    /// JSON if it reads as JSON, else YAML.
    #[default]
    Auto,
}

/// Most bytes of an input, unless the caller says otherwise: 4 MiB.
pub const MAX_INPUT_BYTES: usize = 4 * 1024 * 1024;

/// Deepest nesting of YAML collections. JSON is bounded at 128 by its reader.
const MAX_DEPTH: usize = 64;
/// Deepest nesting of a `List` in a `List`.
const MAX_LIST_DEPTH: usize = 8;
/// Most YAML nodes, those that aliases repeat included.
const MAX_NODES: usize = 1_000_000;
/// Most YAML aliases, and most events that they repeat.
const MAX_ALIASES: usize = 10_000;
const MAX_REPEATED_EVENTS: usize = 100_000;

/// Reads every manifest in `bytes`, at most [`MAX_INPUT_BYTES`] of them; see [`parse_within`].
///
/// # Errors
/// Every violation of every manifest.
pub fn parse(bytes: &[u8], format: Format, default_namespace: &str) -> Result<Vec<Resource>, Vec<Violation>> {
    parse_within(bytes, format, default_namespace, MAX_INPUT_BYTES)
}

/// Reads every manifest in at most `max_bytes` of `bytes`: `List`s are taken apart, empty
/// documents skipped, and manifests without a namespace get `default_namespace`.
///
/// Time and memory are bounded by `max_bytes`, whatever the bytes: aliases count as what
/// they repeat, and nesting, nodes, violations and regular expressions are limited.
///
/// # Errors
/// Every violation of every manifest, up to a thousand; or that the bytes are too many, or
/// are neither YAML nor JSON.
pub fn parse_within(
    bytes: &[u8],
    format: Format,
    default_namespace: &str,
    max_bytes: usize,
) -> Result<Vec<Resource>, Vec<Violation>> {
    let mut violations = Violations::default();
    if bytes.len() > max_bytes {
        let message = format!(
            "{} bytes are more than the {max_bytes} that are read",
            bytes.len()
        );
        violations.push("input", "", Code::OutOfRange, message);
        return Err(violations.into_vec());
    }
    let documents = match decode(bytes, format) {
        Ok(documents) => documents,
        Err(malformed) => return Err(vec![malformed]),
    };
    let mut reader = Reader {
        default_namespace,
        regexes: Regexes::default(),
        found: Vec::new(),
        seen: HashMap::new(),
    };
    for (index, document) in documents.into_iter().enumerate() {
        reader.document(document, &format!("document[{index}]"), 0, &mut violations);
    }
    if violations.total() == 0 {
        Ok(reader.found)
    } else {
        Err(violations.into_vec())
    }
}

/// What has been read of an input.
struct Reader<'a> {
    default_namespace: &'a str,
    regexes: Regexes,
    found: Vec<Resource>,
    /// Where each resource stands in the input.
    seen: HashMap<ResourceId, String>,
}

impl Reader<'_> {
    fn document(&mut self, document: Value, origin: &str, depth: usize, violations: &mut Violations) {
        if document.get("kind").is_some_and(|kind| kind == "List") {
            self.list(document, origin, depth, violations);
            return;
        }
        let Some(resource) = read(
            document,
            origin,
            self.default_namespace,
            &mut self.regexes,
            violations,
        ) else {
            return;
        };
        if let Some(first) = self.seen.get(&resource.id) {
            let message = format!("stands at {first} and at {origin} of the input");
            violations.push(&resource.id.to_string(), "", Code::Duplicate, message);
            return;
        }
        self.seen.insert(resource.id.clone(), origin.to_owned());
        self.found.push(resource);
    }

    fn list(&mut self, mut list: Value, origin: &str, depth: usize, violations: &mut Violations) {
        if depth >= MAX_LIST_DEPTH {
            let message = format!("lists may stand in lists {MAX_LIST_DEPTH} deep");
            violations.push(origin, "", Code::OutOfRange, message);
            return;
        }
        let mut report = Report::new(origin, violations, Quoting::Short);
        walk(schema::list(), &list, &mut report);
        if let Some(Value::Array(items)) = list.get_mut("items").map(Value::take) {
            for (index, item) in items.into_iter().enumerate() {
                self.document(item, &format!("{origin}.items[{index}]"), depth + 1, violations);
            }
        }
    }
}

/// The documents of an input, without the empty ones.
fn decode(bytes: &[u8], format: Format) -> Result<Vec<Value>, Violation> {
    let malformed = |message: String| Violation::new("input", "", Code::Malformed, message);
    match format {
        Format::Json => decode_json(bytes).map_err(|error| malformed(error.to_string())),
        Format::Yaml => decode_yaml(bytes).map_err(malformed),
        Format::Auto if !looks_like_json(bytes) => decode_yaml(bytes).map_err(malformed),
        // A YAML flow mapping may begin like JSON, so JSON is only tried, never insisted on.
        Format::Auto => {
            decode_json(bytes).or_else(|json| decode_yaml(bytes).map_err(|_| malformed(json.to_string())))
        }
    }
}

/// Whether the input begins with a brace and a quote, as a JSON object does.
fn looks_like_json(bytes: &[u8]) -> bool {
    let mut visible = bytes.iter().filter(|byte| !byte.is_ascii_whitespace());
    visible.next() == Some(&b'{') && visible.next() == Some(&b'"')
}

fn decode_json(bytes: &[u8]) -> Result<Vec<Value>, serde_json::Error> {
    let documents = serde_json::Deserializer::from_slice(bytes).into_iter::<Tree>();
    documents
        .map(|tree| tree.map(|Tree(value)| value))
        .filter(|value| !matches!(value, Ok(Value::Null)))
        .collect()
}

fn decode_yaml(bytes: &[u8]) -> Result<Vec<Value>, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 4 * MAX_NODES,
            max_aliases: MAX_ALIASES,
            max_anchors: MAX_ALIASES,
            max_recorded_anchor_events: MAX_REPEATED_EVENTS,
            max_recorded_anchor_bytes: 2 * text.len(),
            max_depth: MAX_DEPTH,
            max_documents: MAX_NODES,
            max_nodes: MAX_NODES,
            // What aliases repeat counts too: at most as much again as was written.
            max_total_scalar_bytes: 2 * text.len(),
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MAX_REPEATED_EVENTS,
        },
        // `on`, `yes` and `no` are strings, as in YAML 1.2.
        strict_booleans: true,
        // Comments are read over, so that their number has no bound of its own.
        emit_comments: false,
        with_snippet: false,
    };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| told(&error))
}

/// What is wrong, and where, without what is written there: it may be in a Secret.
fn told(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error as E;
    let what = match error {
        E::WithSnippet { error, .. } | E::AliasError { error, .. } => return told(error),
        E::DuplicateMappingKey { .. } => "a key stands twice in one mapping",
        E::UnsupportedTag { .. } => "a tag that is not read here",
        E::NonFiniteFloat { .. } => "not a finite number",
        // What `Tree` says, and what the scanner and the bounds say, are constants and numbers.
        E::Message { .. }
        | E::ExternalMessage { .. }
        | E::Eof { .. }
        | E::Unexpected { .. }
        | E::MergeValueNotMapOrSeqOfMaps { .. }
        | E::InvalidBinaryBase64 { .. }
        | E::BinaryNotUtf8 { .. }
        | E::InvalidBooleanStrict { .. }
        | E::AliasReplayLimitExceeded { .. }
        | E::AliasExpansionLimitExceeded { .. }
        | E::AliasReplayStackDepthExceeded { .. }
        | E::FoldedBlockScalarMustIndentContent { .. }
        | E::RecursiveReferencesRequireWeakTypes { .. }
        | E::ContainerEndMismatch { .. }
        | E::UnknownAnchor { .. }
        | E::IndentationError { .. }
        | E::Budget { .. } => return error.to_string(),
        _ => "cannot be read as YAML",
    };
    match error.location() {
        Some(at) => format!("{what} at line {}, column {}", at.line(), at.column()),
        None => what.to_owned(),
    }
}
