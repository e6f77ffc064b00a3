//! Sees every request first and every answer last: gives it its identity, opens its account, and says on the answer
//! where to look it up.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request as HttpRequest},
    http::{
        HeaderMap, HeaderName, HeaderValue, Version,
        header::{CONNECTION, USER_AGENT},
    },
    response::Response,
};
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};

use super::{
    account::{Account, Ending, OTHER_METHOD, Route, label},
    browsers::restrain,
    client::{Client, Peer},
    request_id::{X_REQUEST_ID, request_id},
    safe_path::safe_path,
    traffic::{Received, Sent, Upload},
};
use crate::{
    http::{metrics::HttpMetrics, problem::Failure},
    telemetry::{KeyValue, Origin, Request, Tracer, follow, propagation, strings},
};

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");
const X_FORCE_TRACE: HeaderName = HeaderName::from_static("x-force-trace");

/// How much of a `User-Agent` is kept, in octets.
const MAX_USER_AGENT: usize = 256;
/// How much of a method is kept that HTTP does not define.
const MAX_METHOD: usize = 32;

/// What observing needs.
pub(in crate::http) struct Observer {
    pub(in crate::http) tracer: Tracer,
    pub(in crate::http) metrics: HttpMetrics,
    pub(in crate::http) trusted_proxies: Vec<IpNet>,
    pub(in crate::http) force_trace_token: Option<SecretString>,
    pub(in crate::http) server_timing: bool,
    pub(in crate::http) slow: Duration,
}

/// Outside of every layer that may answer.
pub(super) async fn observe<F: Future<Output = Response>>(
    observer: &Arc<Observer>,
    mut http: HttpRequest,
    next: impl FnOnce(HttpRequest) -> F,
) -> Response {
    let started = Instant::now();
    let is_multiplexed = http.version() >= Version::HTTP_2;
    let mut account = observer.open(started, &mut http);
    let request = Arc::clone(&account.request);
    let mut response = request.scope(account.span.within(next(http))).await;

    account.status = Some(response.status());
    account.failure = response.extensions_mut().remove::<Failure>();
    tell(&account, response.headers_mut());
    if account.upload.is_abandoned() && !is_multiplexed {
        // The rest of the body would be read as the next request: the connection ends, and the client must know.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response.map(|body| Sent::counted(body, account))
}

impl Observer {
    fn open(self: &Arc<Self>, started: Instant, http: &mut HttpRequest) -> Account {
        let headers = http.headers();
        let method = label(http.method());
        let route = Route(http.extensions().get::<MatchedPath>().cloned());
        let peer = http.extensions().get::<Peer>().map(|peer| peer.0.ip());
        let client = peer.map(|peer| Client::of(peer, headers, &self.trusted_proxies));
        let scheme = client.map_or("http", |client| client.scheme);
        let request = Arc::new(Request::new(request_id(headers)));
        let user_agent = user_agent(headers);
        let origin =
            Origin { remote: propagation::remote(headers), forced: self.is_forced(headers), probe: route.is_probe() };
        let span = self.tracer.server(
            &origin,
            || match &route.0 {
                Some(matched) => format!("{} {}", span_method(method), matched.as_str()),
                None => span_method(method).to_owned(),
            },
            || {
                let mut attributes = vec![
                    KeyValue::new("http.request.method", method),
                    KeyValue::new("url.scheme", scheme),
                    strings("http.request.header.x-request-id", [request.id().to_owned()]),
                    KeyValue::new("network.protocol.name", "http"),
                    KeyValue::new("network.protocol.version", protocol(http.version())),
                ];
                if method == OTHER_METHOD {
                    let original = http.method().as_str().chars().take(MAX_METHOD).collect::<String>();
                    attributes.push(KeyValue::new("http.request.method_original", original));
                }
                if !user_agent.is_empty() {
                    attributes.push(KeyValue::new("user_agent.original", user_agent.clone()));
                }
                // The query stays out: it may hold the beginning of an e-mail address.
                if let Some(matched) = &route.0 {
                    attributes.push(KeyValue::new("http.route", matched.as_str().to_owned()));
                }
                let template = route.0.as_ref().map(MatchedPath::as_str);
                attributes.push(KeyValue::new("url.path", safe_path(template, http.uri().path())));
                if let Some(client) = client {
                    attributes.push(KeyValue::new("client.address", client.address.to_string()));
                }
                if let Some(peer) = peer {
                    attributes.push(KeyValue::new("network.peer.address", peer.to_canonical().to_string()));
                }
                attributes
            },
        );
        if follow::anyone() {
            request.matches(route.as_str());
        }
        let active = (!route.is_probe()).then(|| self.metrics.active.hold(&[method, scheme]));

        let upload = Arc::new(Upload::default());
        let body = std::mem::take(http.body_mut());
        *http.body_mut() = Received::counted(body, &upload);
        http.extensions_mut().insert(Arc::clone(&upload));
        if let Some(client) = client {
            http.extensions_mut().insert(client);
        }
        Account {
            observer: Arc::clone(self),
            request,
            span,
            started,
            method,
            route,
            client,
            user_agent,
            upload,
            active,
            status: None,
            failure: None,
            ending: Ending::default(),
        }
    }

    /// Whether the sender knows the token that has a request traced. Compared in constant time.
    fn is_forced(&self, headers: &HeaderMap) -> bool {
        let (Some(token), Some(shown)) = (&self.force_trace_token, headers.get(X_FORCE_TRACE)) else { return false };
        let token = token.expose_secret().as_bytes();
        !token.is_empty() && aws_lc_rs::constant_time::verify_slices_are_equal(token, shown.as_bytes()).is_ok()
    }
}

/// What every answer says: which request it was, where its trace is, how long it took; and what browsers must not do.
fn tell(account: &Account, headers: &mut HeaderMap) {
    if let Ok(id) = HeaderValue::from_str(account.request.id()) {
        headers.insert(X_REQUEST_ID, id);
    }
    if let Some(ids) = account.span.ids() {
        let text = propagation::traceresponse(ids, account.span.sampled().is_some());
        headers.extend(HeaderValue::try_from(text).ok().map(|value| (TRACERESPONSE, value)));
    }
    if account.observer.server_timing && !account.route.is_about_secrets() {
        headers.extend(HeaderValue::try_from(timing(account)).ok().map(|value| (SERVER_TIMING, value)));
    }
    restrain(headers, account.client.is_some_and(|client| client.scheme == "https"));
}

fn timing(account: &Account) -> String {
    let (total, request) = (millis(account.started.elapsed()), &account.request);
    let queries = request.statements();
    if queries == 0 {
        return format!("total;dur={total}");
    }
    let plural = if queries == 1 { "query" } else { "queries" };
    let db = millis(request.statement_time());
    format!("total;dur={total}, db;dur={db};desc=\"{queries} {plural}\"")
}

/// Milliseconds to the microsecond. Not as a float: printing one with so many digits is the slow way.
fn millis(duration: Duration) -> impl std::fmt::Display {
    let micros = duration.as_micros();
    std::fmt::from_fn(move |f| write!(f, "{}.{:03}", micros / 1000, micros % 1000))
}

/// The method as span names have it.
fn span_method(label: &'static str) -> &'static str {
    if label == OTHER_METHOD { "HTTP" } else { label }
}

/// The visible ASCII of what the client calls itself, as much as fits.
fn user_agent(headers: &HeaderMap) -> String {
    let bytes = headers.get(USER_AGENT).map_or(&[][..], HeaderValue::as_bytes);
    let visible =
        bytes.iter().take(MAX_USER_AGENT).map(|&byte| if (b' '..=b'~').contains(&byte) { byte } else { b'?' });
    visible.map(char::from).collect()
}

const fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    }
}
