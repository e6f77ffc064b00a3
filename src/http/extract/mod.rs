//! What an operation may ask of a request.

mod caller;
mod fields;
mod idempotency;
mod json;
mod precondition;
mod query;
mod target;

pub(super) use caller::Signed;
pub(super) use fields::Fields;
pub(super) use idempotency::Once;
pub(super) use json::{Json, MergePatch, unreadable};
pub(super) use precondition::{Preconditions, etag};
pub(super) use query::{Query, refuse_unknown};
pub(super) use target::{Target, id};
