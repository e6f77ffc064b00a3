//! The contract that others build on is the one that the program keeps.

use std::{collections::BTreeSet, fs, path::Path};

use glasshouse::http::openapi;
use serde_json::Value;

use crate::support::Service;

/// The document as it stands in the repository: one line for each member, so that a change can be read in a diff.
fn written() -> String {
    openapi::document().to_pretty_json().expect("it can be written") + "\n"
}

fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().expect("there are paths");
    let methods = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().expect("a path has methods");
        methods.iter().map(move |(method, operation)| (format!("{method} {path}"), operation))
    });
    methods.collect()
}

#[test]
fn the_document_in_the_repository_is_the_programs_own() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("api/openapi.json");
    let written = written();
    #[expect(clippy::disallowed_methods, reason = "a switch of the test, not a setting of the service")]
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    if update {
        fs::write(&path, &written).expect("the file can be written");
    }
    let kept = fs::read_to_string(&path).expect("api/openapi.json is there");
    assert!(kept == written, "api/openapi.json is not what the program says; UPDATE_GOLDEN=1 writes it anew");
}

#[test]
fn every_operation_documents_each_of_its_errors_as_a_problem() {
    let document: Value = serde_json::from_str(&written()).expect("it is JSON");
    for (name, operation) in operations(&document) {
        let responses = operation["responses"].as_object().expect("there are responses");
        let mut expected = BTreeSet::from(["400", "413", "429", "500", "504"]);
        // What describes the service is given whatever `Accept` says, and needs no store.
        if operation["tags"][0] != "documents" {
            expected.extend(["406", "503"]);
        }
        if operation.get("requestBody").is_some() {
            expected.extend(["408", "415", "422"]);
        }
        let security = operation["security"].as_array().expect("each operation says whether it needs a token");
        if !security.is_empty() {
            expected.insert("401");
        }
        for status in expected {
            assert!(responses.contains_key(status), "{name} does not say that it can answer {status}");
        }
        for (status, response) in responses.iter().filter(|(status, _)| status.starts_with(['4', '5'])) {
            let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/Problem", "{name} {status}");
        }
        for (status, response) in responses {
            assert!(response["headers"].get("X-Request-ID").is_some(), "{name} {status}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("$ref") {
                    found.insert(reference.clone());
                }
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document: Value = serde_json::from_str(&written()).expect("it is JSON");
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("it points into the document");
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

#[test]
fn operations_have_names_of_their_own() {
    let document: Value = serde_json::from_str(&written()).expect("it is JSON");
    let operations = operations(&document);
    let names: BTreeSet<_> = operations.iter().map(|(_, operation)| operation["operationId"].as_str()).collect();
    assert_eq!(names.len(), operations.len());
    assert!(!names.contains(&None));
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_wherever_it_is_not() {
    let service = Service::start().await;
    for path in ["/nowhere", "/api/v1/users/", "/api/v1/docs/nothing", "/api/v1/docs/%FF"] {
        let reply = service.client().get(path).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (404, "route_not_found"), "{path}");
        assert_eq!(reply.header("content-type"), "application/problem+json", "{path}");
    }
}
