//! `/debug/trace`: follow live requests, as server-sent events.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use axum::{
    extract::{RawQuery, State},
    http::{HeaderValue, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream;
use serde_json::json;
use tokio::time::Instant;

use crate::telemetry::follow::{Followers, Following, MOST, Seen, Wanted};

/// How long, if nothing is said of it.
const USUAL: Duration = Duration::from_secs(30);
const SHORTEST: Duration = Duration::from_secs(1);
/// Whoever wants to know for longer asks again, or changes the log filter.
const LONGEST: Duration = Duration::from_mins(10);
/// How long a stream is silent. Proxies and people begin to doubt one that says nothing.
const SILENCE: Duration = Duration::from_secs(15);
/// Longer than any request id, user id or template.
const MAX_VALUE: usize = 128;

/// Each line of the requests that match, from now on: `request` when one ends, `statement` for each of its statements,
/// `log` for whatever else it has to say. `dropped` tells how many there was no time for; `end` comes last.
///
/// With `route` (a template), `user` (an id), `request` (an id) or several of them only those that match all; with none
/// of them all requests. `for` says for how long. With `force=true` the oldest stream ends if there are too many; its
/// `end` says `taken_over`.
pub(super) async fn show(State(followers): State<Followers>, RawQuery(query): RawQuery) -> Response {
    let Parameters { wanted, duration, force } = match parameters(query.as_deref().unwrap_or_default()) {
        Ok(parameters) => parameters,
        Err(reason) => return (StatusCode::BAD_REQUEST, reason + "\n").into_response(),
    };
    let Some(following) = followers.follow(wanted, Instant::now() + duration, force) else {
        let reason = format!(
            "{MOST} clients follow requests already, which is the most there may be; force=true takes over from the oldest\n"
        );
        return (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "30")], reason).into_response();
    };
    let begin = event("begin", &json!({ "for_seconds": duration.as_secs_f64() }).to_string());
    let telling = Telling { following: Some(following), ready: VecDeque::from([begin]) };
    let keep_alive = KeepAlive::new().interval(SILENCE);
    let events = Sse::new(stream::unfold(telling, Telling::next)).keep_alive(keep_alive);
    ([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], events).into_response()
}

#[derive(Debug)]
struct Parameters {
    wanted: Wanted,
    duration: Duration,
    force: bool,
}

fn parameters(query: &str) -> Result<Parameters, String> {
    let (mut wanted, mut duration, mut force) = (Wanted::default(), None, None);
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let place = match &*name {
            "route" => &mut wanted.route,
            "user" => &mut wanted.user,
            "request" => &mut wanted.request,
            "for" => {
                let read = humantime::parse_duration(&value).ok();
                let read = read.filter(|read| (SHORTEST..=LONGEST).contains(read) && duration.is_none());
                duration = Some(read.ok_or("for must be given once, as a duration from 1s to 10m, such as 30s")?);
                continue;
            }
            "force" => {
                let read = value.parse().ok().filter(|_| force.is_none());
                force = Some(read.ok_or("force must be given once, as true or false")?);
                continue;
            }
            _ => return Err("the parameters are route, user, request, for and force, and no other".to_owned()),
        };
        let is_name = (1..=MAX_VALUE).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_name || place.is_some() {
            return Err(format!("{name} must be given once, with 1 to {MAX_VALUE} visible ASCII characters"));
        }
        if name == "route" && !value.starts_with(['/', '_']) {
            return Err("route must be the template of a path, such as /api/v1/users/{id}, or _unmatched".to_owned());
        }
        *place = Some(value.into_owned());
    }
    Ok(Parameters { wanted, duration: duration.unwrap_or(USUAL), force: force.unwrap_or(false) })
}

/// What is told to one follower.
struct Telling {
    /// Gone once the end was told.
    following: Option<Following>,
    ready: VecDeque<Event>,
}

impl Telling {
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        if self.ready.is_empty() {
            let following = self.following.as_mut()?;
            if let Some(Seen { kind, line, missed }) = following.next().await {
                self.drop_before(missed);
                self.ready.push_back(event(kind, &line));
                let missed = self.following.as_ref().map_or(0, Following::take_missed);
                self.drop_before(missed);
            } else {
                let missed = following.take_missed();
                let end = if following.is_taken_over() { r#"{"reason":"taken_over"}"# } else { "{}" };
                self.following = None;
                self.drop_before(missed);
                self.ready.push_back(event("end", end));
            }
        }
        Some((Ok(self.ready.pop_front()?), self))
    }

    /// Tells that so many lines before this were dropped, if any were.
    fn drop_before(&mut self, missed: u64) {
        if missed > 0 {
            self.ready.push_back(event("dropped", &json!({ "lines": missed }).to_string()));
        }
    }
}

/// `data` has no line ends in it.
fn event(name: &str, data: &str) -> Event {
    Event::default().event(name).data(data)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Parameters, parameters};

    #[test]
    fn what_to_follow_is_read_or_refused_by_its_name() {
        let Parameters { wanted, duration, force } =
            parameters("route=/api/v1/users/%7Bid%7D&request=a-1&for=2m&force=true").unwrap();
        assert_eq!((wanted.route.as_deref(), wanted.request.as_deref()), (Some("/api/v1/users/{id}"), Some("a-1")));
        assert_eq!((wanted.user, duration, force), (None, Duration::from_mins(2), true));
        let usual = parameters("").unwrap();
        assert_eq!((usual.duration, usual.force), (Duration::from_secs(30), false));
        for (query, named) in [
            ("route=", "route"),
            ("route=users", "route"),
            ("user=%00", "user"),
            ("user=%FF", "user"),
            ("request=a&request=b", "request"),
            ("for=ever", "for"),
            ("for=11m", "for"),
            ("for=0s", "for"),
            ("for=2s&for=3s", "for"),
            ("force=yes", "force"),
            ("force=true&force=true", "force"),
            ("path=/", "the parameters are"),
        ] {
            assert!(parameters(query).unwrap_err().starts_with(named), "{query}");
        }
    }
}
