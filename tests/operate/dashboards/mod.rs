//! The dashboards: that they are what their source says, that Grafana can read them, and that they are good ones.

pub(crate) mod expression;
mod layout;
mod links;
mod lint;
pub(crate) mod panels;
pub(crate) mod promises;
mod written;
