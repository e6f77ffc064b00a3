//! OTLP over gRPC.

use std::{error::Error, time::Duration};

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use secrecy::ExposeSecret;
use tonic::{
    Code, Request, Status,
    codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::MetadataMap,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

use super::{AttemptError, MAX_ANSWER_BYTES, Retry, headers};
use crate::telemetry::{Chain, Export};

/// A client of one method. Cheap to clone.
#[derive(Clone)]
pub(super) struct Grpc {
    client: tonic::client::Grpc<Channel>,
    path: PathAndQuery,
    metadata: MetadataMap,
}

impl Grpc {
    pub(super) fn new(export: &Export, path: &'static str) -> Result<Self, String> {
        let channel = Self::endpoint(export)?.connect_lazy();
        let mut client = tonic::client::Grpc::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES);
        if export.gzip {
            client = client.send_compressed(CompressionEncoding::Gzip);
        }
        let metadata = MetadataMap::from_headers(headers(export)?);
        Ok(Self { client, path: PathAndQuery::from_static(path), metadata })
    }

    /// Where and how to connect.
    pub(super) fn endpoint(export: &Export) -> Result<Endpoint, String> {
        headers(export)?;
        let failed = |error: tonic::transport::Error| Chain(&error).to_string();
        let endpoint = Endpoint::from_shared(export.endpoint.as_str().to_owned()).map_err(failed)?;
        if export.endpoint.scheme() != "https" {
            return Ok(endpoint);
        }
        let mut tls = match &export.tls.ca {
            Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
            None => ClientTlsConfig::new().with_enabled_roots(),
        };
        if let Some((certificate, key)) = &export.tls.identity {
            tls = tls.identity(Identity::from_pem(certificate, key.expose_secret()));
        }
        endpoint.tls_config(tls).map_err(failed)
    }

    pub(super) async fn send(&self, request: Bytes) -> Result<Bytes, AttemptError> {
        let mut client = self.client.clone();
        client.ready().await.map_err(|error| AttemptError {
            message: without_repetition(&error),
            retry: Retry::After(Duration::ZERO),
        })?;
        let mut request = Request::new(request);
        *request.metadata_mut() = self.metadata.clone();
        let answer = client.unary(request, self.path.clone(), Encoded).await;
        answer.map(tonic::Response::into_inner).map_err(|status| refused(&status))
    }
}

/// Which codes may be retried is OTLP's table; where the collector is exhausted, it has to say that it recovers.
fn refused(status: &Status) -> AttemptError {
    let is_transient = match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => true,
        Code::ResourceExhausted => !status.details().is_empty(),
        _ => false,
    };
    let cause = status.source().map_or_else(|| status.message().to_owned(), without_repetition);
    let retry = if is_transient { Retry::After(Duration::ZERO) } else { Retry::Never };
    AttemptError { message: format!("{:?}: {cause}", status.code()), retry }
}

/// An error and its sources, where tonic's layers often say the same as the one below.
fn without_repetition(error: &(dyn Error + 'static)) -> String {
    let mut parts = vec![error.to_string()];
    let mut below = error.source();
    while let Some(error) = below {
        let part = error.to_string();
        if parts.last() != Some(&part) {
            parts.push(part);
        }
        below = error.source();
    }
    parts.join(": ")
}

/// A codec of messages that are encoded already, so that one client serves every signal.
struct Encoded;

impl Codec for Encoded {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Encoded {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }
}

impl Decoder for Encoded {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
