//! Whether the store can work with `DATABASE_URL`, and what the driver would take from elsewhere.

use std::ffi::OsString;

use super::{
    environment,
    faults::{Fault, Faults},
    near, redact,
    sources::Origin,
    values::Values,
};
use crate::store::{self, UrlError};

/// Read by the driver where the URL has no `sslmode`. The driver ignores a value that it does not know.
const SSL_MODE: &str = "PGSSLMODE";

/// Refuses a URL that the store cannot work with.
pub(super) fn check(store: &store::Config, values: &Values, environment: &[(OsString, OsString)], faults: &mut Faults) {
    if let Some(error) = store.fault() {
        let near = match &error {
            UrlError::Unknown { name, known } => near::word(name, known.iter().map(|it| it.name.to_owned())),
            _ => String::new(),
        };
        faults.add(values.fault("store.url", format!("{error}{near}")));
        return;
    }
    let is_named = store.url.query_pairs().any(|(name, _)| matches!(&*name, "sslmode" | "ssl-mode"));
    let Some(mode) = environment::last(environment, SSL_MODE).filter(|mode| !mode.is_empty()) else { return };
    if store.url.scheme() == "sqlite" || is_named {
        return;
    }
    let mut asked = store.clone();
    asked.url.query_pairs_mut().append_pair("sslmode", &mode.to_string_lossy());
    if let Some(error) = asked.fault() {
        faults.add(Fault {
            setting: "store.url".to_owned(),
            origin: Origin::Variable(SSL_MODE.to_owned()),
            read: Some(redact::quoted(&mode.to_string_lossy())),
            accepted: error.to_string(),
        });
    }
}
