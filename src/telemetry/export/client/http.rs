//! OTLP over HTTP with protobuf.

use std::{io::Write, time::Duration};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER},
};
use reqwest::{Certificate, Client, Identity, redirect};
use secrecy::ExposeSecret;
use url::Url;

use super::{AttemptError, MAX_ANSWER_BYTES, Retry, headers};
use crate::telemetry::{Chain, Export};

/// A client of one URL. Cheap to clone.
#[derive(Clone)]
pub(super) struct Http {
    client: Client,
    url: Url,
    headers: HeaderMap,
    gzip: bool,
}

impl Http {
    pub(super) fn new(export: &Export) -> Result<Self, String> {
        let failed = |error: reqwest::Error| Chain(&error).to_string();
        let mut client = Client::builder().redirect(redirect::Policy::none());
        if let Some(pem) = &export.tls.ca {
            let certificates = Certificate::from_pem_bundle(pem).map_err(failed)?;
            client = client.tls_certs_only(certificates);
        }
        if let Some((certificate, key)) = &export.tls.identity {
            let pem = [certificate.as_slice(), b"\n", key.expose_secret().as_bytes()].concat();
            client = client.identity(Identity::from_pem(&pem).map_err(failed)?);
        }
        let mut headers = headers(export)?;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        if export.gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let client = client.build().map_err(failed)?;
        Ok(Self { client, url: export.endpoint.clone(), headers, gzip: export.gzip })
    }

    /// The request as it is sent.
    pub(super) fn encode(&self, request: Vec<u8>) -> std::io::Result<Bytes> {
        if !self.gzip {
            return Ok(request.into());
        }
        let mut encoder = GzEncoder::new(Vec::with_capacity(request.len() / 4), Compression::fast());
        encoder.write_all(&request)?;
        Ok(encoder.finish()?.into())
    }

    pub(super) async fn send(&self, request: Bytes) -> Result<Bytes, AttemptError> {
        let request = self.client.post(self.url.clone()).headers(self.headers.clone()).body(request);
        let mut response = request.send().await.map_err(unreachable)?;
        if !response.status().is_success() {
            return Err(refused(response.status(), response.headers()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(foreign("the answer is longer than 64 KiB"));
            }
            body.extend_from_slice(&chunk);
        }
        if body.starts_with(b"<") {
            return Err(foreign("the answer is a page and not an OTLP response; another server may listen there"));
        }
        Ok(body.into())
    }
}

/// The URL stays out of the message: its query may hold a key.
fn unreachable(error: reqwest::Error) -> AttemptError {
    AttemptError { message: Chain(&error.without_url()).to_string(), retry: Retry::After(Duration::ZERO) }
}

fn refused(status: StatusCode, headers: &HeaderMap) -> AttemptError {
    let is_transient = matches!(status.as_u16(), 429 | 502 | 503 | 504);
    let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let pause = Duration::from_secs(seconds.unwrap_or_default());
    let retry = if is_transient { Retry::After(pause) } else { Retry::Never };
    AttemptError { message: format!("the collector answered {status}"), retry }
}

fn foreign(message: &str) -> AttemptError {
    AttemptError { message: message.to_owned(), retry: Retry::Never }
}
