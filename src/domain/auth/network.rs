//! The client networks from which an account was signed in to.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};

use crate::domain::users::Email;

/// The SHA-256 of an account's e-mail address and a client network.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NetworkDigest(pub [u8; 32]);

impl NetworkDigest {
    /// The digest of a network, given as any bytes that identify it, for the account with that address.
    #[must_use]
    pub fn of(email: &Email, network: &[u8]) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(email.key().as_bytes());
        // No address contains a zero, so two different inputs are never the same bytes.
        context.update(b"\0");
        context.update(network);
        let mut out = [0; 32];
        out.copy_from_slice(context.finish().as_ref());
        Self(out)
    }
}

impl fmt::Debug for NetworkDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NetworkDigest(…)")
    }
}
