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

#[tokio::test]
async fn content_type_sent_twice_returns_415_that_says_so() {
    let service = Service::start().await;
    let json = ("content-type", "application/json");
    let reply = sign_in(&service, &[json, json]).await;
    assert_eq!((reply.status.as_u16(), reply.code()), (415, "media_type_unsupported"));
    assert_eq!(reply.json["detail"], "Content-Type is sent more than once; send it once");
}

#[tokio::test]
async fn body_in_another_encoding_returns_400_that_names_the_encoding() {
    let service = Service::start().await;
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let not_utf8 = |byte| format!("the body is not UTF-8 at byte {byte}; send it in UTF-8");
    for (body, detail) in [
        (b"\xef\xbb\xbf{}".to_vec(), "the body begins with a byte order mark; send it without".to_owned()),
        (utf16("{}"), "the body contains NUL bytes, as UTF-16 does; send it in UTF-8".to_owned()),
        (utf16("\u{feff}{}"), not_utf8(1)),
        (b"{\"email\":\"\xe9\"}".to_vec(), not_utf8(11)),
    ] {
        for path in ["/api/v1/auth/sign-in", "/api/v1/users", "/api/v1/auth/refresh"] {
            let request = service.client().request(Method::POST, path).header("content-type", "application/json");
            let reply = service.client().send(request.body(body.clone())).await;
            assert_eq!((reply.status.as_u16(), reply.code()), (400, "body_malformed"), "{path} {body:?}");
            assert_eq!(reply.json["detail"], detail, "{path} {body:?}");
        }
    }
}
