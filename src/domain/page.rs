//! Where a page of a list begins, as a client is told: opaque, so that the order can change without breaking anybody.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

use super::Fault;

/// The text for a client. The `layout` tells our cursors from other base64, and those of one list from another's.
pub(super) fn encode(layout: u8, id: Uuid) -> String {
    let mut bytes = [layout; 17];
    bytes[1..].copy_from_slice(id.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads back what [`encode`] wrote with that layout.
///
/// # Errors
/// `malformed` for anything else.
pub(super) fn decode(layout: u8, text: &str) -> Result<Uuid, Fault> {
    const MALFORMED: Fault = Fault::new("malformed", "must be the `next` of a page, unchanged");
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| MALFORMED)?;
    match bytes.split_first() {
        Some((first, id)) if *first == layout => Uuid::from_slice(id).map_err(|_| MALFORMED),
        _ => Err(MALFORMED),
    }
}
