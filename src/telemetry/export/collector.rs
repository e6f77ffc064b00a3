//! Speaking OTLP, by gRPC or by HTTP.
//!
//! The exporters do their network work on the runtime on which they are built, which must not be the one that serves
//! requests: a collector that hangs would be felt there.

use std::{collections::HashMap, fmt::Display};

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{
    Compression, LogExporter, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
    tonic_types::metadata::MetadataMap,
};
use secrecy::ExposeSecret;
use tokio::runtime::Handle;

use super::ExportError;
use crate::telemetry::{Export, Protocol};

/// Applies an [`Export`] to a builder; both signals' builders offer the same methods, by no common name.
macro_rules! build {
    ($exporter:ident, $signal:literal, $export:expr) => {{
        let export: &Export = $export;
        let refused = |reason: &dyn Display| ExportError { signal: $signal, reason: reason.to_string() };
        match export.protocol {
            Protocol::Grpc => {
                let mut builder = $exporter::builder()
                    .with_tonic()
                    .with_endpoint(export.endpoint.as_str())
                    .with_timeout(export.timeout)
                    .with_metadata(metadata(export).map_err(|reason| refused(&reason))?);
                if export.gzip {
                    builder = builder.with_compression(Compression::Gzip);
                }
                builder.build()
            }
            Protocol::HttpProtobuf => {
                let headers =
                    export.headers.iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned()));
                let mut builder = $exporter::builder()
                    .with_http()
                    .with_endpoint(export.endpoint.as_str())
                    .with_timeout(export.timeout)
                    .with_headers(headers.collect::<HashMap<_, _>>())
                    .with_http_client(Client::new(export).map_err(|reason| refused(&reason))?);
                if export.gzip {
                    builder = builder.with_compression(Compression::Gzip);
                }
                builder.build()
            }
        }
        .map_err(|reason| refused(&reason))
    }};
}

pub(super) fn span_exporter(export: &Export) -> Result<SpanExporter, ExportError> {
    build!(SpanExporter, "spans", export)
}

pub(super) fn log_exporter(export: &Export) -> Result<LogExporter, ExportError> {
    build!(LogExporter, "logs", export)
}

/// gRPC's headers. The values stay out of the error.
fn metadata(export: &Export) -> Result<MetadataMap, String> {
    let mut headers = http::HeaderMap::new();
    for (name, value) in &export.headers {
        let key = http::HeaderName::try_from(name).map_err(|_| format!("{name:?} is no header name"))?;
        let mut value = http::HeaderValue::try_from(value.expose_secret())
            .map_err(|_| format!("the value of {name} is no header value"))?;
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(MetadataMap::from_headers(headers))
}

/// HTTP on the runtime on which it was made: the thread that asks for it has none.
#[derive(Debug)]
struct Client {
    client: reqwest::Client,
    runtime: Handle,
}

impl Client {
    fn new(export: &Export) -> reqwest::Result<Self> {
        let client =
            reqwest::Client::builder().timeout(export.timeout).redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { client, runtime: Handle::current() })
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        let client = self.client.clone();
        let exchange = async move {
            let mut response = client.execute(request).await?;
            let mut answer = Response::builder().status(response.status());
            if let Some(headers) = answer.headers_mut() {
                headers.extend(response.headers().clone());
            }
            // A collector's answer has a few bytes; one that sends more is no collector.
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await? {
                if body.len() + chunk.len() > ANSWER_LIMIT {
                    return Err(HttpError::from("the collector's answer is longer than 64 KiB"));
                }
                body.extend_from_slice(&chunk);
            }
            Ok(answer.body(Bytes::from(body))?)
        };
        self.runtime.spawn(exchange).await?
    }
}

const ANSWER_LIMIT: usize = 64 * 1024;
