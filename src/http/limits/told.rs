//! What a client is told of a limit: `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-11), and
//! how long to wait.

use std::{fmt::Write, time::Duration};

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::resilience::{Quota, Taken};

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// A limit that a request has met, and how it stands after it.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct Limited {
    /// Its name in both fields.
    pub(in crate::http) policy: &'static str,
    pub(in crate::http) quota: Quota,
    pub(in crate::http) taken: Taken,
}

impl Limited {
    /// In how many seconds to ask again: 1 at least, since less cannot be said.
    pub(in crate::http) fn wait_seconds(&self) -> u64 {
        match self.taken {
            Taken::Yes { .. } => 1,
            Taken::No { again_in } => seconds(again_in),
        }
    }
}

/// Says it on an answer, after whatever limit has been told there.
pub(in crate::http) fn tell(headers: &mut HeaderMap, limited: &Limited) {
    let Limited { policy, quota, taken } = limited;
    let (left, seconds_left) = match *taken {
        Taken::Yes { left, full_in } => (left, seconds(full_in)),
        Taken::No { again_in } => (0, seconds(again_in)),
    };
    add(headers, RATELIMIT_POLICY, format_args!("\"{policy}\";q={};w={}", quota.burst(), seconds(quota.refill())));
    add(headers, RATELIMIT, format_args!("\"{policy}\";r={left};t={seconds_left}"));
}

/// One line, however many limits there are: many clients read the first line only.
fn add(headers: &mut HeaderMap, name: HeaderName, item: std::fmt::Arguments<'_>) {
    let mut text = String::with_capacity(48);
    if let Some(before) = headers.get(&name).and_then(|before| before.to_str().ok()) {
        text.push_str(before);
        text.push_str(", ");
    }
    if text.write_fmt(item).is_ok()
        && let Ok(value) = HeaderValue::try_from(text)
    {
        headers.insert(name, value);
    }
}

/// Whole seconds, so many that none is missing.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::HeaderMap;

    use super::{Limited, tell};
    use crate::resilience::{Quota, Taken};

    #[test]
    fn limits_are_told_as_the_draft_writes_them_and_never_too_short() {
        let mut headers = HeaderMap::new();
        let quota = Quota::new(10, 30, Duration::from_hours(1));
        let refused =
            Limited { policy: "sign-in", quota, taken: Taken::No { again_in: Duration::from_millis(119_001) } };
        tell(&mut headers, &refused);
        assert_eq!(refused.wait_seconds(), 120);
        assert_eq!(
            (&headers["ratelimit"], &headers["ratelimit-policy"]),
            (&"\"sign-in\";r=0;t=120".parse().expect("a value"), &"\"sign-in\";q=10;w=1200".parse().expect("a value"),)
        );
        let quota = Quota::new(20, 10, Duration::from_secs(1));
        let taken = Taken::Yes { left: 19, full_in: Duration::from_millis(100) };
        tell(&mut headers, &Limited { policy: "default", quota, taken });
        assert_eq!(headers["ratelimit"], "\"sign-in\";r=0;t=120, \"default\";r=19;t=1");
        assert_eq!(headers["ratelimit-policy"], "\"sign-in\";q=10;w=1200, \"default\";q=20;w=2");
        assert_eq!(headers.len(), 2);
    }
}
