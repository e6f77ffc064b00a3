//! Prometheus text 0.0.4 and OpenMetrics 1.0.
//!
//! Both are written here, because the `prometheus` crate knows no OpenMetrics, and because both must write a bound in
//! the same way: `le="1"` and `le="1.0"` are two series to an older Prometheus that reads both formats.

use std::{borrow::Cow, collections::BTreeMap, fmt::Write, time::UNIX_EPOCH};

use prometheus::proto::{Bucket, LabelPair, Metric as Sample, MetricFamily, MetricType};

use crate::telemetry::{Metrics, exemplar::Exemplar, metrics::label_values};

/// Which of the two is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Text,
    OpenMetrics,
}

pub(super) fn write(metrics: &Metrics, dialect: Dialect) -> String {
    let mut page = Page { out: String::with_capacity(64 * 1024), dialect };
    if let (Dialect::OpenMetrics, Some(attributes)) = (dialect, metrics.target()) {
        page.target(attributes);
    }
    for family in metrics.gather() {
        page.family(&family, metrics);
    }
    if dialect == Dialect::OpenMetrics {
        page.out.push_str("# EOF\n");
    }
    page.out
}

struct Page {
    out: String,
    dialect: Dialect,
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
            MetricType::COUNTER if self.dialect == Dialect::OpenMetrics => {
                ("counter", name.strip_suffix("_total").unwrap_or(name))
            }
            MetricType::COUNTER => ("counter", name),
            MetricType::HISTOGRAM => ("histogram", name),
            _ => ("gauge", name),
        };
        let help = escaped(family.help(), self.dialect == Dialect::OpenMetrics);
        self.line(format_args!("# HELP {title} {help}"));
        self.line(format_args!("# TYPE {title} {word}"));
        let mut labels = String::new();
        let bounds = bounds(family);
        for sample in family.get_metric() {
            write_labels(&mut labels, sample.get_label());
            match kind {
                MetricType::HISTOGRAM => self.histogram(name, &labels, &bounds, sample, metrics),
                MetricType::COUNTER => self.sample(name, "", &labels, sample.get_counter().get_value()),
                _ => self.sample(name, "", &labels, sample.get_gauge().get_value()),
            }
        }
    }

    fn histogram(&mut self, name: &str, labels: &str, bounds: &[String], sample: &Sample, metrics: &Metrics) {
        let histogram = sample.get_histogram();
        let exemplars = match self.dialect {
            Dialect::OpenMetrics => {
                metrics.exemplars(name, &label_values(metrics.label_names(name), sample.get_label()))
            }
            Dialect::Text => Vec::new(),
        };
        let counts = histogram.get_bucket().iter().map(Bucket::cumulative_count);
        let comma = if labels.is_empty() { "" } else { "," };
        for (index, count) in counts.chain([histogram.get_sample_count()]).enumerate() {
            let bound = bounds.get(index).map_or("+Inf", String::as_str);
            for part in [name, "_bucket{", labels, comma, "le=\"", bound, "\"} "] {
                self.out.push_str(part);
            }
            self.write(format_args!("{count}"));
            if let Some(exemplar) = exemplars.get(index).and_then(Option::as_ref) {
                self.exemplar(exemplar);
            }
            self.out.push('\n');
        }
        self.sample(name, "_sum", labels, histogram.get_sample_sum());
        self.series(name, "_count", labels);
        self.line(format_args!("{}", histogram.get_sample_count()));
    }

    fn sample(&mut self, name: &str, suffix: &str, labels: &str, value: f64) {
        self.series(name, suffix, labels);
        write_number(&mut self.out, value);
        self.out.push('\n');
    }

    /// A line's beginning, up to the value.
    fn series(&mut self, name: &str, suffix: &str, labels: &str) {
        self.out.push_str(name);
        self.out.push_str(suffix);
        if !labels.is_empty() {
            for part in ["{", labels, "}"] {
                self.out.push_str(part);
            }
        }
        self.out.push(' ');
    }

    fn exemplar(&mut self, Exemplar { trace, value, at }: &Exemplar) {
        self.write(format_args!(" # {{trace_id=\"{}\",span_id=\"{}\"}} ", trace.trace, trace.span));
        write_number(&mut self.out, *value);
        self.write(format_args!(" {:.3}", at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()));
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        self.write(text);
        self.out.push('\n');
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        self.out.write_fmt(text).expect("writing to a string does not fail");
    }
}

/// An attribute's name as a label: what may not stand in one becomes an underscore.
pub(super) fn label_name(attribute: &str) -> String {
    let name = attribute.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '_' }).collect::<String>();
    if name.starts_with(|first: char| first.is_ascii_digit()) { format!("_{name}") } else { name }
}

/// The bounds of a family's buckets as both formats write them, without `+Inf`: all its series have the same.
fn bounds(family: &MetricFamily) -> Vec<String> {
    let first = family.get_metric().first().map(|sample| sample.get_histogram().get_bucket());
    first.unwrap_or_default().iter().map(|bucket| number(bucket.upper_bound())).collect()
}

/// Replaces what is in `out` by these labels, as they stand between braces.
fn write_labels(out: &mut String, labels: &[LabelPair]) {
    out.clear();
    for label in labels {
        if !out.is_empty() {
            out.push(',');
        }
        out.push_str(label.name());
        out.push_str("=\"");
        out.push_str(&escaped(label.value(), true));
        out.push('"');
    }
}

/// HELP in text 0.0.4 leaves quotes alone; everything else escapes them.
fn escaped(text: &str, quotes: bool) -> Cow<'_, str> {
    if !text.contains(['\\', '\n', '"']) {
        return text.into();
    }
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if quotes { text.replace('"', "\\\"").into() } else { text.into() }
}

/// A float that is seen to be one: `1.0`, and `+Inf`, `-Inf`, `NaN` as both formats write them.
fn write_number(out: &mut String, value: f64) {
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else {
        write!(out, "{value:?}").expect("writing to a string does not fail");
    }
}

fn number(value: f64) -> String {
    let mut out = String::new();
    write_number(&mut out, value);
    out
}

#[cfg(test)]
mod tests {
    use opentelemetry::{SpanId, TraceId};

    use super::{Dialect, label_name, number, write};
    use crate::telemetry::{Metrics, SpanIds, catalog};

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
        let page = write(&sample(), Dialect::OpenMetrics);
        let bucket = "glasshouse_password_hash_duration_seconds_bucket{le=\"0.05\"} 1 # \
                      {trace_id=\"00000000000000000000000000000abc\",span_id=\"0000000000000def\"} 0.04 ";
        assert!(page.contains(bucket), "{page}");
        assert!(page.contains("_bucket{le=\"+Inf\"} 2\n"), "{page}");
        assert!(page.contains("# TYPE glasshouse_sign_ins counter\n"), "{page}");
        assert!(page.ends_with("# EOF\n"), "{page}");
    }

    #[test]
    fn text_has_neither() {
        let page = write(&sample(), Dialect::Text);
        assert!(page.contains("# TYPE glasshouse_sign_ins_total counter\n"), "{page}");
        assert!(page.contains("_bucket{le=\"0.05\"} 1\n"), "{page}");
        assert!(!page.contains("EOF") && !page.contains("trace_id"), "{page}");
    }

    #[test]
    fn label_values_are_escaped_and_folded_beyond_the_cap() {
        let page = write(&sample(), Dialect::Text);
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
