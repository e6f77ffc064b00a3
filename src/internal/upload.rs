//! The body of a request: small, and here before long.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use tokio::time::timeout;

/// How long it may take to arrive. What is sent here is a line of text.
const PATIENCE: Duration = Duration::from_secs(10);

/// A body as a whole, within the limit that its route has set.
pub(super) struct Upload(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for Upload {
    /// 413 for one that is too large, 408 for one that does not come.
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        within(PATIENCE, request, state).await
    }
}

async fn within<S: Send + Sync>(patience: Duration, request: Request, state: &S) -> Result<Upload, Response> {
    match timeout(patience, Bytes::from_request(request, state)).await {
        Ok(Ok(body)) => Ok(Upload(body)),
        Ok(Err(refusal)) if refusal.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Err((refusal.status(), "the body is larger than any that makes sense here\n").into_response())
        }
        Ok(Err(refusal)) => Err(refusal.into_response()),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time\n").into_response()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::{
        body::{Body, Bytes},
        extract::Request,
    };
    use futures_util::stream;

    use super::{Upload, within};

    #[tokio::test]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let never = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let refusal = within(Duration::from_millis(5), Request::new(never), &()).await.err().unwrap();
        assert_eq!(refusal.status(), 408);
        let here = Request::new(Body::from("info"));
        let Ok(Upload(body)) = within(Duration::from_mins(1), here, &()).await else { panic!("it is there") };
        assert_eq!(body, "info");
    }
}
