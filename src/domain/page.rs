//! Where a page of a list begins, as a client is told: opaque, so that the order can change without breaking anybody.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

use super::Fault;

/// The fault of a cursor that this list did not return.
pub(super) const MALFORMED: Fault = Fault::new("malformed", "must be the `next` of a page, unchanged");

/// The text for a client. The `layout` tells our cursors from other base64, and those of one list from another's.
pub(super) fn encode(layout: u8, position: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode([&[layout], position].concat())
}

/// Reads back what [`encode`] wrote with that layout.
///
/// # Errors
/// `malformed` for anything else.
pub(super) fn decode(layout: u8, text: &str) -> Result<Vec<u8>, Fault> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| MALFORMED)?;
    match bytes.split_first() {
        Some((first, position)) if *first == layout => Ok(position.to_vec()),
        _ => Err(MALFORMED),
    }
}

/// Reads an id from a decoded position.
///
/// # Errors
/// `malformed` if it is none.
pub(super) fn id(position: &[u8]) -> Result<Uuid, Fault> {
    Uuid::from_slice(position).map_err(|_| MALFORMED)
}
