//! The OpenAPI 3.1 document, from the table of operations and the types behind it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use sluice_intent::Kind;

use super::answer::Answer;
use super::content::Json;
use super::operation::{Access, Call, Described, Method, Operation};
use super::problem::{Problem, ProblemDetails};
use super::query::Parameter;
use super::table::operations;

/// The document.
pub(super) async fn get(_: Call) -> Result<Answer<Json<&'static Value>>, Problem> {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(document);
    Ok((&*DOCUMENT).into())
}

fn document() -> Value {
    let mut schemas = Schemas::new();
    let problem = schemas.of_answers.subschema_for::<ProblemDetails>();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for operation in operations() {
        let described = describe(&operation, &mut schemas);
        let methods = paths
            .entry(operation.path)
            .or_insert_with(|| path_item(operation.path));
        methods.insert(operation.method.as_str().to_owned(), described);
    }
    let schemas = schemas.finish();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Sluice control plane",
            "summary": "Routes, weights and A/B splits of a fleet of proxies, with receipts.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "responses": {
                "Problem": {
                    "description": "It was not done, and why (RFC 9457).",
                    "content": {"application/problem+json": {"schema": problem}},
                },
            },
            "schemas": schemas,
        },
    })
}

/// The schemas of both directions: an answer has each member that is always written, a body may leave out what
/// has a default.
struct Schemas {
    of_answers: SchemaGenerator,
    of_bodies: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.meta_schema = None;
            settings.definitions_path = "/components/schemas".into();
        });
        Self {
            of_answers: settings.clone().for_serialize().into_generator(),
            of_bodies: settings.for_deserialize().into_generator(),
        }
    }

    /// All of them by name. What comes and goes is described as it may come, which is as it goes and more.
    fn finish(mut self) -> Map<String, Value> {
        let mut schemas = self.of_answers.take_definitions(true);
        schemas.extend(self.of_bodies.take_definitions(true));
        schemas.extend(sluice_intent::json_schemas());
        schemas
    }
}

/// What all methods of a path share: its variable segments.
fn path_item(path: &'static str) -> Map<String, Value> {
    let segments = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameters: Vec<_> = segments.map(segment).collect();
    let mut item = Map::new();
    if !parameters.is_empty() {
        item.insert("parameters".to_owned(), parameters.into());
    }
    item
}

fn segment(name: &str) -> Value {
    let schema = match name {
        "plural" => {
            json!({"type": "string", "enum": Kind::ALL.map(Kind::plural), "examples": ["httproutes"]})
        }
        "revision" => json!({"type": "integer", "format": "int64", "minimum": 0, "examples": [1]}),
        "namespace" => json!({"type": "string", "examples": ["default"]}),
        "name" => json!({"type": "string", "examples": ["shop"]}),
        _ => json!({"type": "string"}),
    };
    let mut segment = json!({"name": name, "in": "path", "required": true, "schema": schema});
    let description = match name {
        "namespace" => "In lists and exports, `-` stands for all namespaces.",
        "id" => "The public name of the token; never its secret.",
        _ => return segment,
    };
    segment["description"] = description.into();
    segment
}

fn describe(operation: &Operation, schemas: &mut Schemas) -> Value {
    let parameters: Vec<_> = operation.parameters.iter().copied().map(parameter).collect();
    let mut answer = json!({"description": operation.summary});
    if let Some(content) = content(&operation.answer, &mut schemas.of_answers) {
        answer["content"] = content;
    }
    let mut responses = json!({"default": {"$ref": "#/components/responses/Problem"}});
    if operation.method == Method::Put {
        responses["201"] = answer.clone();
    }
    responses[operation.status.as_str()] = answer;
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "responses": responses,
    });
    if !parameters.is_empty() {
        described["parameters"] = parameters.into();
    }
    if let Some(content) = content(&operation.content, &mut schemas.of_bodies) {
        described["requestBody"] = json!({"required": !operation.content.optional, "content": content});
    }
    if operation.access == Access::Open {
        described["security"] = json!([]);
    }
    described
}

fn parameter(parameter: Parameter) -> Value {
    json!({
        "name": parameter.name(),
        "in": "query",
        "description": parameter.description(),
        "schema": parameter.schema(),
    })
}

fn content(described: &Described, generator: &mut SchemaGenerator) -> Option<Value> {
    let schema = (described.schema)(generator)?;
    let media_types = described.media_types.iter();
    Some(
        media_types
            .map(|media_type| ((*media_type).to_owned(), json!({"schema": schema})))
            .collect::<Map<_, _>>()
            .into(),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_reference_leads_to_a_schema() {
        fn visit<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
            match value {
                Value::Object(members) => {
                    if let Some(Value::String(reference)) = members.get("$ref") {
                        found.insert(reference);
                    }
                    members.values().for_each(|member| visit(member, found));
                }
                Value::Array(items) => items.iter().for_each(|item| visit(item, found)),
                _ => {}
            }
        }
        let document = document();
        let mut references = BTreeSet::new();
        visit(&document, &mut references);
        assert!(references.contains("#/components/schemas/HTTPRoute"));
        for reference in references {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn no_schema_of_an_answer_has_the_name_of_a_part_of_intent() {
        let mut generator = SchemaGenerator::default();
        for operation in operations() {
            let _ = (operation.content.schema)(&mut generator);
            let _ = (operation.answer.schema)(&mut generator);
        }
        let ours: BTreeSet<_> = generator
            .take_definitions(false)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        let theirs: BTreeSet<_> = sluice_intent::json_schemas().into_keys().collect();
        assert!(ours.contains("Receipt"));
        assert_eq!(
            ours.intersection(&theirs).collect::<Vec<_>>(),
            Vec::<&String>::new()
        );
    }

    #[test]
    fn operations_have_names_of_their_own() {
        let operations = operations();
        let names: BTreeSet<_> = operations.iter().map(|operation| operation.id).collect();
        assert_eq!(names.len(), operations.len());
    }
}
