//! Every small mistake that one may make in a rule, made by machine, one at a time.

use serde_json::Value;

/// A rule with one mistake.
pub(super) struct Mutant {
    /// What is other than it was.
    pub(super) mistake: String,
    pub(super) rule: Value,
}

/// Every mistake in one rule: in its expression, how long it waits, and its labels.
pub(super) fn mutants(rule: &Value) -> Vec<Mutant> {
    let with = |mistake: String, field: &str, value: String| {
        let mut rule = rule.clone();
        rule[field] = value.into();
        Mutant { mistake, rule }
    };
    let text = rule["expr"].as_str().expect("a rule has an expression");
    let mut mutants: Vec<_> = expressions(text).into_iter().map(|(what, text)| with(what, "expr", text)).collect();
    for field in ["for", "keep_firing_for"] {
        if let Some(seconds) = rule[field].as_str().map(seconds) {
            let others = [seconds * 2, seconds / 2].map(|other| format!("{other}s"));
            mutants.extend(others.map(|other| with(format!("{field}: {other}"), field, other)));
        }
    }
    for (label, value) in rule["labels"].as_object().into_iter().flatten() {
        let other = match value.as_str().unwrap() {
            "page" => "ticket",
            "ticket" | "none" => "page",
            _ => "other",
        };
        let mut rule = rule.clone();
        rule["labels"][label] = other.into();
        mutants.push(Mutant { mistake: format!("{label}: {other}"), rule });
    }
    mutants
}

/// The seconds of a duration such as `15m`.
fn seconds(duration: &str) -> u64 {
    let (number, unit) = duration.split_at(duration.len() - 1);
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86400,
        _ => panic!("{duration}: write it with one unit"),
    };
    number.parse::<u64>().unwrap() * unit
}

/// An expression with one mistake each, and what it is.
fn expressions(text: &str) -> Vec<(String, String)> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    let (mut in_braces, mut depth) = (false, 0_usize);
    for (at, token) in tokens.iter().enumerate() {
        match *token {
            "{" => in_braces = true,
            "}" => in_braces = false,
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        let near: String = tokens[at.saturating_sub(6)..(at + 7).min(tokens.len())].concat();
        let near = near.split_whitespace().collect::<Vec<_>>().join(" ");
        for other in others(token, in_braces) {
            let before_and_after = [tokens[..at].concat(), tokens[at + 1..].concat()];
            found.push((format!("`{token}` is `{other}` in `{near}`"), before_and_after.join(&other)));
        }
        if *token == "or" && depth == 0 {
            found.push((format!("nothing from `or` on in `{near}`"), tokens[..at].concat()));
        }
    }
    found
}

/// What may stand in the place of a token.
fn others(token: &str, in_braces: bool) -> Vec<String> {
    let one = |other: &str| vec![other.to_owned()];
    match token {
        ">" | ">=" => one("<"),
        "<" | "<=" => one(">"),
        "!=" if !in_braces => one("=="),
        "==" | "=" => one("!="),
        "!=" => one("="),
        "=~" => one("!~"),
        "!~" => one("=~"),
        "and" => one("unless"),
        "unless" => one("and"),
        "min_over_time" => one("max_over_time"),
        "+" => one("-"),
        _ => duration(token).or_else(|| window(token)).or_else(|| number(token)).unwrap_or_default(),
    }
}

/// A range or an offset: five minutes, or three times as much.
fn duration(token: &str) -> Option<Vec<String>> {
    let is_duration = token.starts_with(|char: char| char.is_ascii_digit()) && token.ends_with(['s', 'm', 'h', 'd']);
    is_duration.then(|| vec![if seconds(token) > 300 { "5m".to_owned() } else { format!("{}s", seconds(token) * 3) }])
}

/// A recorded window in a metric's name.
fn window(token: &str) -> Option<Vec<String>> {
    let (name, window) = token.split_once("ratio_rate")?;
    Some(vec![format!("{name}ratio_rate{}", if window == "5m" { "30m" } else { "5m" })])
}

/// A number twice and half as big; the seconds of a minute and an hour are what they are, and a factor stands beside them.
fn number(token: &str) -> Option<Vec<String>> {
    if matches!(token, "60" | "3600") {
        return None;
    }
    let number: f64 = token.parse().ok().filter(|_| token.starts_with(|char: char| char.is_ascii_digit()))?;
    // Twice nothing is nothing, and one that increased once has increased by a little more than one.
    let others = if number == 0.0 { vec![2.0] } else { vec![number * 2.0, number / 2.0] };
    Some(others.into_iter().map(|other| other.to_string()).collect())
}

/// The parts of an expression; together they are the expression.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let ends = |holds: fn(char) -> bool| rest.find(|char| !holds(char)).unwrap_or(rest.len());
        let length = match first {
            '"' => rest[1..].find('"').map_or(rest.len(), |at| at + 2),
            '0'..='9' => ends(|char| char.is_ascii_alphanumeric() || char == '.'),
            'a'..='z' | 'A'..='Z' | '_' => ends(|char| char.is_ascii_alphanumeric() || matches!(char, '_' | ':')),
            '=' | '!' | '<' | '>' => ends(|char| matches!(char, '=' | '!' | '<' | '>' | '~')),
            first => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after;
    }
    tokens
}

#[test]
fn every_place_is_mistaken_once() {
    let made = |text| expressions(text).into_iter().map(|(_, text)| text).collect::<Vec<_>>();
    assert_eq!(made("a{b=\"c > 1\"}"), ["a{b!=\"c > 1\"}"]);
    assert_eq!(made("r(a[5m]) > 0.5"), ["r(a[900s]) > 0.5", "r(a[5m]) < 0.5", "r(a[5m]) > 1", "r(a[5m]) > 0.25"]);
    assert_eq!(made("a[1h:5m] offset 15m"), ["a[5m:5m] offset 15m", "a[1h:900s] offset 15m", "a[1h:5m] offset 5m"]);
    assert_eq!(made("a and x:ratio_rate1h"), ["a unless x:ratio_rate1h", "a and x:ratio_rate5m"]);
    assert_eq!(made("a or b * 0"), ["a ", "a or b * 2"]);
    assert_eq!(
        made("min_over_time(a) == 0"),
        ["max_over_time(a) == 0", "min_over_time(a) != 0", "min_over_time(a) == 2"]
    );
    let rule = serde_json::json!({ "expr": "up", "for": "2m", "labels": { "severity": "page" } });
    let mistakes: Vec<_> = mutants(&rule).into_iter().map(|mutant| mutant.mistake).collect();
    assert_eq!(mistakes, ["for: 240s", "for: 60s", "severity: ticket"]);
}
