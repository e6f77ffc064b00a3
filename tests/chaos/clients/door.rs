//! The service as one client meets it: every answer is written down, and sorted into what is known after it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::Value;
use tokio::sync::watch;

use crate::model::{Outcome, View};

/// Nothing may take so long, whatever is broken: a client that waits longer has met a hang.
const PATIENCE: Duration = Duration::from_secs(25);

/// How one request went, as an observer outside sees it.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) began: Instant,
    pub(crate) took: Duration,
    /// Nothing if the connection was refused or broke, or nobody answered.
    pub(crate) status: Option<u16>,
    /// The stable word of a problem.
    pub(crate) code: String,
    pub(crate) has_retry_after: bool,
    /// Whether it was to change something.
    pub(crate) is_write: bool,
}

/// All answers of all clients.
pub(crate) type Answers = Arc<Mutex<Vec<Answer>>>;

/// Leads to the service, wherever it is at the moment.
#[derive(Clone)]
pub(crate) struct Door {
    http: reqwest::Client,
    address: watch::Receiver<Option<SocketAddr>>,
    answers: Answers,
}

/// What came back.
#[derive(Debug)]
pub(crate) enum Reply {
    Told {
        status: u16,
        code: String,
        etag: String,
        body: Value,
    },
    /// It was sent, or may have been, and nobody answered to the end.
    Broken,
    /// It was never sent: there was no connection.
    Unsent,
}

/// A request to be sent.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) token: Option<&'a str>,
    pub(crate) if_match: Option<String>,
    pub(crate) body: Option<Value>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(method: Method, path: &str) -> Self {
        Self { method, path: path.to_owned(), token: None, if_match: None, body: None }
    }

    pub(crate) fn by(mut self, token: &'a str) -> Self {
        self.token = Some(token);
        self
    }

    pub(crate) fn with(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }
}

impl Door {
    pub(crate) fn new(address: watch::Receiver<Option<SocketAddr>>, answers: Answers) -> Self {
        Self { http: reqwest::Client::builder().timeout(PATIENCE).build().unwrap(), address, answers }
    }

    /// Waits until there is a service; false if there will never be one again.
    pub(crate) async fn opens(&mut self) -> bool {
        self.address.wait_for(Option::is_some).await.is_ok()
    }

    pub(crate) async fn ask(&self, request: Request<'_>) -> Reply {
        let Some(address) = *self.address.borrow() else { return Reply::Unsent };
        let is_write = request.method != Method::GET;
        let mut sending = self.http.request(request.method, format!("http://{address}{}", request.path));
        if let Some(token) = request.token {
            sending = sending.bearer_auth(token);
        }
        if let Some(tag) = request.if_match {
            sending = sending.header("if-match", tag);
        }
        if let Some(body) = request.body {
            sending = sending.json(&body);
        }
        let began = Instant::now();
        let (reply, has_retry_after) = match sending.send().await {
            Ok(response) => {
                let header =
                    |name: &str| response.headers().get(name).and_then(|it| it.to_str().ok()).map(str::to_owned);
                let (status, etag) = (response.status().as_u16(), header("etag").unwrap_or_default());
                let has_retry_after = header("retry-after").is_some();
                match response.text().await {
                    Ok(text) => {
                        let body: Value = serde_json::from_str(&text).unwrap_or_default();
                        let code = body["code"].as_str().unwrap_or_default().to_owned();
                        (Reply::Told { status, code, etag, body }, has_retry_after)
                    }
                    Err(_) => (Reply::Broken, false),
                }
            }
            Err(error) if error.is_connect() => (Reply::Unsent, false),
            Err(_) => (Reply::Broken, false),
        };
        let (status, code) = match &reply {
            Reply::Told { status, code, .. } => (Some(*status), code.clone()),
            Reply::Broken | Reply::Unsent => (None, String::new()),
        };
        let answer = Answer { began, took: began.elapsed(), status, code, has_retry_after, is_write };
        self.answers.lock().unwrap().push(answer);
        reply
    }
}

impl Reply {
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Told { status, .. } => Some(*status),
            Self::Broken | Self::Unsent => None,
        }
    }

    /// Whether the service has failed or was not there, so that a client waits a little.
    pub(crate) fn is_trouble(&self) -> bool {
        self.status().is_none_or(|status| status >= 500 || status == 429)
    }

    /// What a client knows after it of the write that it asked for; nothing if it never came to a write.
    ///
    /// `store_unavailable`, 500 and 504 say that something failed, and not whether the write came first. What was
    /// refused for there being too much work, or too much of this client, was refused before anything was done.
    ///
    /// # Panics
    /// At a refusal that the operation does not know: then the client is wrong, or the service.
    pub(crate) fn outcome<T>(&self, denials: &[u16], read: impl FnOnce(&Self) -> T) -> Option<Outcome<T>> {
        match self {
            Self::Told { status: 200..300, .. } => Some(Outcome::Acknowledged(read(self))),
            Self::Unsent | Self::Told { status: 429, .. } => None,
            Self::Told { status: 503, code, .. } if code.ends_with("overloaded") => None,
            Self::Broken | Self::Told { status: 500.., .. } => Some(Outcome::Unknown),
            Self::Told { status, .. } if denials.contains(status) => Some(Outcome::Denied),
            Self::Told { .. } => panic!("not an answer to expect: {self:?}"),
        }
    }

    /// The account in it.
    pub(crate) fn view(&self) -> View {
        let Self::Told { etag, body, .. } = self else { unreachable!("only an answer shows an account") };
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let version = etag.trim_matches('"').rsplit('-').next().and_then(|number| number.parse().ok());
        let version = version.unwrap_or_else(|| panic!("no version: {self:?}"));
        View { id: text("id"), email: text("email"), name: text("name"), version }
    }

    /// Access and refresh token in it.
    pub(crate) fn tokens(&self) -> (String, String) {
        let Self::Told { body, .. } = self else { unreachable!("only an answer holds tokens") };
        let text = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("no {name}: {self:?}")).to_owned();
        (text("access_token"), text("refresh_token"))
    }
}
