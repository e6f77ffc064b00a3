//! How a log line looks: one JSON object, or something for people.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fmt::{self, Write},
};

use chrono::{DateTime, Utc};
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
    json: JsonLine,
    count: Counter,
}

impl LogLine {
    pub(super) fn new(pretty: bool, json: JsonLine, metrics: &Metrics) -> Self {
        let count = metrics.counter(&catalog::LOG_LINES);
        for level in LEVELS {
            count.add(&[word(level)], 0);
        }
        Self { pretty, json, count }
    }
}

/// Writes events as JSON objects.
#[derive(Clone)]
pub(super) struct JsonLine {
    /// `,"service.name":"…","service.version":"…","service.instance.id":"…"`, the same on every line.
    service: String,
}

impl JsonLine {
    /// Lines of the process with these resource attributes.
    pub(super) fn new(attributes: &BTreeMap<String, String>) -> Self {
        let mut json = Json(String::new());
        for name in ["service.name", "service.version", "service.instance.id"] {
            if let Some(value) = attributes.get(name) {
                json.string(name, value);
            }
        }
        Self { service: json.0 }
    }

    /// The object and the end of its line. No other byte in it is below 0x20. At most [`MAX_LINE_BYTES`] long: values that
    /// are too long are cut.
    pub(super) fn of(&self, event: &Event<'_>) -> String {
        let metadata = event.metadata();
        let mut json = Json(String::with_capacity(USUAL_LENGTH));
        json.0.push_str("{\"timestamp\":");
        timestamp(&mut json.0);
        json.string("level", metadata.level().as_str());
        json.string("target", metadata.target());
        json.0.push_str(&self.service);
        if let Some(ids) = traces::current() {
            json.string("trace_id", ids.trace_digits().as_str());
            json.string("span_id", ids.span_digits().as_str());
        }
        Request::with_current(|request| {
            json.string("request_id", request.id());
            if let Some(user) = request.user() {
                json.string("user.id", user);
            }
        });
        event.record(&mut json);
        json.0.push_str("}\n");
        json.0
    }
}

/// The most bytes of a line: Docker and the container runtimes of Kubernetes cut longer ones in pieces.
const MAX_LINE_BYTES: usize = 16 * 1024 - 1;
/// The most bytes of one value, so that a stack leaves room for the fields after it.
const MAX_VALUE_BYTES: usize = 12 * 1024;
/// Room for a number, its name and the end of a line after the last text.
const RESERVED_BYTES: usize = 512;
/// Marks a value that is cut.
const CUT: &str = "…";

/// Room for a request's line without growing on the way.
const USUAL_LENGTH: usize = 1024;

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

thread_local! {
    /// The second that this thread last wrote, and how it looks: formatting a whole date for each line would cost more
    /// than the rest of the line's ids together.
    static SECOND: Cell<(i64, [u8; 20])> = const { Cell::new((i64::MIN, [b' '; 20])) };
}

/// `"2026-11-21T13:28:30.000001Z"`
fn timestamp(out: &mut String) {
    let now = now();
    let (mut second, mut text) = SECOND.get();
    if second != now.timestamp() {
        second = now.timestamp();
        let whole = now.format("\"%Y-%m-%dT%H:%M:%S").to_string();
        // Years of more than four digits do not fit; no clock that goes right shows one.
        text = whole.as_bytes().try_into().unwrap_or(*b"\"9999-12-31T23:59:59");
        SECOND.set((second, text));
    }
    out.push_str(std::str::from_utf8(&text).unwrap_or_default());
    out.write_fmt(format_args!(".{:06}Z\"", now.timestamp_subsec_micros().min(999_999))).ok();
}

impl<S, N> FormatEvent<S, N> for LogLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        self.count.inc(&[word(*event.metadata().level())]);
        if self.pretty { pretty(&mut out, event) } else { out.write_str(&self.json.of(event)) }
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

/// An object that has been begun; each member follows with a comma before it.
struct Json(String);

impl Json {
    fn key(&mut self, key: &str) {
        self.0.push_str(",\"");
        self.escaped(key);
        self.0.push_str("\":");
    }

    fn string(&mut self, key: &str, value: &str) {
        self.display(key, value);
    }

    /// What `Display` says, as a string.
    fn display(&mut self, key: &str, value: impl fmt::Display) {
        if !self.has_room(key) {
            return;
        }
        self.key(key);
        self.0.push('"');
        let end = (self.0.len() + MAX_VALUE_BYTES).min(MAX_LINE_BYTES - RESERVED_BYTES);
        // A value that fails to show itself, or is too long, is shown as far as it came.
        Escaping { json: self, end }.write_fmt(format_args!("{value}")).ok();
        self.0.push('"');
    }

    /// What needs no quotes.
    fn bare(&mut self, key: &str, value: impl fmt::Display) {
        if self.has_room(key) {
            self.key(key);
            self.plain(format_args!("{value}"));
        }
    }

    /// Whether a member with that name still fits; a number always does then.
    fn has_room(&self, key: &str) -> bool {
        self.0.len() + key.len() + RESERVED_BYTES < MAX_LINE_BYTES
    }

    fn plain(&mut self, text: fmt::Arguments<'_>) {
        self.0.write_fmt(text).ok();
    }

    /// A JSON string's inside (RFC 8259, section 7).
    fn escaped(&mut self, text: &str) {
        // Nearly every text is plain. Looking at all of it without stopping at the first byte that is not is something
        // that the compiler turns into a few wide instructions.
        if !text.bytes().fold(false, |special, byte| special | is_special(byte)) {
            self.0.push_str(text);
            return;
        }
        let mut plain = 0;
        for (at, byte) in text.bytes().enumerate() {
            if !is_special(byte) {
                continue;
            }
            self.0.push_str(&text[plain..at]);
            match byte {
                b'"' => self.0.push_str("\\\""),
                b'\\' => self.0.push_str("\\\\"),
                b'\n' => self.0.push_str("\\n"),
                _ => self.plain(format_args!("\\u{byte:04x}")),
            }
            plain = at + 1;
        }
        self.0.push_str(&text[plain..]);
    }
}

/// What may not stand in a JSON string as it is.
const fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Escapes what a formatter writes, and ends it where the value is too long.
struct Escaping<'a> {
    json: &'a mut Json,
    end: usize,
}

impl Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.end.saturating_sub(self.json.0.len());
        // No character becomes longer than six bytes.
        if text.len() * 6 <= room {
            self.json.escaped(text);
            return Ok(());
        }
        for character in text.chars() {
            if self.json.0.len() + 6 > self.end {
                self.json.0.push_str(CUT);
                return Err(fmt::Error);
            }
            self.json.escaped(character.encode_utf8(&mut [0; 4]));
        }
        Ok(())
    }
}

impl Visit for Json {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.display(field.name(), format_args!("{value:?}"));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.string(field.name(), value);
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare(field.name(), value);
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.bare(field.name(), value);
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(field.name(), value);
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no word for what is not finite.
        if value.is_finite() { self.bare(field.name(), value) } else { self.bare(field.name(), "null") }
    }
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
    use chrono::{DateTime, TimeDelta};

    use super::{Json, MAX_LINE_BYTES, now, timestamp};

    #[test]
    fn a_line_says_when_it_was_written() {
        for _ in 0..3 {
            let (before, mut text) = (now(), String::new());
            timestamp(&mut text);
            let text: String = serde_json::from_str(&text).unwrap();
            assert_eq!(text.len(), "2026-11-21T13:28:30.000001Z".len());
            let at = DateTime::parse_from_rfc3339(&text).unwrap().to_utc();
            assert!(at >= before - TimeDelta::microseconds(1) && at <= now(), "{before} {at}");
        }
    }

    #[test]
    fn values_and_lines_are_bounded_and_stay_json() {
        for text in ["x", "\"", "\n", "\u{1}", "ä", "🦀", "x\"\u{1}ä"] {
            let mut json = Json(String::from("{\"first\":0"));
            json.string("stack", &text.repeat(40_000));
            json.bare("after", 1);
            for number in 0..100 {
                json.display("field", format_args!("{number:?} {}", text.repeat(100)));
                json.bare("number", u64::MAX);
            }
            json.0.push_str("}\n");
            assert!(json.0.len() <= MAX_LINE_BYTES, "{}", json.0.len());
            let read: serde_json::Value = serde_json::from_str(&json.0).unwrap();
            let stack = read["stack"].as_str().unwrap().strip_suffix('…').expect("it is marked");
            assert!(text.repeat(40_000).starts_with(stack) && stack.len() > 1000, "{}", stack.len());
            assert_eq!(read["after"], 1);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_survives_quoting(key in ".*", value in ".*") {
            let mut json = Json(String::from("{\"first\":0"));
            json.string(&key, &value);
            json.display("second", &value);
            json.0.push('}');
            let read: serde_json::Value = serde_json::from_str(&json.0).unwrap();
            proptest::prop_assert_eq!(read["second"].as_str(), Some(value.as_str()));
            proptest::prop_assume!(key != "first" && key != "second");
            proptest::prop_assert_eq!(read[&key].as_str(), Some(value.as_str()));
        }
    }
}
