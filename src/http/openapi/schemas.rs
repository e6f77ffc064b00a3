//! The shapes of what goes in and out, as exact as the code that reads them.

use std::ops::RangeInclusive;

use serde_json::json;
use utoipa::openapi::{
    ComponentsBuilder, HeaderBuilder, KnownFormat, Ref, SchemaFormat,
    schema::{AdditionalProperties, ArrayBuilder, ObjectBuilder, OneOfBuilder, SchemaType, Type},
};

use crate::domain::{
    audit::{Action, Field},
    auth::{Password, RefreshToken},
    users::{Email, Limit, Name, Role},
};

/// White space beyond ASCII that a name may contain.
const SPACES: [RangeInclusive<char>; 6] = [
    '\u{a0}'..='\u{a0}',
    '\u{1680}'..='\u{1680}',
    '\u{2000}'..='\u{200a}',
    '\u{202f}'..='\u{202f}',
    '\u{205f}'..='\u{205f}',
    '\u{3000}'..='\u{3000}',
];
const JOINERS: RangeInclusive<char> = '\u{200c}'..='\u{200d}';
const SELECTORS: RangeInclusive<char> = '\u{fe0e}'..='\u{fe0f}';

/// What [`Name::parse`] accepts, beside its length: nothing invisible, something that is not white space, variation
/// selectors after a character beyond ASCII, and joiners only between two of these.
///
/// Patterns keep to JSON Schema Core, section 6.4: no look-around, so that linear engines (RE2, Go, Rust) accept them,
/// and the characters themselves instead of `\u` escapes, which Go does not know. A class must not hold characters beyond
/// U+FFFF, because JavaScript without the `u` flag reads each as two. They are allowed as what is not below; that those
/// from U+E0000 on are refused stands in the description.
fn name_pattern() -> String {
    let ranges = |ranges: &[RangeInclusive<char>]| ranges.iter().map(range).collect::<String>();
    let excluded = ['\0'..='\u{9f}', JOINERS, SELECTORS, '\u{10000}'..=char::MAX];
    let excluded = [&excluded[..], &Name::INVISIBLE, &SPACES].concat();
    let space = format!(" {}", ranges(&SPACES));
    let (other, joiner, selector) = (ranges(&complement(excluded)), range(&JOINERS), range(&SELECTORS));
    let varied = format!("([{other}]|[^\\x00-\u{ffff}])[{selector}]?");
    let visible = format!("[!-~]|{varied}([{joiner}]{varied})*");
    format!("^[{space}]*({visible})([{space}]|{visible})*$")
}

fn range(range: &RangeInclusive<char>) -> String {
    if range.start() == range.end() { range.start().to_string() } else { format!("{}-{}", range.start(), range.end()) }
}

/// The characters that are in none of these ranges.
fn complement(mut excluded: Vec<RangeInclusive<char>>) -> Vec<RangeInclusive<char>> {
    excluded.sort_unstable_by_key(|range| *range.start());
    let mut next = Some('\0');
    let mut left = Vec::new();
    for range in excluded {
        let (before, after) = (('\0'..*range.start()).next_back(), (*range.end()..=char::MAX).nth(1));
        left.extend(next.zip(before).map(|(start, end)| start..=end).filter(|range| !range.is_empty()));
        next = next.zip(after).map(|(next, after)| next.max(after));
    }
    left
}

/// Everything that operations refer to by name.
pub(super) fn components() -> ComponentsBuilder {
    ComponentsBuilder::new()
        .schema("Role", role())
        .schema("AuditAction", words(Action::ALL.map(Action::as_str), "What was done to the account."))
        .schema("UserField", words(Field::ALL.map(Field::as_str), "What of an account can be changed."))
        .schema("User", user())
        .schema("Users", users())
        .schema("Registration", registration())
        .schema("Replacement", replacement())
        .schema("Change", change())
        .schema("PasswordChange", password_change())
        .schema("Credentials", credentials())
        .schema("Refresh", refresh())
        .schema("Grant", grant())
        .schema("Entry", entry())
        .schema("Entries", entries())
        .schema("Fault", fault())
        .schema("Problem", problem())
        .header("X-Request-ID", header(text("Which request this was: yours if you named it, else ours.", 1, 128)))
        .header("ETag", header(text("Which version of the account this is; for If-Match.", 1, 80)))
        .header("Location", header(text("Where the account is.", 1, 60)))
        .header("WWW-Authenticate", header(text("Bearer, and what is wrong with the one shown.", 1, 300)))
        .header("Retry-After", header(text("After how many seconds to try again.", 1, 20)))
        .header("RateLimit", header(text("What is left of each limit, and in how many seconds more.", 1, 200)))
        .header(
            "RateLimit-Policy",
            header(text("Each limit: how many at once, and in how many seconds again.", 1, 200)),
        )
}

fn header(schema: ObjectBuilder) -> utoipa::openapi::Header {
    HeaderBuilder::new().schema(Some(schema)).build()
}

/// An object that has these members and no others.
pub(super) fn closed() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Object).additional_properties(Some(AdditionalProperties::FreeForm(false)))
}

pub(super) fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

pub(super) fn text(description: &str, min: usize, max: usize) -> ObjectBuilder {
    string().description(Some(description)).min_length(Some(min)).max_length(Some(max))
}

/// Without an example, the page to try the document in would register the asterisks that it shows for a password.
const EXAMPLE_PASSWORD: &str = "correct horse battery";

#[expect(deprecated, reason = "openapi-generator reads no `examples`, and can make none up for the pattern of a name")]
fn with_example(schema: ObjectBuilder, example: &str) -> ObjectBuilder {
    schema.example(Some(json!(example)))
}

fn email() -> ObjectBuilder {
    let text = text("ASCII; unique ignoring case; at most 64 characters before the @.", 3, Email::MAX_OCTETS);
    with_example(text, "ann@example.com")
}

fn name() -> ObjectBuilder {
    let text = text("Without control characters and others that cannot be seen.", 1, Name::MAX_CHARS);
    with_example(text, "Ann Lee")
}

/// An address as a client sends it. Answers have no patterns: a client must accept every address that an account has,
/// also one that was registered under older rules.
fn new_email() -> ObjectBuilder {
    email().pattern(Some(Email::pattern()))
}

fn new_name() -> ObjectBuilder {
    name().pattern(Some(name_pattern()))
}

fn password() -> ObjectBuilder {
    let text = text("Any characters; there are no rules of composition.", Password::MIN_CHARS, Password::MAX_CHARS)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)));
    with_example(text, EXAMPLE_PASSWORD)
}

/// A password that is shown: anything may be, only the right one is right.
fn shown_password() -> ObjectBuilder {
    let text = string().format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)));
    with_example(text, EXAMPLE_PASSWORD)
}

fn words<const N: usize>(words: [&'static str; N], description: &str) -> ObjectBuilder {
    string().description(Some(description)).enum_values(Some(words))
}

fn role() -> ObjectBuilder {
    words(Role::ALL.map(Role::as_str), "What a user may do: admins may do everything to everyone.")
}

pub(super) fn id() -> ObjectBuilder {
    string().format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))
}

pub(super) fn limit() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1))
        .maximum(Some(Limit::MAX))
        .default(Some(json!(Limit::default().get())))
}

pub(super) fn email_prefix() -> ObjectBuilder {
    text("How addresses begin, ignoring case.", 1, Email::MAX_OCTETS).pattern(Some("^[!-~]+$"))
}

/// An id behind the byte 1, or the key of an address behind the byte 3; in base64url.
pub(super) fn cursor() -> ObjectBuilder {
    cursor_text(MAX_CURSOR)
        .pattern(Some("^(AQ[A-Za-z0-9_-]{20}[AEIMQUYcgkosw048]|A[w-z0-9_-][A-Za-z0-9_-]{1,338})$"))
        .description(Some("The `next` of a page, unchanged, of a list that had an `email_prefix` if this one has."))
}

/// An id behind the byte 2.
pub(super) fn audit_cursor() -> ObjectBuilder {
    cursor_text(ID_CURSOR).pattern(Some("^Ag[A-Za-z0-9_-]{20}[AEIMQUYcgkosw048]$"))
}

/// The characters of 17 bytes in base64url.
const ID_CURSOR: usize = 23;
/// The characters of a byte and the longest address.
const MAX_CURSOR: usize = (1 + Email::MAX_OCTETS).div_ceil(3) * 4;

fn cursor_text(max: usize) -> ObjectBuilder {
    text("The `next` of a page, unchanged.", 3, max)
}

/// The `next` of a page in an answer.
fn next_cursor(max: usize) -> ObjectBuilder {
    cursor_text(max)
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .description(Some("The `cursor` of the next page; null on the last one."))
}

/// A string of RFC 9651, or what would stand in one.
pub(super) fn idempotency_key() -> ObjectBuilder {
    string().pattern(Some(r#"^([!#-+\--\[\]-~]{1,255}|"([!#-\[\]-~]|\\["\\]){1,255}")$"#))
}

pub(super) fn entity_tags() -> ObjectBuilder {
    string()
}

/// Text, since a number could be written with an exponent.
pub(super) fn request_timeout() -> ObjectBuilder {
    text("Seconds above zero.", 1, 16).pattern(Some(r"^([1-9][0-9]{0,8}(\.[0-9]{1,6})?|0\.[0-9]{0,5}[1-9])$"))
}

fn moment(description: &str) -> ObjectBuilder {
    string().description(Some(description)).format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
}

pub(super) fn required(object: ObjectBuilder, names: &[&str]) -> ObjectBuilder {
    names.iter().fold(object, |object, name| object.required(*name))
}

fn user() -> ObjectBuilder {
    let object = closed()
        .description(Some("An account."))
        .property("id", id())
        .property("email", email())
        .property("name", name())
        .property("role", named("Role"))
        .property("created_at", moment("When it registered, in UTC."))
        .property("updated_at", moment("When it last changed, in UTC."));
    required(object, &["id", "email", "name", "role", "created_at", "updated_at"])
}

fn users() -> ObjectBuilder {
    let most = usize::try_from(Limit::MAX).unwrap_or(usize::MAX);
    let page = ArrayBuilder::new().items(Ref::from_schema_name("User")).max_items(Some(most));
    let object = closed()
        .description(Some("A page of accounts."))
        .property("users", page)
        .property("next", next_cursor(MAX_CURSOR));
    required(object, &["users", "next"])
}

fn registration() -> ObjectBuilder {
    let object = closed()
        .description(Some("What becomes an account."))
        .property("email", new_email())
        .property("name", new_name())
        .property("password", password());
    required(object, &["email", "name", "password"])
}

fn change() -> ObjectBuilder {
    closed()
        .description(Some("A merge patch (RFC 7396) of an account: what is absent stays; null is refused."))
        .property("email", new_email())
        .property("name", new_name())
        .property("role", named("Role"))
}

fn replacement() -> ObjectBuilder {
    required(change().description(Some("All that can be changed; a role that is absent stays.")), &["email", "name"])
}

fn password_change() -> ObjectBuilder {
    let object = closed()
        .description(Some("The password as it is and as it shall be."))
        .property("old_password", shown_password())
        .property("new_password", password());
    required(object, &["old_password", "new_password"])
}

fn credentials() -> ObjectBuilder {
    let object = closed()
        .description(Some("What proves who somebody is. What can be no address gets the answer of a wrong one."))
        .property("email", with_example(string(), "ann@example.com"))
        .property("password", shown_password());
    required(object, &["email", "password"])
}

fn refresh() -> ObjectBuilder {
    let object =
        closed().description(Some("A refresh token; each is accepted once.")).property("refresh_token", string());
    required(object, &["refresh_token"])
}

fn grant() -> ObjectBuilder {
    let length = RefreshToken::TEXT_LENGTH;
    let object = closed()
        .description(Some("Tokens, as RFC 6749 writes them."))
        .property("access_token", text("Goes into `Authorization: Bearer …`.", 1, 2048))
        .property("token_type", with_example(text("Always `Bearer`.", 1, 20), "Bearer"))
        .property(
            "expires_in",
            ObjectBuilder::new()
                .schema_type(Type::Integer)
                .description(Some("For how many seconds the access token is valid."))
                .minimum(Some(0)),
        )
        .property("refresh_token", text("Exchanged once for the next grant.", length, length));
    required(object, &["access_token", "token_type", "expires_in", "refresh_token"])
}

fn entry() -> ObjectBuilder {
    let nullable = |schema: ObjectBuilder| schema.schema_type(SchemaType::from_iter([Type::String, Type::Null]));
    let actor = text("Which admin; `cli` is the command line.", 3, 36);
    let fields = ArrayBuilder::new()
        .description(Some("What of the account was changed."))
        .items(named("UserField"))
        .max_items(Some(Field::ALL.len()));
    let role = OneOfBuilder::new()
        .item(named("Role"))
        .item(ObjectBuilder::new().schema_type(Type::Null))
        .description(Some("The role that was given, where one was."));
    let request_id = nullable(text("Finds the request in our logs.", 1, 128));
    let object = closed()
        .description(Some("What an admin did to an account. The accounts may be gone."))
        .property("id", id())
        .property("at", moment("When, in UTC."))
        .property("actor", actor)
        .property("action", named("AuditAction"))
        .property("subject", id())
        .property("fields", fields)
        .property("role", role)
        .property("request_id", request_id);
    required(object, &["id", "at", "actor", "action", "subject", "fields", "role", "request_id"])
}

fn entries() -> ObjectBuilder {
    let most = usize::try_from(Limit::MAX).unwrap_or(usize::MAX);
    let page = ArrayBuilder::new().items(Ref::from_schema_name("Entry")).max_items(Some(most));
    let object = closed()
        .description(Some("A page of the audit trail, the newest first."))
        .property("entries", page)
        .property("next", next_cursor(ID_CURSOR));
    required(object, &["entries", "next"])
}

fn fault() -> ObjectBuilder {
    let object = closed()
        .description(Some("What is wrong with one field."))
        .property("field", text("The member or parameter; empty for the whole.", 0, 64))
        .property("code", text("Stable.", 1, 64))
        .property("message", text("What is accepted.", 1, 200));
    required(object, &["field", "code", "message"])
}

fn problem() -> ObjectBuilder {
    let status = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .description(Some("The status, again."))
        .minimum(Some(400))
        .maximum(Some(599));
    let faults = ArrayBuilder::new().items(Ref::from_schema_name("Fault")).max_items(Some(32));
    let object = closed()
        .description(Some("A problem document (RFC 9457)."))
        .property("type", with_example(text("Always `about:blank`: `code` says what happened.", 1, 20), "about:blank"))
        .property("title", text("The status in words.", 1, 64))
        .property("status", status)
        .property("detail", text("What happened, for people.", 1, 300))
        .property("code", text("What happened, for programs: stable.", 1, 64))
        .property("errors", faults)
        .property("request_id", text("Finds the request in our logs.", 1, 128))
        .property("trace_id", text("Finds the request in our traces.", 32, 32));
    required(object, &["type", "title", "status", "detail", "code", "request_id", "trace_id"])
}

/// The schema of that name.
pub(super) fn named(name: &str) -> Ref {
    Ref::from_schema_name(name)
}
