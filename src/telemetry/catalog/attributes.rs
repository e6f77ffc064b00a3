//! Attributes of spans, log records and resources: OpenTelemetry's where there are some, below `glasshouse.` otherwise.
//!
//! A line of the log has short names ([`super::FIELDS`]); exported log records have the names that [`attribute`] returns.

use std::{borrow::Cow, fmt};

/// The type of an attribute's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// Text; also where OpenTelemetry lists the values.
    String,
    /// A list of texts.
    Strings,
    /// A whole number.
    Int,
    /// A number with fractions.
    Double,
    /// True or false.
    Boolean,
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::String => "string",
            Self::Strings => "string[]",
            Self::Int => "int",
            Self::Double => "double",
            Self::Boolean => "boolean",
        })
    }
}

/// What names that OpenTelemetry does not have begin with.
pub const NAMESPACE: &str = "glasshouse.";

/// Attributes of OpenTelemetry's registry, with the types that it gives them, in alphabetical order.
pub const REGISTRY: &[(&str, ValueType)] = &[
    ("client.address", ValueType::String),
    ("code.function.name", ValueType::String),
    ("code.stacktrace", ValueType::String),
    ("db.client.connection.pool.name", ValueType::String),
    ("db.client.connection.state", ValueType::String),
    ("db.collection.name", ValueType::String),
    ("db.namespace", ValueType::String),
    ("db.operation.name", ValueType::String),
    ("db.query.summary", ValueType::String),
    ("db.query.text", ValueType::String),
    ("db.response.returned_rows", ValueType::Int),
    ("db.response.status_code", ValueType::String),
    ("db.system.name", ValueType::String),
    ("deployment.environment.name", ValueType::String),
    ("error.type", ValueType::String),
    ("exception.message", ValueType::String),
    ("exception.stacktrace", ValueType::String),
    ("exception.type", ValueType::String),
    ("http.request.body.size", ValueType::Int),
    ("http.request.header.x-request-id", ValueType::Strings),
    ("http.request.method", ValueType::String),
    ("http.request.method_original", ValueType::String),
    ("http.response.body.size", ValueType::Int),
    ("http.response.status_code", ValueType::Int),
    ("http.route", ValueType::String),
    ("network.peer.address", ValueType::String),
    ("network.protocol.name", ValueType::String),
    ("network.protocol.version", ValueType::String),
    ("server.address", ValueType::String),
    ("server.port", ValueType::Int),
    ("service.instance.id", ValueType::String),
    ("service.name", ValueType::String),
    ("service.version", ValueType::String),
    ("session.id", ValueType::String),
    ("telemetry.sdk.language", ValueType::String),
    ("telemetry.sdk.name", ValueType::String),
    ("telemetry.sdk.version", ValueType::String),
    ("thread.name", ValueType::String),
    ("url.path", ValueType::String),
    ("url.scheme", ValueType::String),
    ("user.id", ValueType::String),
    ("user_agent.original", ValueType::String),
];

/// Attributes that only spans carry, beside those of the registry: the name without its namespace, the type, the meaning.
pub(super) const OF_SPANS: &[(&str, ValueType, &str)] =
    &[("db.affected_rows", ValueType::Int, "How many rows a statement wrote")];

/// Fields of the log whose values are no text; [`REGISTRY`] has the types of its own.
const TYPED: &[(&str, ValueType)] = &[
    ("audit_entries", ValueType::Int),
    ("budget_seconds", ValueType::Double),
    ("clock.offset_seconds", ValueType::Double),
    ("complete", ValueType::Boolean),
    ("console.clients", ValueType::Int),
    ("db.duration_seconds", ValueType::Double),
    ("db.queries", ValueType::Int),
    ("db.wait_seconds", ValueType::Double),
    ("duration_seconds", ValueType::Double),
    ("idempotency_keys", ValueType::Int),
    ("migration.version", ValueType::Int),
    ("retry_seconds", ValueType::Double),
    ("sessions", ValueType::Int),
    ("stall.id", ValueType::Int),
    ("stall.seconds", ValueType::Double),
    ("took_seconds", ValueType::Double),
];

/// The attribute of an exported log record that a field of a line becomes. What neither OpenTelemetry nor the namespace
/// has, such as a field of a library, goes below the namespace.
#[must_use]
pub fn attribute(field: &str) -> Cow<'_, str> {
    if registered(field).is_some() || field.starts_with(NAMESPACE) {
        return Cow::Borrowed(field);
    }
    Cow::Owned(format!("{NAMESPACE}{field}"))
}

/// The type that OpenTelemetry's registry gives an attribute; nothing if it has none of that name.
#[must_use]
pub fn registered(name: &str) -> Option<ValueType> {
    let at = REGISTRY.binary_search_by_key(&name, |(known, _)| known).ok()?;
    Some(REGISTRY[at].1)
}

/// The type of a field's values.
pub(super) fn field_type(field: &str) -> ValueType {
    let typed = || TYPED.iter().find(|(known, _)| *known == field).map(|(_, value)| *value);
    registered(field).or_else(typed).unwrap_or(ValueType::String)
}

#[cfg(test)]
mod tests {
    use super::{super::FIELDS, REGISTRY, TYPED, attribute};

    #[test]
    fn registry_is_sorted_and_fields_are_known() {
        assert!(REGISTRY.is_sorted_by(|(one, _), (two, _)| one < two));
        for (name, _) in TYPED {
            assert!(FIELDS.iter().any(|field| field.name == *name), "{name} is no field of the log");
        }
    }

    #[test]
    fn exported_attribute_is_registered_or_below_the_namespace() {
        assert_eq!(attribute("http.route"), "http.route");
        assert_eq!(attribute("request_id"), "glasshouse.request_id");
        assert_eq!(attribute("glasshouse.request_id"), "glasshouse.request_id");
    }
}
