//! Trace context across HTTP: read from a request (W3C `traceparent`, `tracestate`), told in an answer (`traceresponse`).

use http::HeaderMap;
use opentelemetry::{
    Context,
    propagation::TextMapPropagator,
    trace::{SpanContext, TraceContextExt},
};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;

use super::SpanIds;

/// The caller's span, if the headers name one in the way that W3C Trace Context asks for.
#[must_use]
pub fn remote(headers: &HeaderMap) -> Option<SpanContext> {
    // Most requests come without: asking first is cheaper than letting the propagator find out.
    if !headers.contains_key("traceparent") {
        return None;
    }
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &HeaderExtractor(headers));
    Some(context.span().span_context().clone()).filter(SpanContext::is_valid)
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

    use super::{SpanIds, remote, traceresponse};

    fn headers(traceparent: &[u8]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_bytes(traceparent) {
            headers.insert("traceparent", value);
        }
        headers
    }

    #[test]
    fn a_valid_parent_is_read_and_told_back() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let span = remote(&headers(text.as_bytes())).expect("it is valid");
        assert!(span.is_sampled() && span.is_remote());
        assert_eq!(traceresponse(SpanIds::from(&span), true), text);
    }

    #[test]
    fn what_names_no_span_is_no_parent() {
        for text in [
            "",
            "00",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert!(remote(&headers(text.as_bytes())).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            drop(remote(&headers(&bytes)));
        }
    }
}
