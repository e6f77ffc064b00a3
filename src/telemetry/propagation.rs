//! W3C Trace Context (level 2) across HTTP: `traceparent` and `tracestate` of a request, `traceresponse` of an answer.
//!
//! The SDK's propagator reads numbers where the specification has a grammar, takes the first of several headers, and
//! keeps a `tracestate` of any size.

use http::{HeaderMap, HeaderValue};
use opentelemetry::{
    SpanId, TraceFlags, TraceId,
    trace::{SpanContext, TraceState},
};

use super::SpanIds;

/// The most characters of a `tracestate` that are kept: what the specification asks every vendor for.
const MAX_TRACESTATE_CHARS: usize = 512;
/// The most members of a `tracestate`; one with more is invalid.
const MAX_TRACESTATE_MEMBERS: usize = 32;
/// Where a `tracestate` is too long, members longer than this are dropped first.
const LONG_MEMBER_CHARS: usize = 128;

/// The length of a `traceparent` of version 00; later versions may add to it.
const TRACEPARENT_CHARS: usize = 55;
/// Flags of level 2: sampled, and random trace id.
const KNOWN_FLAGS: u8 = 0b11;

/// The caller's span, if the headers name one in the way that W3C Trace Context asks for.
#[must_use]
pub fn remote(headers: &HeaderMap) -> Option<SpanContext> {
    let mut parents = headers.get_all("traceparent").into_iter();
    let (parent, None) = (parents.next()?, parents.next()) else { return None };
    let (trace, span, flags) = traceparent(parent.as_bytes())?;
    let state = tracestate(headers.get_all("tracestate").into_iter()).unwrap_or_default();
    Some(SpanContext::new(trace, span, flags, true, state)).filter(SpanContext::is_valid)
}

/// `version "-" trace-id "-" parent-id "-" trace-flags`, in lower-case hexadecimal digits.
fn traceparent(text: &[u8]) -> Option<(TraceId, SpanId, TraceFlags)> {
    let (head, rest) = text.split_at_checked(TRACEPARENT_CHARS)?;
    let version = hexadecimal(&head[..2])?;
    let is_complete = if version == 0 { rest.is_empty() } else { rest.is_empty() || rest[0] == b'-' };
    let has_dashes = [2, 35, 52].into_iter().all(|at| head[at] == b'-');
    if version == 0xff || !is_complete || !has_dashes {
        return None;
    }
    let trace = TraceId::from(hexadecimal(&head[3..35])?);
    let span = SpanId::from(u64::try_from(hexadecimal(&head[36..52])?).ok()?);
    let flags = u8::try_from(hexadecimal(&head[53..])?).ok()?;
    Some((trace, span, TraceFlags::new(flags & KNOWN_FLAGS)))
}

/// At most 32 digits; upper case is not in the grammar, and neither is a sign.
fn hexadecimal(digits: &[u8]) -> Option<u128> {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let text = std::str::from_utf8(digits).ok().filter(|_| digits.iter().all(is_digit))?;
    u128::from_str_radix(text, 16).ok()
}

/// The members of all headers in their order, bounded; none if one of them is invalid.
fn tracestate<'a>(headers: impl Iterator<Item = &'a HeaderValue>) -> Option<TraceState> {
    let mut members = Vec::new();
    for header in headers {
        for member in header.to_str().ok()?.split(',').map(|member| member.trim_matches([' ', '\t'])) {
            if member.is_empty() {
                continue;
            }
            let (key, value) = member.split_once('=')?;
            let is_valid =
                !key.is_empty() && !value.is_empty() && value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            if !is_valid || members.len() == MAX_TRACESTATE_MEMBERS {
                return None;
            }
            members.push((key, value));
        }
    }
    bound(&mut members);
    TraceState::from_key_value(members).ok()
}

/// Drops whole members until the rest fits: first those that are long, then from the end.
fn bound(members: &mut Vec<(&str, &str)>) {
    let length = |&(key, value): &(&str, &str)| key.len() + 1 + value.len();
    let mut total = members.iter().map(length).sum::<usize>() + members.len().saturating_sub(1);
    while total > MAX_TRACESTATE_CHARS {
        let long = members.iter().rposition(|member| length(member) > LONG_MEMBER_CHARS);
        let dropped = members.remove(long.unwrap_or(members.len() - 1));
        // The last member has no comma.
        total = total.saturating_sub(length(&dropped) + 1);
    }
}

/// The value of `traceresponse`: which span answered, and whether it can be looked up.
#[must_use]
pub fn traceresponse(ids: SpanIds, sampled: bool) -> String {
    ["00-", ids.trace_digits().as_str(), "-", ids.span_digits().as_str(), if sampled { "-01" } else { "-00" }].concat()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, header::HeaderValue};
    use proptest::prelude::*;

    use super::{MAX_TRACESTATE_CHARS, SpanIds, remote, traceresponse};

    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(traceparent: &[&[u8]], tracestate: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in traceparent.iter().filter_map(|bytes| HeaderValue::from_bytes(bytes).ok()) {
            headers.append("traceparent", value);
        }
        for value in tracestate.iter().filter_map(|text| HeaderValue::from_str(text).ok()) {
            headers.append("tracestate", value);
        }
        headers
    }

    fn state(tracestate: &[&str]) -> String {
        remote(&headers(&[VALID.as_bytes()], tracestate)).expect("a valid parent").trace_state().header()
    }

    #[test]
    fn valid_traceparent_is_read_and_written_back() {
        let span = remote(&headers(&[VALID.as_bytes()], &[])).expect("it is valid");
        assert!(span.is_sampled() && span.is_remote());
        assert_eq!(traceresponse(SpanIds::from(&span), true), VALID);
    }

    #[test]
    fn traceparent_of_a_later_version_is_read_as_far_as_it_is_known() {
        for text in [
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03",
            "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-the-future-will-be",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff",
        ] {
            assert!(remote(&headers(&[text.as_bytes()], &[])).is_some_and(|span| span.is_sampled()), "{text}");
        }
    }

    #[test]
    fn traceparent_outside_the_grammar_is_ignored() {
        for text in [
            "",
            "00",
            "00-1-1-1",
            "+0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.more",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319cb-7ad6b7169203331-01",
            "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert!(remote(&headers(&[text.as_bytes()], &[])).is_none(), "{text}");
        }
        assert!(remote(&headers(&[VALID.as_bytes(), VALID.as_bytes()], &[])).is_none(), "two are none");
    }

    #[test]
    fn tracestate_headers_are_joined_in_their_order() {
        assert_eq!(state(&["a=1, b=2 ,", "c@vendor=3,\t"]), "a=1,b=2,c@vendor=3");
        let members: Vec<_> = (0..33).map(|number| format!("k{number}=v")).collect();
        assert_eq!(state(&[&members[..32].join(",")]).split(',').count(), 32);
        for invalid in ["a=1,B=2", "a", "=1", "a=", "a=1=2", "a=\u{e9}", &members.join(",")] {
            assert_eq!(state(&["first=1", invalid]), "", "{invalid}");
        }
    }

    #[test]
    fn tracestate_keeps_whole_members_within_512_characters() {
        let (short, long) = (format!("s={}", "x".repeat(98)), format!("l={}", "y".repeat(198)));
        let many: Vec<_> = (0..9).map(|_| short.as_str()).collect();
        assert_eq!(state(&many), [short.as_str(); 5].join(","), "from the end");
        assert_eq!(
            state(&[&long, &short, &long, &short]),
            [&long, short.as_str(), &short].join(","),
            "a long one first"
        );
        assert_eq!(state(&["a=1", &long, "b=2"]), format!("a=1,{long},b=2"), "what fits is kept");
        let exact = format!("a={}", "z".repeat(254));
        assert_eq!(state(&[&exact, &exact[..255]]).len(), MAX_TRACESTATE_CHARS);
    }

    #[test]
    fn tracestate_of_one_member_beyond_the_limit_is_dropped() {
        for chars in [511, 600, 16_000] {
            assert_eq!(state(&[&format!("a={}", "x".repeat(chars))]), "", "{chars}");
        }
        let long = format!("a={}", "x".repeat(600));
        assert_eq!(state(&[&long, &long]), "");
        assert_eq!(state(&[&long, "b=2"]), "b=2");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(parent in proptest::collection::vec(any::<u8>(), 0..80), state in ".{0,600}") {
            if let Some(span) = remote(&headers(&[&parent], &[&state])) {
                prop_assert!(span.trace_state().header().len() <= MAX_TRACESTATE_CHARS);
            }
            let span = remote(&headers(&[VALID.as_bytes()], &[&state])).expect("a valid parent");
            prop_assert!(span.trace_state().header().len() <= MAX_TRACESTATE_CHARS);
        }
    }
}
