//! Who asks, and what they may do.

use super::SessionId;
use crate::domain::users::{Role, User, UserId};

/// Somebody who has been recognised.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The account, as it is stored now.
    pub user: User,
    /// The session that the access token belongs to.
    pub session: SessionId,
    /// Whether the session began recently enough for what a stolen token must not do.
    pub is_recently_signed_in: bool,
}

impl Caller {
    /// Admins may do everything to everyone; everyone else only to itself.
    #[must_use]
    pub fn may_manage(&self, id: UserId) -> bool {
        self.is_admin() || self.user.id == id
    }

    /// Only admins see the list, and give roles.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.user.role == Role::Admin
    }
}
