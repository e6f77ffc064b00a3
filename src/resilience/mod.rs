//! How the service stays within what it can bear, and away from what is broken: knows neither HTTP nor SQL.

mod bucket;

pub use bucket::{Buckets, Quota, Taken};
