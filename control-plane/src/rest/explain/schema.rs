//! The shape of an explanation for the OpenAPI document. Written by hand: the types are of the package that
//! decides, which knows nothing of schemas.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::Explained;

impl JsonSchema for Explained {
    fn schema_name() -> Cow<'static, str> {
        "Explanation".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "What would happen to the request, and what nearly took it.",
            "required": [
                "revision", "view", "decision", "steps", "nearMisses", "nearMissCount", "isComplete"
            ],
            "properties": {
                "revision": {
                    "type": "integer",
                    "description": "As of which revision; of a proposal, the one that it would be."
                },
                "base": {
                    "type": "integer",
                    "description": "The revision that manifests were judged against; absent without them."
                },
                "view": {
                    "type": "array",
                    "description": "The proxy selectors of Gateways that the proxy's labels match.",
                    "items": {"type": "string"}
                },
                "listener": {"type": "string", "description": "Key of the listener that takes it."},
                "decision": decision_schema(),
                "steps": steps_schema(),
                "policy": rule_policy_schema(),
                "mirrors": copies_schema(),
                "cors": {
                    "type": "object",
                    "description": "What the rule says of the page's origin, if it says anything.",
                    "required": ["allowed"],
                    "properties": {
                        "origin": {"type": "string", "description": "The one that the request names."},
                        "allowed": {"type": "boolean", "description": "Whether its pages may read the answer."}
                    }
                },
                "nearMisses": {
                    "type": "array",
                    "description": "Matches that did not get the request, nearest first; at most 100.",
                    "items": near_miss_schema()
                },
                "nearMissCount": {
                    "type": "integer",
                    "description": "How many were found, those that are not listed included."
                },
                "isComplete": {
                    "type": "boolean",
                    "description": "Whether all that were to be looked at were: otherwise the search ended at 10,000 matches, and there may be nearer ones."
                }
            }
        })
    }
}

fn decision_schema() -> Schema {
    let outcomes = [
        "noListener",
        "noRoute",
        "preflight",
        "redirect",
        "noBackends",
        "split",
        "experiment",
    ];
    json_schema!({
        "type": "object",
        "required": ["outcome"],
        "properties": {
            "outcome": {"type": "string", "enum": outcomes},
            "rule": {
                "type": "object",
                "description": "The rule that took it: its key, route, place and match.",
                "properties": {
                    "key": {"type": "string"},
                    "route": {"type": "string"},
                    "index": {"type": "integer"},
                    "matchIndex": {"type": "integer"}
                }
            },
            "status": {"type": "integer", "description": "Of a redirect."},
            "location": {"type": "string", "description": "Of a redirect."},
            "experiment": {"type": "string", "description": "Key of the experiment."},
            "variant": {"type": "string"},
            "slot": {"type": "integer", "description": "Absent when the request has no unit."},
            "forced": {"type": "boolean", "description": "Whether a header chose the variant."},
            "backends": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["percent", "endpoints"],
                    "properties": {
                        "backend": {"type": "string", "description": "Absent: 500."},
                        "percent": {"type": "number"},
                        "endpoints": {"type": "integer"},
                        "policy": backend_policy_schema(),
                        "filters": {
                            "type": "array",
                            "description": "What is changed for this backend alone.",
                            "items": {"type": "string", "enum": ["requestHeaders", "responseHeaders", "rewrite"]}
                        },
                        "mirrors": copies_schema()
                    }
                }
            }
        }
    })
}

fn copies_schema() -> Schema {
    json_schema!({
        "type": "array",
        "description": "Who gets copies of the requests, and of how many.",
        "items": {
            "type": "object",
            "required": ["percent"],
            "properties": {
                "backend": {"type": "string", "description": "Absent: the reference leads nowhere, nothing is sent."},
                "percent": {"type": "number"}
            }
        }
    })
}

fn steps_schema() -> Schema {
    json_schema!({
        "type": "array",
        "description": "The way through the table, from the port to the decision.",
        "items": {
            "type": "object",
            "required": ["stage", "found"],
            "properties": {
                "stage": {"type": "string", "enum": ["port", "listener", "host", "path", "order", "decision"]},
                "found": {"type": "string", "description": "What came of it, and why."},
                "considered": {
                    "type": "array",
                    "description": "What else there was, in the order in which it is asked; at most 20.",
                    "items": {"type": "string"}
                }
            }
        }
    })
}

fn rule_policy_schema() -> Schema {
    json_schema!({
        "type": "object",
        "description": "What holds for the requests of the rule that takes it.",
        "required": ["attempts"],
        "properties": {
            "requestTimeoutMs": {"type": "integer", "description": "Absent: no limit of the rule."},
            "backendRequestTimeoutMs": {"type": "integer", "description": "Absent: the proxy's own limits."},
            "bodyBytes": {"type": "integer", "description": "Most bytes of a request's body; absent: any."},
            "attempts": {"type": "integer", "description": "Of one request, at most."},
            "filters": {"type": "array", "items": {"type": "string"}}
        }
    })
}

fn backend_policy_schema() -> Schema {
    json_schema!({
        "type": "object",
        "description": "What holds for requests to the backend.",
        "required": ["protocol", "connectTimeoutMs", "balancing", "outlier"],
        "properties": {
            "protocol": {"type": "string", "enum": ["http", "h2c"]},
            "tls": {
                "type": "object",
                "description": "Absent: connections are plain.",
                "properties": {
                    "sni": {"type": "string"},
                    "names": {"type": "array", "items": {"type": "string"}},
                    "trust": {"type": "array", "items": {"type": "string"}},
                    "clientCertificate": {"type": "string"}
                }
            },
            "connectTimeoutMs": {"type": "integer"},
            "balancing": {"type": "string", "enum": ["twoChoices"]},
            "outlier": {
                "type": "object",
                "description": "When an endpoint is taken out for failing.",
                "required": ["failures", "baseEjectionMs", "maxEjectionMs", "maxEjectedPercent"],
                "properties": {
                    "failures": {"type": "integer", "description": "In a row; 0: none do."},
                    "baseEjectionMs": {"type": "integer"},
                    "maxEjectionMs": {"type": "integer"},
                    "maxEjectedPercent": {"type": "integer"}
                }
            }
        }
    })
}

fn near_miss_schema() -> Schema {
    let lost_by = [
        "listener",
        "host",
        "path",
        "method",
        "header",
        "query",
        "precedence",
    ];
    let precedence = [
        "hostname", "path", "method", "headers", "query", "age", "name", "rule", "match",
    ];
    json_schema!({
        "type": "object",
        "required": ["rule", "matchIndex", "lostBy", "detail"],
        "properties": {
            "rule": {"type": "string"},
            "matchIndex": {"type": "integer"},
            "lostBy": {
                "type": "string",
                "description": "The first predicate that failed; `precedence`: none did.",
                "enum": lost_by
            },
            "detail": {"type": "string"},
            "precedence": {
                "type": "string",
                "description": "By what the winner goes before it, where no predicate failed.",
                "enum": precedence
            }
        }
    })
}
