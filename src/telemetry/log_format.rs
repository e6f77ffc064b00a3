//! How a log line looks: one JSON object, or something for people.

use std::fmt::{self, Write};

use chrono::{DateTime, SecondsFormat, Utc};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use super::{Counter, Metrics, Request, catalog, traces};

/// Writes events, and counts them by level.
pub(super) struct LogLine {
    pretty: bool,
    /// `"service.name":"…","service.version":"…"`, the same on every line.
    service: String,
    count: Counter,
}

impl LogLine {
    pub(super) fn new(pretty: bool, service_name: &str, metrics: &Metrics) -> Self {
        let mut service = String::new();
        let mut json = Json { out: &mut service, result: Ok(()) };
        json.string("service.name", service_name);
        json.string("service.version", env!("CARGO_PKG_VERSION"));
        let count = metrics.counter(&catalog::LOG_LINES);
        for level in LEVELS {
            count.add(&[word(level)], 0);
        }
        Self { pretty, service, count }
    }

    fn json(&self, out: &mut dyn Write, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        write!(out, "{{\"timestamp\":\"{}\"", now().to_rfc3339_opts(SecondsFormat::Micros, true))?;
        let mut json = Json { out, result: Ok(()) };
        json.string("level", metadata.level().as_str());
        json.string("target", metadata.target());
        json.raw(&self.service);
        if let Some(ids) = traces::current() {
            json.string("trace_id", &ids.trace.to_string());
            json.string("span_id", &ids.span.to_string());
        }
        Request::with_current(|request| {
            json.string("request_id", request.id());
            if let Some(user) = request.user() {
                json.string("user.id", user);
            }
        });
        event.record(&mut json);
        json.result?;
        out.write_str("}\n")
    }
}

const LEVELS: [Level; 5] = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];

const fn word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

#[expect(clippy::disallowed_methods, reason = "a line tells when it was written, whatever time the domain believes in")]
fn now() -> DateTime<Utc> {
    Utc::now()
}

impl<S, N> FormatEvent<S, N> for LogLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        self.count.inc(&[word(*event.metadata().level())]);
        if self.pretty { pretty(&mut out, event) } else { self.json(&mut out, event) }
    }
}

/// `12:00:01.123  INFO glasshouse::http  message  key=value … request_id=…`
fn pretty(out: &mut Writer<'_>, event: &Event<'_>) -> fmt::Result {
    let metadata = event.metadata();
    let (dim, strong, plain) =
        if out.has_ansi_escapes() { ("\x1b[2m", color(*metadata.level()), "\x1b[0m") } else { ("", "", "") };
    write!(out, "{dim}{}{plain} {strong}{:>5}{plain} ", now().format("%H:%M:%S%.3f"), metadata.level())?;
    write!(out, "{dim}{}{plain} ", metadata.target())?;
    let mut text = Text { out, result: Ok(()) };
    event.record(&mut text);
    text.result?;
    if let Some(ids) = traces::current() {
        write!(out, " {dim}trace_id={}{plain}", ids.trace)?;
    }
    Request::with_current(|request| write!(out, " {dim}request_id={}{plain}", request.id())).unwrap_or(Ok(()))?;
    out.write_str("\n")
}

const fn color(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG | Level::TRACE => "\x1b[34m",
    }
}

/// Members of an object that has been begun.
struct Json<'a> {
    out: &'a mut dyn Write,
    result: fmt::Result,
}

impl Json<'_> {
    /// `,"key":` and whatever `value` writes; the first failure is kept and ends the writing.
    fn member(&mut self, key: &str, value: impl FnOnce(&mut dyn Write) -> fmt::Result) {
        if self.result.is_ok() {
            self.result = (|| {
                self.out.write_char(',')?;
                quoted(self.out, key)?;
                self.out.write_char(':')?;
                value(self.out)
            })();
        }
    }

    fn string(&mut self, key: &str, value: &str) {
        self.member(key, |out| quoted(out, value));
    }

    fn raw(&mut self, members: &str) {
        if self.result.is_ok() {
            self.result = self.out.write_str(members);
        }
    }
}

impl Visit for Json<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.member(field.name(), |out| quoted(out, &format!("{value:?}")));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.string(field.name(), value);
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field.name(), |out| write!(out, "{value}"));
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field.name(), |out| write!(out, "{value}"));
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field.name(), |out| write!(out, "{value}"));
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no word for what is not finite.
        self.member(field.name(), |out| if value.is_finite() { write!(out, "{value}") } else { out.write_str("null") });
    }
}

/// A JSON string (RFC 8259, section 7).
fn quoted(out: &mut dyn Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.write_str(&text[plain..at])?;
        match byte {
            b'"' => out.write_str("\\\"")?,
            b'\\' => out.write_str("\\\\")?,
            b'\n' => out.write_str("\\n")?,
            _ => write!(out, "\\u{byte:04x}")?,
        }
        plain = at + 1;
    }
    out.write_str(&text[plain..])?;
    out.write_char('"')
}

/// The message as it is, then `key=value`.
struct Text<'a, 'b> {
    out: &'a mut Writer<'b>,
    result: fmt::Result,
}

impl Visit for Text<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.result.is_ok() {
            self.result = match field.name() {
                "message" => write!(self.out, "{value:?}"),
                name => write!(self.out, " {name}={value:?}"),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    proptest::proptest! {
        #[test]
        fn any_text_survives_quoting(text in ".*") {
            let mut out = String::new();
            quoted(&mut out, &text).unwrap();
            let read: String = serde_json::from_str(&out).unwrap();
            proptest::prop_assert_eq!(read, text);
        }
    }
}
