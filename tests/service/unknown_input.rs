//! What an operation does not know it refuses, by name: members of bodies, parameters of queries. Walks the contract,
//! so that a new operation is asked as well.

use glasshouse::http::openapi;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::support::{PASSWORD, Reply, Service, Session};

struct Operation {
    id: String,
    method: Method,
    path: String,
    described: Value,
}

fn document() -> Value {
    serde_json::to_value(openapi::document()).unwrap()
}

fn operations(document: &Value) -> Vec<Operation> {
    let paths = document["paths"].as_object().unwrap().iter();
    let all = paths.flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(|(method, described)| Operation {
            id: described["operationId"].as_str().unwrap().to_owned(),
            method: method.to_uppercase().parse().unwrap(),
            path: path.clone(),
            described: described.clone(),
        })
    });
    all.collect()
}

/// Media type and schema of every form that a body may have.
fn bodies<'a>(document: &'a Value, operation: &'a Operation) -> Vec<(&'a str, &'a Value)> {
    let Some(content) = operation.described["requestBody"]["content"].as_object() else { return Vec::new() };
    let schema = |media: &'a Value| document.pointer(&media["schema"]["$ref"].as_str().unwrap()[1..]).unwrap();
    content.iter().map(|(media_type, media)| (media_type.as_str(), schema(media))).collect()
}

/// A body with every member that the schema knows, in order by itself.
fn valid(schema: &Value, target: &Session) -> Map<String, Value> {
    let value = |name: &str| match name {
        "email" => json!("new@example.com"),
        "name" => json!("New"),
        "role" => json!("user"),
        "password" | "old_password" | "new_password" => json!(PASSWORD),
        "refresh_token" => json!(target.refresh_token),
        unknown => panic!("{unknown}: give it a value here"),
    };
    let properties = schema["properties"].as_object().unwrap();
    properties.keys().map(|name| (name.clone(), value(name))).collect()
}

/// `field code` for each fault.
fn faults(reply: &Reply) -> Vec<String> {
    let none = Vec::new();
    let errors = reply.json["errors"].as_array().unwrap_or(&none);
    errors.iter().map(|error| format!("{} {}", error["field"], error["code"]).replace('"', "")).collect()
}

/// One after the other, as an admin, to an account that must be unharmed in the end.
struct Asking {
    admin: Session,
    target: Session,
}

impl Asking {
    async fn ask(&self, operation: &Operation, query: &str, body: Option<(&str, String)>) -> Reply {
        let path = operation.path.replace("{id}", &self.target.id) + query;
        let request = self.admin.client.request(operation.method.clone(), &path).header("if-match", "*");
        let request = match body {
            Some((media_type, body)) => request.header("content-type", media_type).body(body),
            None => request,
        };
        self.admin.client.send(request).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_members_and_parameters_are_refused_by_every_operation() {
    let service = Service::start().await;
    let asking = Asking {
        admin: service.admin("root@example.com").await,
        target: service.client().joined("ann@example.com").await,
    };
    let document = document();
    let mut asked = 0;
    // What describes the service has no parameters of its own, and ignores others as files do.
    let is_document = |operation: &Operation| operation.described["tags"][0] == "documents";
    for operation in operations(&document).into_iter().filter(|operation| !is_document(operation)) {
        let bodies = bodies(&document, &operation);
        for (media_type, schema) in &bodies {
            let members = valid(schema, &asking.target);
            let mut more = members.clone();
            more.insert("unknown-to-all".to_owned(), json!({ "nested": [1] }));
            let reply = asking.ask(&operation, "", Some((media_type, Value::from(more).to_string()))).await;
            let found = (reply.status.as_u16(), faults(&reply));
            assert_eq!(found, (422, vec!["unknown-to-all unknown_field".to_owned()]), "{} {media_type}", operation.id);

            for name in members.keys() {
                let mut nested = members.clone();
                nested.insert(name.clone(), json!({ "text": members[name] }));
                let reply = asking.ask(&operation, "", Some((media_type, Value::from(nested).to_string()))).await;
                let found = (reply.status.as_u16(), faults(&reply));
                assert_eq!(found, (422, vec![format!("{name} wrong_type")]), "{} {media_type}", operation.id);

                let whole = Value::from(members.clone()).to_string();
                let twice = whole.replacen('{', &format!("{{{}:{},", json!(name), members[name]), 1);
                let reply = asking.ask(&operation, "", Some((media_type, twice))).await;
                let found = (reply.status.as_u16(), reply.code());
                assert_eq!(found, (400, "body_malformed"), "{} {name} twice", operation.id);
            }
            asked += 1;
        }

        let body =
            || bodies.first().map(|(media, schema)| (*media, Value::from(valid(schema, &asking.target)).to_string()));
        let reply = asking.ask(&operation, "?unknown-to-all=1", body()).await;
        let found = (reply.status.as_u16(), faults(&reply));
        assert_eq!(found, (422, vec!["unknown-to-all unknown_field".to_owned()]), "{}", operation.id);
        let none = Vec::new();
        let parameters = operation.described["parameters"].as_array().unwrap_or(&none);
        for parameter in parameters.iter().filter(|parameter| parameter["in"] == "query") {
            let name = parameter["name"].as_str().unwrap();
            let reply = asking.ask(&operation, &format!("?{name}=1&{name}=1"), body()).await;
            assert!(faults(&reply).contains(&format!("{name} repeated")), "{} {name}: {}", operation.id, reply.text);
        }
        let missing = operation.described["responses"].get("422").is_none();
        assert!(!missing, "{} does not say that it can answer 422", operation.id);
    }
    assert!(asked >= 7, "bodies that were tried: {asked}");
    assert_eq!(asking.target.client.me().await.header("etag"), asking.target.etag, "nothing has happened to it");
    assert_eq!(asking.admin.client.me().await.status, 200, "nobody was signed out");
    assert_eq!(service.client().sign_in("ann@example.com", PASSWORD).await.status, 200);
    assert_eq!(service.metric("glasshouse_users_registered_total").await, Some(1.0));
}

#[test]
fn every_object_of_the_contract_is_closed() {
    fn objects(value: &Value, path: &str, found: &mut usize) {
        match value {
            Value::Object(members) => {
                // An OpenAPI document has another document's members.
                if members.get("type") == Some(&json!("object")) && !path.ends_with("/schemas/Document") {
                    *found += 1;
                    assert_eq!(members.get("additionalProperties"), Some(&json!(false)), "{path}");
                }
                members.iter().for_each(|(name, member)| objects(member, &format!("{path}/{name}"), found));
            }
            Value::Array(items) => items.iter().for_each(|item| objects(item, path, found)),
            _ => {}
        }
    }
    let mut found = 0;
    objects(&document(), "", &mut found);
    assert!(found >= 10, "{found}");
}
