//! Schemas of what other packages say, which know nothing of schemas.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// A [`sluice_model::Violation`] as it is written.
pub(super) struct Warning;

impl JsonSchema for Warning {
    fn schema_name() -> Cow<'static, str> {
        "Warning".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "What is allowed but probably not meant.",
            "required": ["resource", "field", "code", "message"],
            "properties": {
                "resource": {"type": "string"},
                "field": {"type": "string"},
                "code": {"type": "string"},
                "message": {"type": "string"}
            }
        })
    }
}

/// A [`sluice_core::diff::Witness`].
pub(crate) struct Request;

impl JsonSchema for Request {
    fn schema_name() -> Cow<'static, str> {
        "Witness".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        witness()
    }
}

/// A [`sluice_core::diff::Diff`].
pub(super) struct Requests;

impl JsonSchema for Requests {
    fn schema_name() -> Cow<'static, str> {
        "RequestDiff".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "Classes of requests whose outcome changes, and what was not looked at.",
            "required": ["classes", "classCount", "listeners", "shifts", "coverage"],
            "properties": {
                "classes": {"type": "array", "items": class(), "description": "The most important first."},
                "classCount": {"type": "integer", "description": "How many classes there are."},
                "listeners": {
                    "type": "array",
                    "description": "Listeners that come, go, or are set differently.",
                    "items": {"type": "object"}
                },
                "shifts": {
                    "type": "array",
                    "description": "Splits and experiments whose weights or slots change.",
                    "items": shift()
                },
                "coverage": coverage()
            }
        })
    }
}

/// A [`sluice_core::diff::replay::Replayed`].
pub(super) struct Traffic;

impl JsonSchema for Traffic {
    fn schema_name() -> Cow<'static, str> {
        "ReplayedTraffic".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "How many of the requests change, and in which way. Percentages are of those that were judged.",
            "required": [
                "requests", "keys", "judged", "changed", "target", "targetPercent", "status", "statusPercent",
                "other", "otherPercent", "classes", "classCount", "notJudged", "assumed", "assumedRequests",
                "portNotRecorded"
            ],
            "properties": {
                "requests": {"type": "integer", "description": "All that could be read."},
                "keys": {"type": "integer", "description": "Kinds of requests."},
                "judged": {"type": "integer", "description": "Of which enough is known."},
                "changed": {"type": "integer", "description": "Whose outcome is another in anything."},
                "target": {
                    "type": "number",
                    "description": "Answered by another backend, with another redirect or status; of a split or an experiment as many as its change moves."
                },
                "targetPercent": {"type": "number"},
                "status": {"type": "integer", "description": "Of these: failing then, or now."},
                "statusPercent": {"type": "number"},
                "other": {"type": "integer", "description": "Answered by the same, and different in something else."},
                "otherPercent": {"type": "number"},
                "classes": {
                    "type": "array",
                    "items": traffic_class(),
                    "description": "At most 1000: what fails from now on first, then by how many requests are answered by another."
                },
                "classCount": {"type": "integer"},
                "notJudged": not_judged(),
                "assumed": {
                    "type": "object",
                    "description": "Requests judged as if they had not had a header that was not recorded, by its name; `?` is the query.",
                    "additionalProperties": {"type": "integer"}
                },
                "assumedRequests": {"type": "integer"},
                "portNotRecorded": {
                    "type": "integer",
                    "description": "Of which the port is not known, while rules of several take them: judged on the first where something changes, or else on the first."
                }
            }
        })
    }
}

fn not_judged() -> Schema {
    json_schema!({
        "type": "object",
        "description": "Requests of which too little is known.",
        "required": ["requests", "hidden", "beyond"],
        "properties": {
            "requests": {"type": "integer"},
            "hidden": {
                "type": "object",
                "description": "By the header of which only a hash is known, while an expression asks for its value, or not even that.",
                "additionalProperties": {"type": "integer"}
            },
            "beyond": {"type": "integer", "description": "Past the bound of 10,000 classes."}
        }
    })
}

fn traffic_class() -> Schema {
    let example = json_schema!({
        "allOf": [witness()],
        "type": "object",
        "required": ["requests"],
        "properties": {
            "requests": {"type": "integer", "description": "How often it was made."},
            "locationBefore": {"type": "string", "description": "Where it is redirected to now."},
            "locationAfter": {"type": "string", "description": "Where it would be."}
        }
    });
    json_schema!({
        "type": "object",
        "required": ["before", "after", "facets", "requests", "percent", "target", "keys", "examples"],
        "properties": {
            "before": outcome(),
            "after": outcome(),
            "facets": facets(),
            "requests": {"type": "integer"},
            "percent": {"type": "number"},
            "target": {"type": "number"},
            "keys": {"type": "integer"},
            "examples": {"type": "array", "items": example, "description": "The most frequent first, at most 5."}
        }
    })
}

fn facets() -> Schema {
    let all = [
        "status", "backends", "redirect", "variant", "shares", "rewrite", "headers", "mirrors", "cors",
        "policy",
    ];
    json_schema!({"type": "array", "items": {"type": "string", "enum": all}})
}

fn class() -> Schema {
    json_schema!({
        "type": "object",
        "required": ["port", "before", "after", "facets", "places", "placeCount", "witness", "isProven"],
        "properties": {
            "listenerBefore": {"type": "string"},
            "listenerAfter": {"type": "string"},
            "port": {"type": "integer"},
            "before": outcome(),
            "after": outcome(),
            "facets": facets(),
            "places": {"type": "array", "items": {"type": "object"}, "description": "The broadest first."},
            "placeCount": {"type": "integer"},
            "witness": witness(),
            "locationBefore": {"type": "string", "description": "Where the witness is redirected to now."},
            "locationAfter": {"type": "string", "description": "Where it would be."},
            "isProven": {"type": "boolean", "description": "Whether all was looked at where it was found."}
        }
    })
}

fn outcome() -> Schema {
    let kinds = [
        "closed",
        "unserved",
        "notFound",
        "noBackends",
        "redirect",
        "forward",
    ];
    json_schema!({
        "type": "object",
        "required": ["verdict"],
        "properties": {
            "verdict": {
                "type": "object",
                "required": ["kind"],
                "properties": {
                    "kind": {"type": "string", "enum": kinds},
                    "arms": {"type": "array", "items": {"type": "object"}}
                }
            },
            "cors": {"type": "string"},
            "bodyBytes": {"type": "integer"}
        }
    })
}

fn witness() -> Schema {
    json_schema!({
        "type": "object",
        "description": "A request that shows it.",
        "required": ["port", "scheme", "method", "host", "path"],
        "properties": {
            "port": {"type": "integer"},
            "scheme": {"type": "string", "enum": ["http", "https"]},
            "method": {"type": "string"},
            "host": {"type": "string"},
            "path": {"type": "string"},
            "query": {"type": "string"},
            "headers": {
                "type": "array",
                "items": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2}
            }
        }
    })
}

fn shift() -> Schema {
    json_schema!({
        "type": "object",
        "required": ["target"],
        "properties": {
            "target": {"type": "string", "description": "Key of the split or the experiment."},
            "weightsMovedPercent": {"type": "number"},
            "slotsMoved": {
                "type": "object",
                "required": ["percent", "isRedealt", "flows"],
                "properties": {
                    "percent": {"type": "number", "description": "Of the users, those who change variant."},
                    "isRedealt": {"type": "boolean"},
                    "flows": {"type": "array", "items": {"type": "array"}}
                }
            },
            "variantsMovedPercent": {"type": "object", "additionalProperties": {"type": "number"}}
        }
    })
}

fn coverage() -> Schema {
    json_schema!({
        "type": "object",
        "required": ["cells", "pairs", "unproven", "unprovenCount", "notCovered"],
        "properties": {
            "cells": {"type": "integer"},
            "pairs": {"type": "integer"},
            "unproven": {"type": "array", "items": {"type": "object"}},
            "unprovenCount": {"type": "integer", "description": "0: the classes are all there are."},
            "notCovered": {"type": "array", "items": {"type": "string"}}
        }
    })
}
