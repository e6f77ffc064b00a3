//! What `/metrics` answers: Prometheus text 0.0.4, or OpenMetrics 1.0 with exemplars.
//!
//! Both are written here, because the `prometheus` crate knows no OpenMetrics, and because both must write a bound in
//! the same way: `le="1"` and `le="1.0"` are two series to an older Prometheus that meets both formats.

use std::{collections::BTreeMap, fmt::Write, time::UNIX_EPOCH};

use prometheus::proto::{LabelPair, Metric as Sample, MetricFamily, MetricType};

use super::{Metrics, exemplar::Exemplar};

/// A format that a scraper can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposition {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Exposition {
    /// What an `Accept` header asks for; text where it says nothing of OpenMetrics, or rates it lower.
    #[must_use]
    pub fn negotiate(accept: Option<&str>) -> Self {
        let quality = |wanted: &str| {
            let ranges = accept.unwrap_or_default().split(',').map(str::trim);
            let found = ranges.filter(|range| range.split(';').next().is_some_and(|media| media.trim() == wanted));
            found.filter_map(quality_of).fold(0.0_f32, f32::max)
        };
        let open = quality("application/openmetrics-text");
        if open > 0.0 && open >= quality("text/plain") { Self::OpenMetrics } else { Self::Text }
    }

    /// The `Content-Type` of the answer.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// Everything there is, in this format.
    #[must_use]
    pub fn write(self, metrics: &Metrics) -> String {
        let mut page = Page { out: String::with_capacity(64 * 1024), format: self };
        if let (Self::OpenMetrics, Some(attributes)) = (self, metrics.target()) {
            page.target(attributes);
        }
        for family in metrics.gather() {
            page.family(&family, metrics);
        }
        if self == Self::OpenMetrics {
            page.out.push_str("# EOF\n");
        }
        page.out
    }
}

fn quality_of(range: &str) -> Option<f32> {
    match range.split(';').map(str::trim).find_map(|parameter| parameter.strip_prefix("q=")) {
        Some(quality) => quality.parse().ok(),
        None => Some(1.0),
    }
}

struct Page {
    out: String,
    format: Exposition,
}

impl Page {
    /// Who says all this: OpenTelemetry's resource as the info metric that OpenMetrics has for it.
    fn target(&mut self, attributes: &BTreeMap<String, String>) {
        // Two attributes may become one label; the alphabet decides, since a label that is there twice is none.
        let labels: BTreeMap<_, _> = attributes.iter().rev().map(|(name, value)| (label_name(name), value)).collect();
        let labels: Vec<_> =
            labels.into_iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value, true))).collect();
        self.line(format_args!("# HELP target Who says this"));
        self.line(format_args!("# TYPE target info"));
        self.line(format_args!("target_info{{{}}} 1.0", labels.join(",")));
    }

    fn family(&mut self, family: &MetricFamily, metrics: &Metrics) {
        let name = family.name();
        let kind = family.get_field_type();
        let (word, title) = match kind {
            // OpenMetrics names a counter's family without what its samples end in.
            MetricType::COUNTER if self.format == Exposition::OpenMetrics => {
                ("counter", name.strip_suffix("_total").unwrap_or(name))
            }
            MetricType::COUNTER => ("counter", name),
            MetricType::HISTOGRAM => ("histogram", name),
            _ => ("gauge", name),
        };
        let help = escaped(family.help(), self.format == Exposition::OpenMetrics);
        self.line(format_args!("# HELP {title} {help}"));
        self.line(format_args!("# TYPE {title} {word}"));
        for sample in family.get_metric() {
            let labels = labels(sample.get_label());
            match kind {
                MetricType::HISTOGRAM => self.histogram(name, &labels, sample, metrics),
                MetricType::COUNTER => self.sample(name, &labels, "", &number(sample.get_counter().get_value()), None),
                _ => self.sample(name, &labels, "", &number(sample.get_gauge().get_value()), None),
            }
        }
    }

    fn histogram(&mut self, name: &str, labels: &str, sample: &Sample, metrics: &Metrics) {
        let histogram = sample.get_histogram();
        let exemplars = match self.format {
            Exposition::OpenMetrics => metrics.exemplars(name, &in_catalogue_order(metrics, name, sample.get_label())),
            Exposition::Text => Vec::new(),
        };
        let bucket = format!("{name}_bucket");
        for (index, bound) in histogram.get_bucket().iter().enumerate() {
            let le = format!("le=\"{}\"", number(bound.upper_bound()));
            let exemplar = exemplars.get(index).and_then(Option::as_ref);
            self.sample(&bucket, labels, &le, &bound.cumulative_count().to_string(), exemplar);
        }
        let count = histogram.get_sample_count().to_string();
        self.sample(&bucket, labels, "le=\"+Inf\"", &count, exemplars.last().and_then(Option::as_ref));
        self.sample(&format!("{name}_sum"), labels, "", &number(histogram.get_sample_sum()), None);
        self.sample(&format!("{name}_count"), labels, "", &count, None);
    }

    fn sample(&mut self, name: &str, labels: &str, more: &str, value: &str, exemplar: Option<&Exemplar>) {
        self.out.push_str(name);
        if !labels.is_empty() || !more.is_empty() {
            let comma = if labels.is_empty() || more.is_empty() { "" } else { "," };
            self.write(format_args!("{{{labels}{comma}{more}}}"));
        }
        self.write(format_args!(" {value}"));
        if let Some(Exemplar { trace, value, at }) = exemplar {
            let at = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
            let value = number(*value);
            self.write(format_args!(" # {{trace_id=\"{}\",span_id=\"{}\"}} {value} {at:.3}", trace.trace, trace.span));
        }
        self.out.push('\n');
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        self.write(text);
        self.out.push('\n');
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        self.out.write_fmt(text).expect("writing to a string does not fail");
    }
}

/// The registry sorts labels by name; exemplars are kept by label values in the catalogue's order.
fn in_catalogue_order<'a>(metrics: &Metrics, family: &str, labels: &'a [LabelPair]) -> Vec<&'a str> {
    let value_of = |name: &&str| labels.iter().find(|label| label.name() == *name).map_or("", LabelPair::value);
    metrics.label_names(family).iter().map(value_of).collect()
}

/// An attribute's name as a label: what may not stand in one becomes an underscore.
fn label_name(attribute: &str) -> String {
    let name = attribute.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '_' }).collect::<String>();
    if name.starts_with(|first: char| first.is_ascii_digit()) { format!("_{name}") } else { name }
}

fn labels(labels: &[LabelPair]) -> String {
    let pairs = labels.iter().map(|label| format!("{}=\"{}\"", label.name(), escaped(label.value(), true)));
    pairs.collect::<Vec<_>>().join(",")
}

/// HELP in text 0.0.4 leaves quotes alone; everything else escapes them.
fn escaped(text: &str, quotes: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if quotes { text.replace('"', "\\\"") } else { text }
}

/// A float that is seen to be one: `1.0`, and `+Inf`, `-Inf`, `NaN` as both formats write them.
fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        format!("{value:?}")
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::{SpanId, TraceId};

    use super::{Exposition, label_name, number};
    use crate::telemetry::{Metrics, SpanIds, catalog};

    #[test]
    fn prometheus_itself_gets_openmetrics() {
        let accept = "application/openmetrics-text;version=1.0.0;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,\
                      text/plain;version=0.0.4;q=0.4,*/*;q=0.1";
        assert_eq!(Exposition::negotiate(Some(accept)), Exposition::OpenMetrics);
    }

    #[test]
    fn who_asks_for_nothing_or_for_text_gets_text() {
        for accept in [None, Some("*/*"), Some("text/plain"), Some("application/openmetrics-text;q=0"), Some("\u{0}")] {
            assert_eq!(Exposition::negotiate(accept), Exposition::Text, "{accept:?}");
        }
    }

    fn sample() -> Metrics {
        let metrics = Metrics::new(2);
        let hashes = metrics.histogram(&catalog::PASSWORD_HASH_DURATION);
        let trace = SpanIds { trace: TraceId::from(0xabc), span: SpanId::from(0xdef) };
        hashes.observe_in(&[], 0.04, Some(trace));
        hashes.observe_in(&[], 99.0, None);
        let sign_ins = metrics.counter(&catalog::SIGN_INS);
        for outcome in ["success", "with \"quotes\" \\ and\nlines", "beyond the cap", "and more"] {
            sign_ins.inc(&[outcome]);
        }
        metrics
    }

    #[test]
    fn openmetrics_has_exemplars_and_an_end() {
        let page = Exposition::OpenMetrics.write(&sample());
        let bucket = "glasshouse_password_hash_duration_seconds_bucket{le=\"0.05\"} 1 # \
                      {trace_id=\"00000000000000000000000000000abc\",span_id=\"0000000000000def\"} 0.04 ";
        assert!(page.contains(bucket), "{page}");
        assert!(page.contains("_bucket{le=\"+Inf\"} 2\n"), "{page}");
        assert!(page.contains("# TYPE glasshouse_sign_ins counter\n"), "{page}");
        assert!(page.ends_with("# EOF\n"), "{page}");
    }

    #[test]
    fn text_has_neither() {
        let page = Exposition::Text.write(&sample());
        assert!(page.contains("# TYPE glasshouse_sign_ins_total counter\n"), "{page}");
        assert!(page.contains("_bucket{le=\"0.05\"} 1\n"), "{page}");
        assert!(!page.contains("EOF") && !page.contains("trace_id"), "{page}");
    }

    #[test]
    fn label_values_are_escaped_and_folded_beyond_the_cap() {
        let page = Exposition::Text.write(&sample());
        assert!(page.contains(r#"glasshouse_sign_ins_total{outcome="with \"quotes\" \\ and\nlines"} 1.0"#), "{page}");
        assert!(page.contains("glasshouse_sign_ins_total{outcome=\"_overflow\"} 2.0\n"), "{page}");
        assert!(!page.contains("beyond the cap"), "{page}");
        let folded = "glasshouse_metric_series_overflow_total{family=\"glasshouse_sign_ins_total\"} 2.0\n";
        assert!(page.contains(folded), "{page}");
    }

    #[test]
    fn an_attribute_is_a_label_that_every_scraper_reads() {
        for (name, label) in [("service.name", "service_name"), ("k8s.pod-name", "k8s_pod_name"), ("2é", "_2_")] {
            assert_eq!(label_name(name), label);
        }
    }

    #[test]
    fn a_whole_number_is_still_a_float() {
        for (value, text) in [(1.0, "1.0"), (0.25, "0.25"), (f64::INFINITY, "+Inf"), (1e21, "1e21")] {
            assert_eq!(number(value), text);
        }
    }
}
