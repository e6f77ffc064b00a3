//! One act on an account: who did what to whom, without any value but the role that was given.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    domain::{
        Fault,
        users::{Role, User, UserId},
    },
    telemetry::Request,
};

/// Names an entry; time-ordered (UUID version 7), so that its order is the order of what was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryId(pub Uuid);

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// An admin; the account may be gone by now.
    Admin(UserId),
    /// Whoever can run `glasshouse user` on the database.
    CommandLine,
}

impl Actor {
    /// How the command line is called where an admin has an id.
    pub const COMMAND_LINE: &str = "cli";
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The account was made.
    Register,
    /// E-mail, name or role were changed.
    Change,
    /// The password was replaced.
    ChangePassword,
    /// The account was removed.
    Remove,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Register, Self::Change, Self::ChangePassword, Self::Remove];

    /// The word in the API, in the log and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Change => "change",
            Self::ChangePassword => "change_password",
            Self::Remove => "remove",
        }
    }

    /// Reads the word back.
    ///
    /// # Errors
    /// `unknown_action`.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        Self::ALL
            .into_iter()
            .find(|action| action.as_str() == text)
            .ok_or(Fault::new("unknown_action", "must be an action of the audit trail"))
    }
}

/// What of an account was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The address.
    Email,
    /// What it is called.
    Name,
    /// What it may do.
    Role,
}

impl Field {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Email, Self::Name, Self::Role];

    /// The word in the API, in the log and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Name => "name",
            Self::Role => "role",
        }
    }
}

/// One act on an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Never changes.
    pub id: EntryId,
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub actor: Actor,
    /// What.
    pub action: Action,
    /// To whom; the account may be gone by now.
    pub subject: UserId,
    /// What of it was changed; empty for any other action.
    pub fields: Vec<Field>,
    /// The role that was given, where one was.
    pub role: Option<Role>,
    /// `X-Request-ID` of the request that asked for it: what leads to its line in the log.
    pub request_id: Option<String>,
}

impl Entry {
    /// An act of now, by the request that the current task works for.
    #[must_use]
    pub fn new(at: DateTime<Utc>, actor: Actor, action: Action, subject: UserId) -> Self {
        Self {
            id: EntryId(Uuid::now_v7()),
            at,
            actor,
            action,
            subject,
            fields: Vec::new(),
            role: None,
            request_id: Request::with_current(|request| request.id().to_owned()),
        }
    }

    /// That this became that.
    #[must_use]
    pub fn changing(mut self, before: &User, after: &User) -> Self {
        let changed = |field: &Field| match field {
            Field::Email => before.email != after.email,
            Field::Name => before.name != after.name,
            Field::Role => before.role != after.role,
        };
        self.fields = Field::ALL.into_iter().filter(changed).collect();
        self.role = (before.role != after.role).then_some(after.role);
        self
    }

    /// The names of what was changed, with commas between them, as the store and the log have them.
    #[must_use]
    pub fn field_names(&self) -> String {
        self.fields.iter().map(|field| field.as_str()).collect::<Vec<_>>().join(",")
    }

    /// Reads back what [`Entry::field_names`] wrote.
    ///
    /// # Errors
    /// `unknown_field`.
    pub fn parse_fields(text: &str) -> Result<Vec<Field>, Fault> {
        let field = |name: &str| Field::ALL.into_iter().find(|field| field.as_str() == name);
        let names = text.split(',').filter(|name| !name.is_empty());
        names.map(|name| field(name).ok_or(Fault::new("unknown_field", "must be a field of an account"))).collect()
    }

    /// One line in the log, once it has been done.
    pub(in crate::domain) fn tell(&self) {
        let actor = match self.actor {
            Actor::Admin(id) => id.0.to_string(),
            Actor::CommandLine => Actor::COMMAND_LINE.to_owned(),
        };
        tracing::info!(
            target: "glasshouse::audit",
            {
                audit.id = %self.id.0,
                audit.actor = actor,
                audit.action = self.action.as_str(),
                audit.subject = %self.subject.0,
                audit.fields = self.field_names(),
                audit.role = self.role.map(Role::as_str)
            },
            "an admin acted on an account"
        );
    }
}
