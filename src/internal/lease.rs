//! `?for=10m`: what is changed for a while, and falls back by itself.

use std::time::Duration;

/// What is wanted for longer belongs into the settings.
const LONGEST: Duration = Duration::from_hours(24);

/// For how long, if not for good; it is the only parameter there is.
///
/// # Errors
/// What is wrong with the query, in words.
pub(super) fn parse(query: &str) -> Result<Option<Duration>, String> {
    parse_within(LONGEST, query)
}

/// The same for what may not last as long.
///
/// # Errors
/// What is wrong with the query, in words.
pub(super) fn parse_within(longest: Duration, query: &str) -> Result<Option<Duration>, String> {
    match query.split_once('=') {
        None if query.is_empty() => Ok(None),
        Some(("for", text)) => {
            let duration =
                humantime::parse_duration(text).ok().filter(|&duration| duration <= longest && !duration.is_zero());
            duration.map(Some).ok_or_else(|| {
                let hours = longest.as_secs() / 3600;
                format!("for must be a duration of at most {hours}h, such as 10m")
            })
        }
        _ => Err("the only parameter is for, such as for=10m".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{parse, parse_within};

    #[test]
    fn a_while_is_a_duration_with_an_end() {
        assert_eq!(parse(""), Ok(None));
        assert_eq!(parse("for=10m"), Ok(Some(Duration::from_mins(10))));
        for query in ["for=", "for=0s", "for=25h", "for=ever", "level=debug", "for", "for=-1s"] {
            assert!(parse(query).is_err(), "{query}");
        }
        let hour = Duration::from_hours(1);
        assert_eq!(parse_within(hour, "for=1h"), Ok(Some(hour)));
        let refused = "for must be a duration of at most 1h, such as 10m";
        assert_eq!(parse_within(hour, "for=61m"), Err(refused.to_owned()));
    }
}
