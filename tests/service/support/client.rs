//! A client with one method an operation.

use std::net::SocketAddr;

use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::{Value, json};

use super::canaries::Canaries;

/// Speaks to one service, perhaps as somebody.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
    canaries: Canaries,
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// The body, if it is JSON.
    pub(crate) json: Value,
}

/// A registered user that has signed in.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) etag: String,
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
}

/// Long enough for every rule, and found in no signal: a canary.
pub(crate) const PASSWORD: &str = "canary-password-7b1f";

impl Client {
    pub(crate) fn new(http: reqwest::Client, address: SocketAddr) -> Self {
        Self { http, base: format!("http://{address}"), token: None, canaries: Canaries::default() }
    }

    /// The same; the tokens that it is granted must be seen nowhere.
    pub(super) fn minding(self, canaries: &Canaries) -> Self {
        Self { canaries: canaries.clone(), ..self }
    }

    pub(crate) fn as_bearer(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// A request with this client's token, to be filled further.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, self.url(path));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        self.canaries.note(&json);
        Reply { status, headers, text, json }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn register(&self, email: &str) -> Reply {
        self.post("/api/v1/users", &json!({ "email": email, "password": PASSWORD, "name": "Ann" })).await
    }

    pub(crate) async fn sign_in(&self, email: &str, password: &str) -> Reply {
        self.post("/api/v1/auth/sign-in", &json!({ "email": email, "password": password })).await
    }

    pub(crate) async fn refresh(&self, token: &str) -> Reply {
        self.post("/api/v1/auth/refresh", &json!({ "refresh_token": token })).await
    }

    pub(crate) async fn sign_out(&self) -> Reply {
        self.send(self.request(Method::POST, "/api/v1/auth/sign-out")).await
    }

    pub(crate) async fn me(&self) -> Reply {
        self.get("/api/v1/users/me").await
    }

    pub(crate) async fn read(&self, id: &str) -> Reply {
        self.get(&format!("/api/v1/users/{id}")).await
    }

    pub(crate) async fn list(&self, query: &str) -> Reply {
        self.get(&format!("/api/v1/users{query}")).await
    }

    pub(crate) async fn replace(&self, id: &str, etag: &str, body: &Value) -> Reply {
        let request = self.request(Method::PUT, &format!("/api/v1/users/{id}"));
        self.send(request.header("if-match", etag).json(body)).await
    }

    pub(crate) async fn change(&self, id: &str, etag: &str, body: &Value) -> Reply {
        let request = self.request(Method::PATCH, &format!("/api/v1/users/{id}"));
        self.send(request.header("if-match", etag).json(body)).await
    }

    pub(crate) async fn change_password(&self, id: &str, old: &str, new: &str) -> Reply {
        let request = self.request(Method::PUT, &format!("/api/v1/users/{id}/password"));
        self.send(request.json(&json!({ "old_password": old, "new_password": new }))).await
    }

    pub(crate) async fn remove(&self, id: &str) -> Reply {
        self.send(self.request(Method::DELETE, &format!("/api/v1/users/{id}"))).await
    }

    /// Registers somebody new and signs in.
    pub(crate) async fn joined(&self, email: &str) -> Session {
        let registered = self.register(email).await;
        assert_eq!(registered.status, StatusCode::CREATED, "{}", registered.text);
        self.signed_in(email).await
    }

    /// Signs in whoever is registered with [`PASSWORD`].
    pub(crate) async fn signed_in(&self, email: &str) -> Session {
        let granted = self.sign_in(email, PASSWORD).await;
        assert_eq!(granted.status, StatusCode::OK, "{}", granted.text);
        let client = self.as_bearer(granted.json["access_token"].as_str().unwrap());
        let own = client.me().await;
        Session {
            id: own.json["id"].as_str().unwrap().to_owned(),
            email: email.to_owned(),
            etag: own.header("etag").to_owned(),
            access_token: granted.json["access_token"].as_str().unwrap().to_owned(),
            refresh_token: granted.json["refresh_token"].as_str().unwrap().to_owned(),
            client,
        }
    }

    /// The same, named: for whoever wants to find its line in the log.
    pub(crate) async fn named(&self, request_id: &str, request: reqwest::RequestBuilder) -> Reply {
        self.send(request.header("x-request-id", request_id)).await
    }
}

impl Reply {
    /// A header's text; empty if it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The stable word of a problem document; fails if this is none.
    pub(crate) fn code(&self) -> &str {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        self.json["code"].as_str().unwrap_or_else(|| panic!("no code: {}", self.text))
    }
}
