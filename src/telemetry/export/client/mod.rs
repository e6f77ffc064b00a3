//! A client of an OTLP collector, by gRPC or by HTTP.
//!
//! It is ours because opentelemetry-otlp's exporter discards what decides an item's outcome: the count of rejected
//! items, the cause of a failed connection, whether the time was over. Messages and their encoding are
//! opentelemetry-proto's, the transports tonic's and reqwest's.
//!
//! Requests run on the runtime on which the client was made, which must not be the one that serves requests: there, a
//! collector that hangs would delay them.

mod grpc;
mod http;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use ::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use secrecy::ExposeSecret;
use tokio::{
    runtime::Handle,
    time::{Instant, sleep, timeout_at},
};
use url::{Position, Url};

use self::{grpc::Grpc, http::Http};
use crate::telemetry::{Chain, Export, Protocol};

/// The most bytes of a collector's answer; a real one has a few.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// How many times one export is repeated after a failure that may pass.
const MAX_RETRIES: u32 = 3;
/// The pause before the first retry; each further one is twice as long.
const RETRY_DELAY: Duration = Duration::from_millis(250);

/// Sends the exports of one signal. Cheap to clone.
#[derive(Clone)]
pub(super) struct CollectorClient {
    transport: Transport,
    /// Scheme, host, port and path, without anything that may be secret.
    address: String,
    hint: &'static str,
    timeout: Duration,
    runtime: Handle,
}

#[derive(Clone)]
enum Transport {
    Grpc(Grpc),
    Http(Http),
}

/// Why an export failed.
#[derive(Debug)]
pub(super) enum SendError {
    /// The collector did not answer in time.
    Timeout(String),
    /// The collector cannot be reached, or refuses the export.
    Failed(String),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Timeout(message) | Self::Failed(message)) = self;
        f.write_str(message)
    }
}

/// How one attempt failed.
struct AttemptError {
    message: String,
    retry: Retry,
}

/// Whether an attempt may be repeated.
enum Retry {
    Never,
    /// After the usual pause, and not before this one, which the collector asks for.
    After(Duration),
}

impl CollectorClient {
    /// Makes a client; connects to nothing. `grpc_path` is the signal's gRPC method.
    ///
    /// # Errors
    /// What is wrong with the certificates or headers. Their values stay out of it.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub(super) fn new(export: &Export, grpc_path: &'static str) -> Result<Self, String> {
        let transport = match export.protocol {
            Protocol::Grpc => Transport::Grpc(Grpc::new(export, grpc_path)?),
            Protocol::HttpProtobuf => Transport::Http(Http::new(export)?),
        };
        let hint = match (export.protocol, export.endpoint.port()) {
            (Protocol::HttpProtobuf, Some(4317)) => {
                "; port 4317 usually speaks gRPC: use port 4318, or OTEL_EXPORTER_OTLP_PROTOCOL=grpc"
            }
            (Protocol::Grpc, Some(4318)) => {
                "; port 4318 usually speaks HTTP: use port 4317, or OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"
            }
            _ => "",
        };
        let address = address(&export.endpoint);
        Ok(Self { transport, address, hint, timeout: export.timeout, runtime: Handle::current() })
    }

    /// Says what of an export's settings no client can be made of.
    pub(super) fn check(export: &Export) -> Result<(), String> {
        // For gRPC too: tonic leaves out certificates that it cannot read.
        Http::new(export)?;
        Grpc::endpoint(export).map(drop)
    }

    /// Sends an encoded request and returns the encoded answer. Failures that may pass are retried within the export's
    /// timeout.
    pub(super) async fn send(&self, request: Vec<u8>) -> Result<Bytes, SendError> {
        let request = match &self.transport {
            Transport::Grpc(_) => request.into(),
            Transport::Http(http) => http.encode(request).map_err(|error| self.failed(&Chain(&error).to_string()))?,
        };
        let this = self.clone();
        let sending = self.runtime.spawn(async move { this.send_until(Instant::now() + this.timeout, &request).await });
        // The runtime ends before the last export has: nothing is awaited any more.
        sending.await.unwrap_or_else(|error| Err(self.failed(&error.to_string())))
    }

    async fn send_until(&self, deadline: Instant, request: &Bytes) -> Result<Bytes, SendError> {
        let mut reason = String::new();
        for retry in 0.. {
            let Ok(attempt) = timeout_at(deadline, self.transport.send(request.clone())).await else { break };
            let error = match attempt {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let wanted = match error.retry {
                Retry::After(least) if retry < MAX_RETRIES => least.max(jittered(RETRY_DELAY * 2_u32.pow(retry))),
                _ => return Err(self.failed(&error.message)),
            };
            // The collector may ask for a pause that no clock can count to.
            if Instant::now().checked_add(wanted).is_none_or(|at| at >= deadline) {
                return Err(self.failed(&error.message));
            }
            reason = format!(", after {}", error.message);
            sleep(wanted).await;
        }
        let timeout = humantime::format_duration(self.timeout);
        Err(SendError::Timeout(format!("{}: no answer within {timeout}{reason}{}", self.address, self.hint)))
    }

    fn failed(&self, message: &str) -> SendError {
        SendError::Failed(format!("{}: {message}{}", self.address, self.hint))
    }
}

impl Transport {
    async fn send(&self, request: Bytes) -> Result<Bytes, AttemptError> {
        match self {
            Self::Grpc(grpc) => grpc.send(request).await,
            Self::Http(http) => http.send(request).await,
        }
    }
}

impl fmt::Debug for CollectorClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CollectorClient({})", self.address)
    }
}

/// The part of a URL that is no secret.
fn address(url: &Url) -> String {
    format!("{}{}", &url[..Position::BeforeUsername], &url[Position::BeforeHost..Position::AfterPath])
}

/// Between half of a pause and all of it, so that instances which failed together do not retry together. Each new
/// state of the standard library's hasher has other keys.
fn jittered(pause: Duration) -> Duration {
    let thousandths = RandomState::new().hash_one(0_u8) % 1000;
    pause / 2 + pause / 2000 * u32::try_from(thousandths).unwrap_or_default()
}

/// The headers of an export, marked as secret so that no library logs their values.
fn headers(export: &Export) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in &export.headers {
        let key = HeaderName::try_from(name).map_err(|_| format!("{name:?} is not a header name"))?;
        let mut value = HeaderValue::try_from(value.expose_secret())
            .map_err(|_| format!("the value of {name} is not a header value"))?;
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(headers)
}
