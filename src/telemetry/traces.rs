//! Spans, decided at the edge: where the sampler says no, nothing is built.
//!
//! A span made with `tracing` costs most of its price before the sampler's answer matters: it is built, filled and
//! entered at every poll. So the few spans that every request has (the request, its database calls) are made here,
//! with OpenTelemetry's own API, and only if their trace is sampled. Spans of `tracing` join them as children through
//! tracing-opentelemetry, behind a filter that asks the same question ([`current_sampled`]).

use std::{cell::Cell, future::Future, sync::Arc};

use futures_util::future::Either;
use opentelemetry::{
    Array, Context, KeyValue, SpanId, StringValue, TraceFlags, TraceId, Value,
    trace::{FutureExt, SpanContext, SpanKind, Status, TraceContextExt, TraceState, Tracer as _},
};
use opentelemetry_sdk::trace::{
    IdGenerator, RandomIdGenerator, Sampler as SdkSampler, SamplingDecision, SdkTracer, ShouldSample,
};

use super::Sampler;

/// Returns an attribute whose value is a list of texts, as OpenTelemetry wants it for headers.
pub fn strings(key: &'static str, values: impl IntoIterator<Item = String>) -> KeyValue {
    let values: Vec<StringValue> = values.into_iter().map(StringValue::from).collect();
    KeyValue::new(key, Value::Array(Array::from(values)))
}

/// What names a span from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanIds {
    /// 16 octets, shared by all spans of one trace.
    pub trace: TraceId,
    /// 8 octets.
    pub span: SpanId,
}

impl SpanIds {
    /// The trace's id as it is written: 32 hexadecimal digits. Several times for each request, so not by `Display`,
    /// which takes four times as long.
    #[must_use]
    pub fn trace_digits(&self) -> Digits<32> {
        Digits::of(&self.trace.to_bytes())
    }

    /// The span's: 16 digits.
    #[must_use]
    pub fn span_digits(&self) -> Digits<16> {
        Digits::of(&self.span.to_bytes())
    }
}

/// Octets in hexadecimal digits.
#[derive(Debug, Clone, Copy)]
pub struct Digits<const N: usize>([u8; N]);

impl<const N: usize> Digits<N> {
    fn of(bytes: &[u8]) -> Self {
        let mut digits = [b'0'; N];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
            pair[0] = HEXADECIMAL[usize::from(byte >> 4)];
            pair[1] = HEXADECIMAL[usize::from(byte & 15)];
        }
        Self(digits)
    }

    /// The digits as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

const HEXADECIMAL: &[u8; 16] = b"0123456789abcdef";

impl From<&SpanContext> for SpanIds {
    fn from(context: &SpanContext) -> Self {
        Self { trace: context.trace_id(), span: context.span_id() }
    }
}

/// The span that the current task is in, sampled or not.
#[must_use]
pub fn current() -> Option<SpanIds> {
    current_if(SpanContext::is_valid)
}

/// The span that the current task is in, if it is going to be exported.
#[must_use]
pub fn current_sampled() -> Option<SpanIds> {
    current_if(|context| context.is_valid() && context.is_sampled())
}

fn current_if(wanted: impl Fn(&SpanContext) -> bool) -> Option<SpanIds> {
    Context::map_current(|current| {
        let span = current.span();
        Some(span.span_context()).filter(|context| wanted(context)).map(SpanIds::from)
    })
}

/// Makes spans. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tracer {
    /// None where nothing is exported.
    sdk: Option<SdkTracer>,
    root: Arc<SdkSampler>,
    parent_based: bool,
    trust_remote: bool,
}

/// Where a request's trace comes from.
#[derive(Debug, Default)]
pub struct Origin {
    /// The caller's span, if it sent a valid `traceparent`.
    pub remote: Option<SpanContext>,
    /// Whether this request is traced whatever the sampler says.
    pub forced: bool,
    /// Whether it is a probe: several a minute, whose traces mean nothing; traced only where that is forced.
    pub probe: bool,
}

impl Tracer {
    /// A tracer whose spans nobody wants: ids are still given, spans are never built.
    #[must_use]
    pub fn off() -> Self {
        Self::new(None, Sampler { parent_based: true, ratio: 0.0 }, false)
    }

    pub(super) fn new(sdk: Option<SdkTracer>, sampler: Sampler, trust_remote: bool) -> Self {
        let root = match sampler.ratio {
            ratio if ratio >= 1.0 => SdkSampler::AlwaysOn,
            ratio if ratio <= 0.0 => SdkSampler::AlwaysOff,
            ratio => SdkSampler::TraceIdRatioBased(ratio),
        };
        Self { sdk, root: Arc::new(root), parent_based: sampler.parent_based, trust_remote }
    }

    /// The span of a request that somebody sent us: child of the remote span, root of everything here.
    /// Its ids are valid in any case; `name` and `attributes` are asked for only if it is sampled.
    pub fn server(
        &self,
        origin: &Origin,
        name: impl FnOnce() -> String,
        attributes: impl FnOnce() -> Vec<KeyValue>,
    ) -> Span {
        let remote = origin.remote.as_ref();
        let trace = remote.map_or_else(|| RandomIdGenerator::default().new_trace_id(), SpanContext::trace_id);
        let followed = remote.filter(|_| self.trust_remote && self.parent_based).map(SpanContext::is_sampled);
        // A ratio is decided by the trace's id. A stranger could choose one that is always kept, so for it the dice
        // are our own.
        let decisive =
            if self.trust_remote || remote.is_none() { trace } else { RandomIdGenerator::default().new_trace_id() };
        let sampled = origin.forced || (!origin.probe && followed.unwrap_or_else(|| self.keeps(decisive)));
        let parent = remote.map_or_else(Context::new, |remote| Context::new().with_remote_span_context(remote.clone()));
        self.start(&parent, trace, sampled, SpanKind::Server, name, attributes)
    }

    /// The span of work that nobody asked for, such as a sweep; in a trace of its own.
    pub fn background(&self, name: &'static str) -> Span {
        let trace = RandomIdGenerator::default().new_trace_id();
        self.start(&Context::new(), trace, self.keeps(trace), SpanKind::Internal, || name.to_owned(), Vec::new)
    }

    /// The span of a call to something outside, below the current span; a trace of its own where there is none.
    /// Nothing is asked for and nothing is built if the trace is not sampled.
    pub fn client(&self, name: &'static str, attributes: impl FnOnce() -> Vec<KeyValue>) -> Span {
        self.below(SpanKind::Client, name, attributes)
    }

    /// The span of a part of our own work, such as waiting; otherwise as [`Tracer::client`].
    pub fn child(&self, name: &'static str, attributes: impl FnOnce() -> Vec<KeyValue>) -> Span {
        self.below(SpanKind::Internal, name, attributes)
    }

    fn below(&self, kind: SpanKind, name: &'static str, attributes: impl FnOnce() -> Vec<KeyValue>) -> Span {
        let current = Context::current();
        let (trace, sampled) = match current.span().span_context() {
            context if context.is_valid() => (context.trace_id(), context.is_sampled()),
            _ => {
                let trace = RandomIdGenerator::default().new_trace_id();
                (trace, self.keeps(trace))
            }
        };
        if sampled && self.sdk.is_some() {
            self.start(&current, trace, true, kind, || name.to_owned(), attributes)
        } else {
            Span { context: None }
        }
    }

    /// What the configured sampler says of a trace that begins here.
    fn keeps(&self, trace: TraceId) -> bool {
        let verdict = self.root.should_sample(None, trace, "", &SpanKind::Server, &[], &[]);
        verdict.decision == SamplingDecision::RecordAndSample
    }

    fn start(
        &self,
        parent: &Context,
        trace: TraceId,
        sampled: bool,
        kind: SpanKind,
        name: impl FnOnce() -> String,
        attributes: impl FnOnce() -> Vec<KeyValue>,
    ) -> Span {
        let context = match &self.sdk {
            Some(sdk) if sampled => {
                let builder = sdk.span_builder(name()).with_kind(kind).with_attributes(attributes());
                DECIDED.set(Some(trace));
                let span = sdk.build_with_context(builder, parent);
                DECIDED.set(None);
                parent.with_span(span)
            }
            _ => {
                let span = RandomIdGenerator::default().new_span_id();
                let context = SpanContext::new(trace, span, TraceFlags::NOT_SAMPLED, false, TraceState::NONE);
                parent.with_remote_span_context(context)
            }
        };
        Span { context: Some(context) }
    }
}

/// The span that a task was in, for work that outlives the task's own future.
#[derive(Debug, Clone)]
pub struct Place(Context);

impl Place {
    /// Where the current task is.
    #[must_use]
    pub fn current() -> Self {
        Self(Context::current())
    }

    /// A trace of its own that is not sampled, for work such as readiness checks, whose spans have no reader.
    #[must_use]
    pub fn untraced() -> Self {
        let ids = RandomIdGenerator::default();
        let (trace, span) = (ids.new_trace_id(), ids.new_span_id());
        let context = SpanContext::new(trace, span, TraceFlags::NOT_SAMPLED, false, TraceState::NONE);
        Self(Context::new().with_remote_span_context(context))
    }

    /// Runs the future there.
    pub fn within<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        future.with_context(self.0.clone())
    }
}

thread_local! {
    /// The id of the trace that the sampler has just decided on.
    static DECIDED: Cell<Option<TraceId>> = const { Cell::new(None) };
}

/// Gives a new trace the id that was decided on before its first span was built.
///
/// The SDK asks its sampler and its generator while it builds a span; a ratio is decided by the id, so here the id
/// comes first. There is no other way to hand it over.
#[derive(Debug, Default)]
pub(super) struct DecidedIds(RandomIdGenerator);

impl IdGenerator for DecidedIds {
    fn new_trace_id(&self) -> TraceId {
        DECIDED.take().unwrap_or_else(|| self.0.new_trace_id())
    }

    fn new_span_id(&self) -> SpanId {
        self.0.new_span_id()
    }
}

/// A span that has begun; ends when it is dropped. Nothing at all if its trace is not sampled and has ids already.
#[derive(Debug)]
pub struct Span {
    context: Option<Context>,
}

impl Span {
    /// Runs the future inside this span: what it logs and calls belongs to it. No `async fn`, which would hold the future
    /// twice: as its argument, and where it is awaited.
    pub fn within<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        match &self.context {
            Some(context) => Either::Left(future.with_context(context.clone())),
            None => Either::Right(future),
        }
    }

    /// The ids of this span; none if it was not built.
    #[must_use]
    pub fn ids(&self) -> Option<SpanIds> {
        self.context.as_ref().map(|context| SpanIds::from(context.span().span_context()))
    }

    /// The ids of this span, if it is going to be exported.
    #[must_use]
    pub fn sampled(&self) -> Option<SpanIds> {
        let context = self.context.as_ref().filter(|context| context.span().is_recording())?;
        Some(SpanIds::from(context.span().span_context()))
    }

    /// Adds attributes, asked for only if somebody will see them.
    pub fn set(&self, attributes: impl FnOnce() -> Vec<KeyValue>) {
        if let Some(context) = self.context.as_ref().filter(|context| context.span().is_recording()) {
            context.span().set_attributes(attributes());
        }
    }

    /// Says that what the span stands for failed, and with which `error.type`.
    pub fn fail(&self, error_type: &str) {
        if let Some(context) = &self.context {
            context.span().set_status(Status::error(""));
            context.span().set_attribute(KeyValue::new("error.type", error_type.to_owned()));
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(context) = &self.context {
            context.span().end();
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::{
        DecidedIds, Origin, Sampler, SdkSampler, SpanContext, SpanId, SpanIds, TraceFlags, TraceId, TraceState, Tracer,
    };

    fn tracer(ratio: f64, trust_remote: bool) -> Tracer {
        let provider = SdkTracerProvider::builder().with_sampler(SdkSampler::AlwaysOn);
        let sdk = provider.with_id_generator(DecidedIds::default()).build().tracer("test");
        Tracer::new(Some(sdk), Sampler { parent_based: false, ratio }, trust_remote)
    }

    /// Of 64 requests in a trace whose id any ratio keeps, how many are traced.
    fn kept(trust_remote: bool) -> usize {
        let tracer = tracer(0.5, trust_remote);
        let trace = TraceId::from(1 << 64);
        let remote = SpanContext::new(trace, SpanId::from(1), TraceFlags::NOT_SAMPLED, true, TraceState::NONE);
        let origin = Origin { remote: Some(remote), ..Origin::default() };
        let spans = (0..64).map(|_| tracer.server(&origin, String::new, Vec::new));
        spans.filter(|span| span.sampled().is_some_and(|ids| ids.trace == trace)).count()
    }

    #[test]
    fn a_stranger_cannot_choose_an_id_that_is_always_traced() {
        assert_eq!(kept(true), 64);
        assert!((1..64).contains(&kept(false)));
    }

    #[test]
    fn a_trace_that_begins_here_has_the_id_that_was_decided_on() {
        let tracer = tracer(0.5, false);
        for _ in 0..64 {
            let span = tracer.server(&Origin::default(), String::new, Vec::new);
            let ids = span.ids().expect("a server's span has ids");
            assert_eq!(span.sampled().is_some(), tracer.keeps(ids.trace));
        }
    }

    proptest::proptest! {
        #[test]
        fn digits_are_those_of_display(trace: u128, span: u64) {
            let ids = SpanIds { trace: TraceId::from(trace), span: SpanId::from(span) };
            proptest::prop_assert_eq!(ids.trace_digits().as_str().to_owned(), ids.trace.to_string());
            proptest::prop_assert_eq!(ids.span_digits().as_str().to_owned(), ids.span.to_string());
        }
    }
}
