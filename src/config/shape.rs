//! What a setting accepts, and reading it from text or from TOML.

use std::{fmt, net::SocketAddr, str::FromStr, time::Duration};

use ipnet::IpNet;
use secrecy::SecretString;
use toml::de::DeValue;
use url::Url;

use super::{pairs, print};
use crate::telemetry;

/// What a setting accepts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Whole { min: u64, max: u64 },
    /// A fraction from 0 to 1.
    Ratio,
    /// Bytes: a number, or a number of KiB or MiB.
    Size { min: u64, max: u64 },
    /// A length of time with its unit.
    Duration { min: Duration, max: Duration },
    /// A length of time in milliseconds, without a unit: OpenTelemetry's way.
    Milliseconds { min: u64, max: u64 },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Any text.
    Text,
    /// A secret that travels in a header.
    Token,
    /// A secret of several lines.
    Pem,
    /// A path.
    Path,
    /// Paths.
    Paths,
    /// An address and port.
    Address,
    /// A URL with one of these schemes.
    Url(&'static [&'static str]),
    /// A collector's URL; without a scheme, host and port.
    Endpoint,
    /// IP networks.
    Networks,
    /// Host names.
    Hosts,
    /// Origins of web pages.
    Origins,
    /// Words.
    Words,
    /// An `EnvFilter`.
    Filter,
    /// `key=value` pairs, percent-encoded.
    Pairs,
    /// The same, for headers, whose values are secret.
    Headers,
}

/// What a setting holds.
#[derive(Clone)]
pub(super) enum Value {
    Flag(bool),
    Whole(u64),
    Ratio(f64),
    Duration(Duration),
    Text(String),
    Secret(SecretString),
    Address(SocketAddr),
    Url(Url),
    Networks(Vec<IpNet>),
    Texts(Vec<String>),
    Pairs(Vec<(String, String)>),
    Headers(Vec<(String, SecretString)>),
}

/// What somebody wrote: a variable's text, or a value in a file.
#[derive(Clone, Copy)]
pub(super) enum Given<'a> {
    Text(&'a str),
    Toml(&'a DeValue<'a>),
}

/// The shortest accepted token, in characters.
const MIN_TOKEN_CHARS: usize = 16;

impl Shape {
    /// Whether what was read must never be shown.
    pub(super) const fn is_secret(self) -> bool {
        matches!(self, Self::Token | Self::Pem | Self::Headers)
    }

    /// Whether a file holds it as an array.
    pub(super) const fn is_list(self) -> bool {
        matches!(self, Self::Paths | Self::Networks | Self::Hosts | Self::Origins | Self::Words)
    }

    /// Reads a value; none if it is not accepted.
    pub(super) fn read(self, given: Given<'_>) -> Option<Value> {
        match self {
            Self::Flag => given.flag().map(Value::Flag),
            Self::Whole { min, max } => given.whole().filter(|number| (min..=max).contains(number)).map(Value::Whole),
            Self::Ratio => given.parsed::<f64>().filter(|ratio| (0.0..=1.0).contains(ratio)).map(Value::Ratio),
            Self::Size { min, max } => given.size().filter(|size| (min..=max).contains(size)).map(Value::Whole),
            Self::Duration { min, max } => {
                let duration = humantime::parse_duration(given.text()?).ok()?;
                (min..=max).contains(&duration).then_some(Value::Duration(duration))
            }
            Self::Milliseconds { min, max } => given
                .whole()
                .filter(|number| (min..=max).contains(number))
                .map(|number| Value::Duration(Duration::from_millis(number))),
            Self::Choice(words) => {
                given.text().filter(|text| words.contains(text)).map(|text| Value::Text(text.to_owned()))
            }
            Self::Text | Self::Path => {
                let text = given.text().filter(|text| !text.chars().any(char::is_control))?;
                (text.trim() == text).then(|| Value::Text(text.to_owned()))
            }
            Self::Token => given
                .text()
                .filter(|text| text.len() >= MIN_TOKEN_CHARS && text.bytes().all(|byte| byte.is_ascii_graphic()))
                .map(|text| Value::Secret(text.into())),
            Self::Pem => given.text().map(|text| Value::Secret(text.into())),
            Self::Address => given.parsed().map(Value::Address),
            Self::Url(schemes) => given.parsed::<Url>().filter(|url| schemes.contains(&url.scheme())).map(Value::Url),
            Self::Endpoint => given.text().filter(|text| is_endpoint(text)).map(|text| Value::Text(text.to_owned())),
            Self::Networks => {
                given.items()?.iter().map(|item| network(item)).collect::<Option<_>>().map(Value::Networks)
            }
            Self::Hosts => given.items().filter(|items| items.iter().all(|item| is_host(item))).map(Value::Texts),
            Self::Origins => given.items().filter(|items| items.iter().all(|item| is_origin(item))).map(Value::Texts),
            Self::Paths | Self::Words => given.items().map(Value::Texts),
            Self::Filter => given
                .text()
                .filter(|text| telemetry::LogFilter::fault(text).is_none())
                .map(|text| Value::Text(text.to_owned())),
            Self::Pairs => pairs::attributes(given.text()?).map(Value::Pairs),
            Self::Headers => pairs::headers(given.text()?).map(Value::Headers),
        }
    }

    /// What it holds where nothing was said and there is no default.
    pub(super) const fn empty(self) -> Option<Value> {
        match self {
            Self::Networks => Some(Value::Networks(Vec::new())),
            Self::Paths | Self::Hosts | Self::Origins | Self::Words => Some(Value::Texts(Vec::new())),
            Self::Pairs => Some(Value::Pairs(Vec::new())),
            Self::Headers => Some(Value::Headers(Vec::new())),
            _ => None,
        }
    }
}

/// What is accepted, in words.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("true or false"),
            Self::Whole { min, max } => write!(f, "a whole number from {min} to {max}"),
            Self::Ratio => f.write_str("a number from 0 to 1"),
            Self::Size { min, max } => {
                write!(f, "a number of bytes, or of KiB or MiB such as 64KiB, from {min} to {max} bytes")
            }
            Self::Duration { min, max } => write!(
                f,
                "a duration with its unit, such as 250ms, 10s or 15m, from {} to {}",
                print::duration(*min),
                print::duration(*max)
            ),
            Self::Milliseconds { min, max } => write!(f, "a whole number of milliseconds from {min} to {max}"),
            Self::Choice(words) => f.write_str(&words.join(", ")),
            Self::Text => f.write_str("text on one line, without spaces around it"),
            Self::Token => {
                write!(f, "at least {MIN_TOKEN_CHARS} visible ASCII characters, without spaces and line breaks")
            }
            Self::Pem => f.write_str("a private key as PKCS#8 PEM, as `openssl genpkey` writes it"),
            Self::Path => f.write_str("a path"),
            Self::Paths => f.write_str("a list of paths"),
            Self::Address => f.write_str("an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080"),
            Self::Url(schemes) => write!(f, "a URL that begins with {}", schemes.join(":// or ") + "://"),
            Self::Endpoint => f.write_str("a URL that begins with http:// or https://, or for grpc a host and port"),
            Self::Networks => f.write_str("a list of IP addresses and networks, such as 10.0.0.0/8"),
            Self::Hosts => f.write_str("a list of host names, without ports"),
            Self::Origins => f.write_str(
                "a list of origins as browsers write them, such as https://app.example.com: without path, final \
                     slash and default port, and no `*`",
            ),
            Self::Words => f.write_str("a list of words"),
            Self::Filter => f.write_str(
                "a level (error, warn, info, debug, trace, off), or levels by target such as info,glasshouse=debug",
            ),
            Self::Pairs => f.write_str("pairs such as key=value,key2=value2, percent-encoded"),
            Self::Headers => f.write_str("headers such as name=value,name2=value2, percent-encoded"),
        }
    }
}

impl<'a> Given<'a> {
    /// An empty text says nothing, wherever it stands.
    pub(super) fn is_empty(self) -> bool {
        self.text() == Some("")
    }

    fn text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Toml(value) => value.as_str(),
        }
    }

    fn parsed<T: FromStr>(self) -> Option<T> {
        self.text()?.parse().ok()
    }

    fn flag(self) -> Option<bool> {
        match self {
            Self::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Self::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
            Self::Text(_) => None,
            Self::Toml(value) => value.as_bool(),
        }
    }

    fn whole(self) -> Option<u64> {
        match self {
            Self::Text(text) => text.parse().ok(),
            Self::Toml(value) => {
                let number = value.as_integer()?;
                u64::from_str_radix(number.as_str(), number.radix()).ok()
            }
        }
    }

    fn size(self) -> Option<u64> {
        let Some(text) = self.text() else { return self.whole() };
        let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
        let factor = match unit {
            "" => 1,
            "KiB" => 1024,
            "MiB" => 1024 * 1024,
            _ => return None,
        };
        digits.parse::<u64>().ok()?.checked_mul(factor)
    }

    /// The items of a list: separated by commas in a variable, an array of texts in a file.
    fn items(self) -> Option<Vec<String>> {
        match self {
            Self::Text(text) => {
                Some(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect())
            }
            Self::Toml(value) => {
                value.as_array()?.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect()
            }
        }
    }
}

/// A network, or the network of one address.
fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse().ok().map(|address: std::net::IpAddr| address.into()))
}

fn is_host(text: &str) -> bool {
    (1..=253).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
}

/// Scheme, host, and the port if it is not the scheme's own: what a browser sends as `Origin`, and nothing after it.
fn is_origin(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && !text.contains('*') && url.origin().ascii_serialization() == text
    })
}

fn is_endpoint(text: &str) -> bool {
    let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    Url::parse(&url)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host() && url.fragment().is_none())
}
