//! Answers of `/metrics`: Prometheus text 0.0.4, OpenMetrics 1.0 with exemplars, or Prometheus' protobuf messages with
//! exemplars, created timestamps and, where the setting is on, native histograms.

mod messages;
mod protobuf;
mod text;

use super::Metrics;

/// A format that a scraper can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposition {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// `io.prometheus.client.MetricFamily`, each message after its length.
    Protobuf,
}

impl Exposition {
    /// All formats; of two that a scraper accepts equally well, the later one is sent.
    pub const ALL: [Self; 3] = [Self::Text, Self::OpenMetrics, Self::Protobuf];

    /// The format that an `Accept` header prefers; text where it names none of the others.
    #[must_use]
    pub fn negotiate(accept: Option<&str>) -> Self {
        let ranges = accept.unwrap_or_default().split(',').filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next()?;
            let parameters: Vec<(&str, &str)> = parts.filter_map(|parameter| parameter.split_once('=')).collect();
            let value = |name| parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
            let quality: f32 = value("q").map_or(Some(1.0), |quality| quality.parse().ok())?;
            let format = match media {
                "text/plain" => Self::Text,
                "application/openmetrics-text" => Self::OpenMetrics,
                "application/vnd.google.protobuf"
                    if value("proto") == Some(MESSAGE) && value("encoding") == Some("delimited") =>
                {
                    Self::Protobuf
                }
                _ => return None,
            };
            (quality > 0.0).then_some((quality, format))
        });
        let best = ranges.max_by(|(quality, format), (other, other_format)| {
            quality.total_cmp(other).then((*format as u8).cmp(&(*other_format as u8)))
        });
        best.map_or(Self::Text, |(_, format)| format)
    }

    /// The `Content-Type` of the answer.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }

    /// Every family, in this format.
    #[must_use]
    pub fn write(self, metrics: &Metrics) -> Vec<u8> {
        match self {
            Self::Text => text::write(metrics, text::Dialect::Text).into_bytes(),
            Self::OpenMetrics => text::write(metrics, text::Dialect::OpenMetrics).into_bytes(),
            Self::Protobuf => protobuf::write(metrics),
        }
    }
}

/// The protobuf message that scrapers and this service know.
const MESSAGE: &str = "io.prometheus.client.MetricFamily";

#[cfg(test)]
mod tests {
    use super::Exposition;

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

    #[test]
    fn prometheus_with_native_histograms_gets_protobuf() {
        let accept = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
                      application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        assert_eq!(Exposition::negotiate(Some(accept)), Exposition::Protobuf);
        for other in
            ["proto=io.prometheus.client.MetricFamily;encoding=text", "proto=another.Message;encoding=delimited"]
        {
            let accept = format!("application/vnd.google.protobuf;{other},text/plain;q=0.3");
            assert_eq!(Exposition::negotiate(Some(&accept)), Exposition::Text, "{accept}");
        }
    }
}
