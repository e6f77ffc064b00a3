//! Time that goes faster: rules and routes with every duration divided, by machine and never by hand, so that what fires
//! after an hour in production fires after a minute here. What a rule compares, and every name, stays as it is.

use std::{fmt::Write as _, time::Duration};

use serde_json::Value;

/// How many scrapes a range covers at least, however short it would become: a rate needs some.
const SCRAPES: u32 = 4;

/// The least that Alertmanager waits between two notifications: on the fastest clocks it would do nothing else.
const SHORTEST_WAIT: Duration = Duration::from_millis(500);

/// The seconds in a minute, an hour and a day: a number times one of them is a duration, written as `5 * 60`.
const SECONDS: [&str; 3] = ["60", "3600", "86400"];

/// How much faster time goes, and how often is scraped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    /// What durations are divided by.
    pub(crate) factor: f64,
    /// Between two scrapes, and the least between two evaluations. This is no duration of a rule: it is what it is.
    pub(crate) scrape: Duration,
}

impl Scale {
    /// That long in production is so long here.
    pub(crate) fn duration(&self, real: Duration) -> Duration {
        real.div_f64(self.factor)
    }

    /// A file of rules, as JSON, which is YAML too.
    pub(crate) fn rules(&self, text: &str) -> String {
        let mut file: Value = serde_saphyr::from_str(text).unwrap();
        for group in file["groups"].as_array_mut().expect("a file of rules has groups") {
            let interval = group["interval"].as_str().map(|text| self.at_least(text, self.scrape));
            group["interval"] = interval.unwrap_or_else(|| milliseconds(self.scrape)).into();
            for rule in group["rules"].as_array_mut().expect("a group has rules") {
                rule["expr"] = self.expression(rule["expr"].as_str().expect("a rule has an expression")).into();
                self.divide(rule, &["for", "keep_firing_for"], Duration::ZERO);
            }
        }
        file.to_string()
    }

    /// The settings of Alertmanager.
    pub(crate) fn routes(&self, mut settings: Value) -> Value {
        if let Some(global) = settings.get_mut("global") {
            self.divide(global, &["resolve_timeout"], SHORTEST_WAIT);
        }
        self.route(&mut settings["route"]);
        settings
    }

    fn route(&self, route: &mut Value) {
        self.divide(route, &["group_wait", "group_interval", "repeat_interval"], SHORTEST_WAIT);
        let routes = route.get_mut("routes").and_then(Value::as_array_mut).into_iter().flatten();
        routes.for_each(|route| self.route(route));
    }

    /// Divides those fields that are there.
    fn divide(&self, object: &mut Value, fields: &[&str], least: Duration) {
        for field in fields {
            if let Some(value) = object.get_mut(field) {
                *value = self.at_least(value.as_str().expect("a duration is text"), least).into();
            }
        }
    }

    /// An expression with its ranges, offsets and products of seconds divided. Strings, comments and names are passed over.
    pub(crate) fn expression(&self, text: &str) -> String {
        let mut written = String::with_capacity(text.len());
        let shortest = self.scrape * SCRAPES;
        let mut in_range = false;
        // The number before the last `*`, and whether that is the last token.
        let (mut number, mut product) = (None, false);
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let length = token(rest);
            let (token, after) = rest.split_at(length);
            rest = after;
            match next {
                '[' => in_range = true,
                ']' => in_range = false,
                _ => {}
            }
            let seconds = if SECONDS.contains(&token) { token.parse::<f64>().ok() } else { None };
            match (seconds, number.filter(|_| product)) {
                (Some(seconds), Some(count)) => {
                    // A rate times the seconds of its range is a count: both have the same least.
                    let scaled = self.duration(Duration::from_secs_f64(count * seconds)).max(shortest);
                    write!(written, "{}", scaled.as_secs_f64() / count).unwrap();
                }
                _ if next.is_ascii_digit() && token.ends_with(|last: char| last.is_ascii_alphabetic()) => {
                    let least = if in_range { shortest } else { Duration::ZERO };
                    written.push_str(&self.at_least(token, least));
                }
                _ => written.push_str(token),
            }
            if !next.is_whitespace() {
                product = next == '*' && number.is_some();
                number = if product { number } else { token.parse::<f64>().ok().filter(|count| *count > 0.0) };
            }
        }
        written
    }

    /// A duration as Prometheus writes it, divided, but not below the least.
    fn at_least(&self, text: &str, least: Duration) -> String {
        let real = parse(text).unwrap_or_else(|| panic!("{text} is no duration"));
        // What is nothing stays nothing; anything else is at least a millisecond, the shortest there is.
        let least = if real.is_zero() { real } else { least.max(Duration::from_millis(1)) };
        milliseconds(self.duration(real).max(least))
    }
}

/// The length of the token that the text begins with.
fn token(text: &str) -> usize {
    let bytes = text.as_bytes();
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':');
    let end = |holds: &dyn Fn(&u8) -> bool| bytes.iter().position(|byte| !holds(byte)).unwrap_or(bytes.len());
    match bytes[0] {
        quote @ (b'"' | b'\'' | b'`') => {
            let mut escaped = false;
            let closing = bytes[1..].iter().position(|byte| {
                let closes = *byte == quote && !escaped;
                escaped = *byte == b'\\' && !escaped && quote != b'`';
                closes
            });
            closing.map_or(bytes.len(), |at| at + 2)
        }
        b'#' => end(&|byte| *byte != b'\n'),
        // `[1h:1m]`: a colon ends a number, but not a name.
        b'0'..=b'9' => end(&|byte| byte.is_ascii_alphanumeric() || *byte == b'.'),
        byte if word(&byte) && byte != b':' => end(&word),
        _ => text.chars().next().map_or(1, char::len_utf8),
    }
}

/// A duration such as `1h30m`.
fn parse(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|char: char| !char.is_ascii_digit())?;
        let (number, unit) = rest.split_at(digits);
        let letters = unit.find(|char: char| char.is_ascii_digit()).unwrap_or(unit.len());
        let seconds = match &unit[..letters] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            "w" => 604_800.0,
            "y" => 31_536_000.0,
            _ => return None,
        };
        total += Duration::from_secs_f64(number.parse::<f64>().ok()? * seconds);
        rest = &unit[letters..];
    }
    (!text.is_empty()).then_some(total)
}

fn milliseconds(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIXTY: Scale = Scale { factor: 60.0, scrape: Duration::from_millis(250) };

    #[test]
    fn every_duration_of_an_expression_is_divided() {
        let cases = [
            ("rate(x[5m])", "rate(x[5000ms])"),
            ("x offset 1h", "x offset 60000ms"),
            ("max_over_time(x[1h:1m]) > 1", "max_over_time(x[60000ms:1000ms]) > 1"),
            ("x[1h30m] offset -2d", "x[90000ms] offset -2880000ms"),
            ("predict_linear(x[1h], 4 * 3600) > 3600", "predict_linear(x[60000ms], 4 * 60) > 3600"),
            ("time() - x > 75 * 60", "time() - x > 75 * 1"),
            ("x * (5 * 60) > 10", "x * (5 * 1) > 10"),
            ("x * 60 > 3 * y", "x * 60 > 3 * y"),
        ];
        for (expression, scaled) in cases {
            assert_eq!(SIXTY.expression(expression), scaled);
        }
    }

    #[test]
    fn names_strings_and_comments_are_passed_over() {
        for expression in [
            "job:http_server_requests:rate5m / job:slo_errors:ratio_rate30d{slo=\"5m\"} > 14.4",
            "x{a=~'\\'[5m]',b=`[1h]`} == 1e3 # for [5m]\n or vector(60)",
            "histogram_quantile(0.99, x) > 0.25 and y{le=\"0.25\"} * 0",
        ] {
            assert_eq!(SIXTY.expression(expression), expression);
        }
    }

    #[test]
    fn a_range_covers_some_scrapes_and_a_wait_may_be_short() {
        let fast = Scale { factor: 100_000.0, ..SIXTY };
        assert_eq!(fast.expression("rate(x[5m] offset 5m)"), "rate(x[1000ms] offset 3ms)");
        assert_eq!(fast.expression("rate(x[5m]) * (5 * 60)"), "rate(x[1000ms]) * (5 * 0.2)");
        assert_eq!(fast.at_least("5m", Duration::ZERO), "3ms");
        assert_eq!(fast.at_least("0s", Duration::ZERO), "0ms");
    }

    #[test]
    fn rules_keep_everything_but_their_durations() {
        let rules = "groups:\n- name: a\n  interval: 1m\n  rules:\n  - alert: B\n    expr: x[1h] > 1\n    for: 10m\n    \
                     keep_firing_for: 5m\n    labels: {window: 1h}\n  - record: c:rate5m\n    expr: rate(c[5m])\n";
        let scaled: Value = serde_json::from_str(&SIXTY.rules(rules)).unwrap();
        let expected = serde_json::json!({"groups": [{"name": "a", "interval": "1000ms", "rules": [
            {"alert": "B", "expr": "x[60000ms] > 1", "for": "10000ms", "keep_firing_for": "5000ms",
             "labels": {"window": "1h"}},
            {"record": "c:rate5m", "expr": "rate(c[5000ms])"},
        ]}]});
        assert_eq!(scaled, expected);
    }

    #[test]
    fn routes_wait_less_at_every_level() {
        let routes = serde_json::json!({"global": {"resolve_timeout": "5m"}, "route": {"receiver": "a",
            "group_wait": "30s", "routes": [{"receiver": "b", "repeat_interval": "1m", "group_interval": "5m"}]}});
        let expected = serde_json::json!({"global": {"resolve_timeout": "5000ms"}, "route": {"receiver": "a",
            "group_wait": "500ms", "routes": [{"receiver": "b", "repeat_interval": "1000ms", "group_interval": "5000ms"}]}});
        assert_eq!(SIXTY.routes(routes), expected);
    }
}
