//! How much memory an item of a queue takes, about: what is on the stack, and what it owns on the heap.

use std::mem::size_of;

use opentelemetry::{Array, Key, KeyValue, StringValue, Value, logs::AnyValue, trace::TraceState};
use opentelemetry_sdk::{logs::SdkLogRecord, trace::SpanData};

/// What a small allocation takes beside its content.
const ALLOCATION: usize = 16;

/// The bytes of a span, with its attributes, events and links.
pub(super) fn span(span: &SpanData) -> usize {
    let events = span.events.iter().map(|event| size_of_val(event) + event.name.len() + attributes(&event.attributes));
    let links = span
        .links
        .iter()
        .map(|link| size_of_val(link) + attributes(&link.attributes) + trace_state(link.span_context.trace_state()));
    size_of::<SpanData>()
        + span.name.len()
        + attributes(&span.attributes)
        + trace_state(span.span_context.trace_state())
        + events.sum::<usize>()
        + links.sum::<usize>()
}

/// The bytes of a log record, with its body and attributes.
pub(super) fn record(record: &SdkLogRecord) -> usize {
    let attributes = record.attributes_iter().map(|(_, value)| size_of::<(Key, AnyValue)>() + any_value(value));
    size_of::<SdkLogRecord>() + record.body().map_or(0, any_value) + attributes.sum::<usize>()
}

fn attributes(attributes: &[KeyValue]) -> usize {
    attributes.iter().map(|attribute| size_of::<KeyValue>() + value(&attribute.value)).sum()
}

fn value(value: &Value) -> usize {
    match value {
        Value::String(text) => string(text),
        Value::Array(Array::String(texts)) => {
            texts.iter().map(|text| size_of::<StringValue>() + string(text)).sum::<usize>()
        }
        Value::Array(Array::Bool(values)) => size_of_val(&values[..]),
        Value::Array(Array::I64(values)) => size_of_val(&values[..]),
        Value::Array(Array::F64(values)) => size_of_val(&values[..]),
        _ => 0,
    }
}

fn any_value(value: &AnyValue) -> usize {
    match value {
        AnyValue::String(text) => string(text),
        AnyValue::Bytes(bytes) => ALLOCATION + bytes.len(),
        AnyValue::ListAny(values) => values.iter().map(|value| size_of::<AnyValue>() + any_value(value)).sum(),
        AnyValue::Map(map) => map.values().map(|value| size_of::<(Key, AnyValue)>() + any_value(value)).sum(),
        _ => 0,
    }
}

fn string(text: &StringValue) -> usize {
    ALLOCATION + text.as_str().len()
}

/// Each member is two allocated texts.
fn trace_state(state: &TraceState) -> usize {
    if *state == TraceState::NONE {
        return 0;
    }
    let header = state.header();
    header.len() + (header.matches(',').count() + 1) * 2 * (size_of::<String>() + ALLOCATION)
}
