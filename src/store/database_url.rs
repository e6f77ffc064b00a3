//! What `DATABASE_URL` may say: the parameters that each engine understands, and what is wrong with a URL.

use url::Url;

/// A parameter that the driver understands.
#[derive(Debug, PartialEq, Eq)]
pub struct Parameter {
    /// As it is written, in lower case.
    pub name: &'static str,
    /// The values that it accepts.
    pub accepts: &'static str,
}

const fn parameter(name: &'static str, accepts: &'static str) -> Parameter {
    Parameter { name, accepts }
}

const SSL_MODES: &str = "disable, allow, prefer, require, verify-ca or verify-full";

/// What PostgreSQL's driver reads: libpq's names, and the driver's own.
pub(super) const POSTGRES: &[Parameter] = &[
    parameter("application_name", "a name"),
    parameter("dbname", "the name of a database"),
    parameter("host", "a host name, an address, or the folder of a socket"),
    parameter("hostaddr", "an IP address"),
    parameter("options", "options of the server, such as -c search_path=users"),
    parameter("password", "a password"),
    parameter("port", "a number from 0 to 65535"),
    parameter("sslcert", "the path of a certificate"),
    parameter("sslkey", "the path of a private key"),
    parameter("sslmode", SSL_MODES),
    parameter("sslrootcert", "the path of certificates"),
    parameter("user", "the name of a user"),
    parameter("ssl-ca", "the path of certificates"),
    parameter("ssl-cert", "the path of a certificate"),
    parameter("ssl-key", "the path of a private key"),
    parameter("ssl-mode", SSL_MODES),
    parameter("ssl-root-cert", "the path of certificates"),
    parameter("statement-cache-capacity", "a whole number"),
];

/// What SQLite's driver reads. `immutable` is missing: a file that nothing changes cannot hold this service's data.
pub(super) const SQLITE: &[Parameter] = &[
    parameter("cache", "private or shared"),
    parameter("mode", "mode rwc or rw"),
    parameter("vfs", "the name of a VFS"),
];

/// Why no engine can work with a URL. Names parameters, and never repeats a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// The URL is of another form; the text says of which it must be.
    #[error("{0}")]
    Form(&'static str),
    /// The driver would ignore this parameter, and with it what was asked for.
    #[error("a URL with parameters of this list: {}; `{name}` is not among them", names(.known))]
    Unknown {
        /// The parameter.
        name: String,
        /// Those that are understood.
        known: &'static [Parameter],
    },
    /// Only the last value would count.
    #[error("a URL that gives `{0}` once")]
    Repeated(&'static str),
    /// The value is not accepted.
    #[error("a URL whose `{name}` is {accepts}")]
    Value {
        /// The parameter.
        name: &'static str,
        /// The values that it accepts.
        accepts: &'static str,
    },
}

fn names(known: &[Parameter]) -> String {
    known.iter().map(|parameter| parameter.name).collect::<Vec<_>>().join(", ")
}

/// The characters that end a part of the URL where they are not encoded.
const ENCODED: &str = "a percent-encoded URL: in user, password and file name `#` is written %23 and `?` %3F, in user \
                       and password also `/` %2F and `@` %40";

/// Refuses what the driver would ignore, log, or take for another part of the URL.
///
/// # Errors
/// The first fault, as [`UrlError`] says.
pub(super) fn check(
    url: &Url,
    known: &'static [Parameter],
    accepts: impl Fn(&str, &str) -> bool,
) -> Result<(), UrlError> {
    if url.fragment().is_some() {
        return Err(UrlError::Form(ENCODED));
    }
    // `postgres://u:5/ss@host` and `postgres://u:5?s=s@host`: what was meant as a password is a port and a path.
    let rest = if url.path().is_empty() { url.query().unwrap_or_default() } else { url.path() };
    if url.scheme() != "sqlite" && url.username().is_empty() && rest.contains('@') {
        return Err(UrlError::Form(ENCODED));
    }
    let mut seen = Vec::new();
    for (name, value) in url.query_pairs() {
        let Some(parameter) = known.iter().find(|known| known.name == name) else {
            // `options[search_path]=users` is the driver's own form, for any option of the server.
            let is_option = name.starts_with("options[") && name.ends_with(']');
            if is_option && known.iter().any(|known| known.name == "options") {
                continue;
            }
            let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            // What is no name may be a part of a password.
            return Err(if (1..=64).contains(&name.len()) && name.chars().all(is_name) {
                UrlError::Unknown { name: name.into_owned(), known }
            } else {
                UrlError::Form(ENCODED)
            });
        };
        // The driver puts several `options` together; of all others the last would count.
        if seen.contains(&parameter.name) && parameter.name != "options" {
            return Err(UrlError::Repeated(parameter.name));
        }
        seen.push(parameter.name);
        if !accepts(&name, &value) {
            return Err(UrlError::Value { name: parameter.name, accepts: parameter.accepts });
        }
    }
    Ok(())
}
