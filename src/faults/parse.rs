//! Reading what somebody asks for: strictly, since a fault with a mistyped field would be another fault, or none.

use std::{fmt, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::Value;

use super::fault::{Effect, Fault, KIB, Place, WORDS};

/// What a list of faults has at most, in bytes.
pub const MAX_BYTES: usize = 16 * 1024;
/// More faults at once teach nothing.
const MOST: usize = 32;
/// What is slower does not come back.
const LONGEST_DELAY: Duration = Duration::from_mins(10);
/// A thousand tasks a second reach every limit within minutes.
const MOST_TASKS_PER_SECOND: u32 = 1000;
/// What the largest leak, 1 GiB, is reached with in a quarter of a minute.
const MOST_KIB_PER_SECOND: u32 = 64 * 1024;

/// What a fault can be at: a place that does not exist would be no fault, and nobody would notice.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Method and template of each route.
    pub routes: Vec<(&'static str, &'static str)>,
    /// `db.query.summary` of each statement.
    pub statements: Vec<&'static str>,
    /// How many workers the main runtime has.
    pub workers: usize,
}

/// A list of faults; or what is wrong with it, by entry and field.
pub(super) fn parse(text: &[u8], known: &Known) -> Result<Vec<Fault>, String> {
    let items: Vec<Item> =
        serde_json::from_slice(text).map_err(|error| format!("the body must be a JSON list of faults: {error}"))?;
    if items.len() > MOST {
        return Err(format!("the list must have at most {MOST} entries"));
    }
    let mut faults = Vec::with_capacity(items.len());
    for (number, item) in (1..).zip(items) {
        let fault = read(item, known, &faults).map_err(|reason| format!("entry {number}: {reason}"))?;
        faults.push(fault);
    }
    Ok(faults)
}

fn read(item: Item, known: &Known, before: &[Fault]) -> Result<Fault, String> {
    let Item::Entry(mut entry) = item else { return Err("it must be an object".to_owned()) };
    entry.refuse_repeated()?;
    let word = entry.text("fault")?.ok_or_else(no_kind)?;
    let fault = match word.as_str() {
        "delay" => {
            let delay = entry.delay()?;
            entry.met(Effect::Delay(delay), known)?
        }
        "error" => entry.met(Effect::Error, known)?,
        "hang" => entry.met(Effect::Hang, known)?,
        "panic" => entry.met(Effect::Panic, known)?,
        "task_leak" => Fault::TaskLeak { per_second: entry.number("per_second", MOST_TASKS_PER_SECOND)? },
        "memory_leak" => Fault::MemoryLeak { per_second: entry.size("per_second", MOST_KIB_PER_SECOND)? },
        "blocked_worker" => {
            let most = u32::try_from(known.workers).unwrap_or(u32::MAX);
            Fault::BlockedWorker { workers: entry.number("workers", most)? as usize }
        }
        "refused_pool" => Fault::RefusedPool,
        "unreachable_collector" => Fault::UnreachableCollector,
        _ => return Err(no_kind()),
    };
    if let Some((field, _)) = entry.0.first() {
        return Err(format!("{field:?} is no field of {word}"));
    }
    // Their limits are limits of all that is on, and so of one.
    if !matches!(fault, Fault::Met { .. }) && before.iter().any(|other| other.word() == fault.word()) {
        return Err(format!("fault {word} is in the list already"));
    }
    Ok(fault)
}

fn no_kind() -> String {
    format!("fault must be one of {}", WORDS.join(", "))
}

/// What stands in the list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Item {
    Entry(Entry),
    Other(IgnoredAny),
}

/// The fields of an entry that nobody has taken yet, with those that are repeated.
struct Entry(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Entry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Entry(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

impl Entry {
    fn refuse_repeated(&self) -> Result<(), String> {
        let repeated = |at: usize| self.0[..at].iter().any(|(name, _)| *name == self.0[at].0);
        match (0..self.0.len()).find(|at| repeated(*at)) {
            Some(at) => Err(format!("{:?} stands there twice", self.0[at].0)),
            None => Ok(()),
        }
    }

    fn take(&mut self, field: &str) -> Option<Value> {
        let at = self.0.iter().position(|(name, _)| name == field)?;
        Some(self.0.remove(at).1)
    }

    fn text(&mut self, field: &str) -> Result<Option<String>, String> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("{field} must be a text")),
        }
    }

    fn number(&mut self, field: &str, most: u32) -> Result<u32, String> {
        let number = self.take(field).and_then(|value| u32::try_from(value.as_u64()?).ok());
        let within = number.filter(|number| (1..=most).contains(number));
        within.ok_or_else(|| format!("{field} must be a whole number from 1 to {most}"))
    }

    /// Bytes, of a text such as `8MiB`.
    fn size(&mut self, field: &str, most: u32) -> Result<u32, String> {
        let text = self.text(field)?.unwrap_or_default();
        let (digits, factor) = match (text.strip_suffix("KiB"), text.strip_suffix("MiB")) {
            (Some(digits), _) => (digits, 1),
            (_, Some(digits)) => (digits, KIB),
            _ => ("", 1),
        };
        let digits = Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let kib = digits.and_then(|digits| digits.parse::<u32>().ok()?.checked_mul(factor));
        let within = kib.filter(|kib| (1..=most).contains(kib)).map(|kib| kib * KIB);
        within.ok_or_else(|| {
            format!("{field} must be a number of KiB or MiB such as \"8MiB\", at most {}MiB", most / KIB)
        })
    }

    fn delay(&mut self) -> Result<Duration, String> {
        let delay = self.text("for")?.and_then(|text| humantime::parse_duration(&text).ok());
        delay
            .filter(|delay| (Duration::from_millis(1)..=LONGEST_DELAY).contains(delay))
            .ok_or_else(|| "for must be a duration with its unit, such as \"300ms\", from 1ms to 10m".to_owned())
    }

    fn met(&mut self, effect: Effect, known: &Known) -> Result<Fault, String> {
        let share = match self.take("share") {
            None => 1.0,
            Some(share) => share
                .as_f64()
                .filter(|share| (0.0..=1.0).contains(share))
                .ok_or_else(|| "share must be a number from 0 to 1".to_owned())?,
        };
        let route = self.text("route")?;
        // A panic below the pool's own code would be a fault that no service of ours can have.
        let statement = if effect == Effect::Panic { None } else { self.text("statement")? };
        let place = match (route, statement) {
            (Some(route), None) => self.route(route, known)?,
            (None, Some(statement)) if known.statements.contains(&statement.as_str()) => Place::Statement(statement),
            (None, Some(_)) => return Err(format!("statement must be one of {}", known.statements.join(", "))),
            (None, None) if effect == Effect::Panic => return Err("route must be given".to_owned()),
            _ => return Err("either route or statement must be given, and not both".to_owned()),
        };
        Ok(Fault::Met { effect, place, share })
    }

    fn route(&mut self, route: String, known: &Known) -> Result<Place, String> {
        let method = self.text("method")?;
        let methods: Vec<&str> =
            known.routes.iter().filter(|(_, known)| *known == route).map(|(method, _)| *method).collect();
        if methods.is_empty() {
            let mut routes: Vec<&str> = known.routes.iter().map(|(_, route)| *route).collect();
            routes.dedup();
            return Err(format!("route must be one of {}", routes.join(", ")));
        }
        if method.as_ref().is_some_and(|method| !methods.contains(&method.as_str())) {
            return Err(format!("method must be one of {}", methods.join(", ")));
        }
        Ok(Place::Route { route, method })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Effect, Fault, Known, Place, parse};

    fn read(text: &str) -> Result<Vec<Fault>, String> {
        let known = Known {
            routes: vec![("GET", "/users"), ("POST", "/users"), ("GET", "/users/{id}")],
            statements: vec!["BEGIN", "SELECT users"],
            workers: 2,
        };
        parse(text.as_bytes(), &known)
    }

    #[test]
    fn what_is_asked_for_is_what_is_read() {
        let at = |effect, place, share| Fault::Met { effect, place, share };
        let route = |route: &str, method: Option<&str>| Place::Route {
            route: route.to_owned(),
            method: method.map(str::to_owned),
        };
        for (text, expected) in [
            (
                r#"{"fault": "delay", "for": "300ms", "route": "/users/{id}"}"#,
                at(Effect::Delay(Duration::from_millis(300)), route("/users/{id}", None), 1.0),
            ),
            (
                r#"{"fault": "error", "statement": "SELECT users", "share": 0.5}"#,
                at(Effect::Error, Place::Statement("SELECT users".to_owned()), 0.5),
            ),
            (
                r#"{"fault": "hang", "route": "/users", "method": "POST", "share": 0}"#,
                at(Effect::Hang, route("/users", Some("POST")), 0.0),
            ),
            (r#"{"fault": "panic", "route": "/users"}"#, at(Effect::Panic, route("/users", None), 1.0)),
            (r#"{"fault": "task_leak", "per_second": 50}"#, Fault::TaskLeak { per_second: 50 }),
            (r#"{"fault": "memory_leak", "per_second": "8MiB"}"#, Fault::MemoryLeak { per_second: 8 << 20 }),
            (r#"{"fault": "memory_leak", "per_second": "1KiB"}"#, Fault::MemoryLeak { per_second: 1024 }),
            (r#"{"fault": "blocked_worker", "workers": 2}"#, Fault::BlockedWorker { workers: 2 }),
            (r#"{"fault": "refused_pool"}"#, Fault::RefusedPool),
            (r#"{"fault": "unreachable_collector"}"#, Fault::UnreachableCollector),
        ] {
            assert_eq!(read(&format!("[{text}]")), Ok(vec![expected.clone()]), "{text}");
            assert_eq!(read(&format!("[{}]", expected.entry())), Ok(vec![expected]), "what is shown can be asked for");
        }
        assert_eq!(read(" [] "), Ok(Vec::new()));
    }

    #[test]
    fn what_is_wrong_is_named_by_entry_and_field() {
        for (text, named) in [
            ("", "the body must be a JSON list"),
            ("{}", "the body must be a JSON list"),
            ("[] []", "the body must be a JSON list"),
            ("[1]", "entry 1: it must be an object"),
            (r#"[["delay", "300ms"]]"#, "entry 1: it must be an object"),
            ("[{}]", "entry 1: fault must be one of delay,"),
            (r#"[{"fault": 1}]"#, "entry 1: fault must be a text"),
            (r#"[{"fault": "refused_pool"}, {"fault": "refused_pol"}]"#, "entry 2: fault must be one of"),
            (r#"[{"fault": "refused_pool"}, {"fault": "refused_pool"}]"#, "entry 2: fault refused_pool is in the list"),
            (r#"[{"fault": "refused_pool", "share": 1}]"#, r#"entry 1: "share" is no field of refused_pool"#),
            (r#"[{"fault": "error", "fault": "hang", "route": "/users"}]"#, r#"entry 1: "fault" stands there twice"#),
            (r#"[{"fault": "error"}]"#, "entry 1: either route or statement"),
            (r#"[{"fault": "error", "route": "/users", "statement": "BEGIN"}]"#, "entry 1: either route or statement"),
            (r#"[{"fault": "error", "route": "/user"}]"#, "entry 1: route must be one of /users, /users/{id}"),
            (r#"[{"fault": "error", "route": "/users", "method": "PUT"}]"#, "entry 1: method must be one of GET, POST"),
            (r#"[{"fault": "error", "route": "/users", "shared": 1}]"#, r#"entry 1: "shared" is no field of error"#),
            (r#"[{"fault": "error", "route": "/users", "for": "1s"}]"#, r#"entry 1: "for" is no field of error"#),
            (r#"[{"fault": "error", "statement": "SELECT"}]"#, "entry 1: statement must be one of BEGIN, SELECT users"),
            (r#"[{"fault": "error", "statement": "BEGIN", "method": "GET"}]"#, r#"entry 1: "method" is no field"#),
            (r#"[{"fault": "panic", "statement": "BEGIN"}]"#, "entry 1: route must be given"),
            (r#"[{"fault": "error", "route": "/users", "share": 1.01}]"#, "entry 1: share must be a number"),
            (r#"[{"fault": "error", "route": "/users", "share": -0.1}]"#, "entry 1: share must be a number"),
            (r#"[{"fault": "error", "route": "/users", "share": "1"}]"#, "entry 1: share must be a number"),
            (r#"[{"fault": "error", "route": "/users", "share": null}]"#, "entry 1: share must be a number"),
            (r#"[{"fault": "error", "route": "/users", "share": 1e999}]"#, "the body must be a JSON list"),
            (r#"[{"fault": "delay", "route": "/users"}]"#, "entry 1: for must be a duration"),
            (r#"[{"fault": "delay", "route": "/users", "for": 5}]"#, "entry 1: for must be a text"),
            (r#"[{"fault": "delay", "route": "/users", "for": "601s"}]"#, "entry 1: for must be a duration"),
            (r#"[{"fault": "delay", "route": "/users", "for": "1us"}]"#, "entry 1: for must be a duration"),
            (r#"[{"fault": "task_leak"}]"#, "entry 1: per_second must be a whole number from 1 to 1000"),
            (r#"[{"fault": "task_leak", "per_second": 0}]"#, "entry 1: per_second must be"),
            (r#"[{"fault": "task_leak", "per_second": 1001}]"#, "entry 1: per_second must be"),
            (r#"[{"fault": "task_leak", "per_second": 1.5}]"#, "entry 1: per_second must be"),
            (r#"[{"fault": "memory_leak", "per_second": "8MB"}]"#, "entry 1: per_second must be a number of KiB"),
            (r#"[{"fault": "memory_leak", "per_second": "65MiB"}]"#, "entry 1: per_second must be"),
            (r#"[{"fault": "memory_leak", "per_second": "4194305MiB"}]"#, "entry 1: per_second must be"),
            (r#"[{"fault": "memory_leak", "per_second": "+8MiB"}]"#, "entry 1: per_second must be"),
            (r#"[{"fault": "memory_leak", "per_second": "0KiB"}]"#, "entry 1: per_second must be"),
            (r#"[{"fault": "blocked_worker", "workers": 3}]"#, "entry 1: workers must be a whole number from 1 to 2"),
        ] {
            let said = read(text).expect_err(text);
            assert!(said.starts_with(named), "{text}: {said}");
        }
        let many = vec![r#"{"fault": "error", "route": "/users"}"#; 33].join(",");
        assert_eq!(read(&format!("[{many}]")), Err("the list must have at most 32 entries".to_owned()));
    }
}
