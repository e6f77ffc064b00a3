//! Ends connections while the instance drains: `Connection: close`.

use axum::{
    http::{HeaderValue, Version, header},
    response::Response,
};

use crate::lifecycle::Latch;

/// Ends an HTTP/1 connection with the answer while the port's latch is held. HTTP/2 has no such header: its clients get
/// a GOAWAY when accepting ends, which loses no request.
pub(super) fn close_connection_while_draining(serving: &Latch, version: Version, response: &mut Response) {
    if version < Version::HTTP_2 && !serving.is_released() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}
