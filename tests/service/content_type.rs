//! The media type of a body: parameters without meaning are ignored, another charset is refused by its name.

use reqwest::Method;
use serde_json::json;

use crate::support::{PASSWORD, Reply, Service};

async fn sign_in(service: &Service, headers: &[(&str, &str)]) -> Reply {
    let mut request = service.client().request(Method::POST, "/api/v1/auth/sign-in");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    service.client().send(request.body(json!({ "email": "ann@example.com", "password": PASSWORD }).to_string())).await
}

#[tokio::test]
async fn content_type_parameters_without_meaning_are_ignored() {
    let service = Service::start().await;
    service.client().joined("ann@example.com").await;
    for parameters in ["; charset=utf8", "; charset=us-ascii", "; profile=\"https://example.com/a;b\"", "; v=1;"] {
        let reply = sign_in(&service, &[("content-type", &format!("application/json{parameters}"))]).await;
        assert_eq!(reply.status, 200, "{parameters}: {}", reply.text);
    }
    let reply = sign_in(&service, &[("content-type", "application/json"), ("content-encoding", "")]).await;
    assert_eq!(reply.status, 200, "an empty Content-Encoding names no coding: {}", reply.text);
}

#[tokio::test]
async fn content_type_with_another_charset_returns_415_that_names_it() {
    let service = Service::start().await;
    for charset in ["latin1", "utf-16", "windows-1252"] {
        let reply = sign_in(&service, &[("content-type", &format!("application/json; charset={charset}"))]).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (415, "media_type_unsupported"));
        assert_eq!(reply.json["detail"], format!("the charset {charset} is not accepted; send the body in UTF-8"));
        assert_eq!(reply.header("accept"), "application/json");
    }
}
