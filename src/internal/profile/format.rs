//! pprof's own format: `profile.proto` in gzip.
//!
//! Only the fields that we fill, as <https://github.com/google/pprof/blob/main/proto/profile.proto> numbers them.

use std::{
    collections::HashMap,
    io::Write,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use flate2::{Compression, write::GzEncoder};
use prost::Message;

use super::{Frame, Measure, Profile};

#[derive(Clone, PartialEq, Message)]
struct ProfileMessage {
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<ValueType>,
    #[prost(message, repeated, tag = "2")]
    sample: Vec<SampleMessage>,
    #[prost(message, repeated, tag = "3")]
    mapping: Vec<Mapping>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    function: Vec<Function>,
    #[prost(string, repeated, tag = "6")]
    string_table: Vec<String>,
    #[prost(int64, tag = "9")]
    time_nanos: i64,
    #[prost(int64, tag = "10")]
    duration_nanos: i64,
    #[prost(message, optional, tag = "11")]
    period_type: Option<ValueType>,
    #[prost(int64, tag = "12")]
    period: i64,
    #[prost(int64, repeated, tag = "13")]
    comment: Vec<i64>,
    #[prost(int64, tag = "14")]
    default_sample_type: i64,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct ValueType {
    #[prost(int64, tag = "1")]
    name: i64,
    #[prost(int64, tag = "2")]
    unit: i64,
}

#[derive(Clone, PartialEq, Message)]
struct SampleMessage {
    #[prost(uint64, repeated, tag = "1")]
    location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    value: Vec<i64>,
    #[prost(message, repeated, tag = "3")]
    label: Vec<Label>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Label {
    #[prost(int64, tag = "1")]
    key: i64,
    #[prost(int64, tag = "2")]
    text: i64,
}

#[expect(clippy::struct_excessive_bools, reason = "so it is defined")]
#[derive(Clone, Copy, PartialEq, Message)]
struct Mapping {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "5")]
    filename: i64,
    #[prost(bool, tag = "7")]
    has_functions: bool,
    #[prost(bool, tag = "8")]
    has_filenames: bool,
    #[prost(bool, tag = "9")]
    has_line_numbers: bool,
    #[prost(bool, tag = "10")]
    has_inline_frames: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    mapping_id: u64,
    #[prost(message, repeated, tag = "4")]
    line: Vec<Line>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Line {
    #[prost(uint64, tag = "1")]
    function_id: u64,
    #[prost(int64, tag = "2")]
    line: i64,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Function {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "2")]
    name: i64,
    #[prost(int64, tag = "3")]
    system_name: i64,
    #[prost(int64, tag = "4")]
    filename: i64,
}

/// Everything is resolved already, so there is one mapping, and no tool looks for the executable.
const MAPPING: u64 = 1;

pub(super) fn encode(profile: &Profile) -> Vec<u8> {
    let mut tables = Tables::default();
    // The format wants the empty text first.
    tables.text("");
    let sample_type = profile.measures.iter().map(|measure| tables.measure(*measure)).collect();
    let period = profile.period.map(|(measure, period)| (tables.measure(measure), period));
    let sample = profile
        .samples
        .iter()
        .map(|sample| SampleMessage {
            location_id: sample.stack.iter().map(|frame| tables.location(frame)).collect(),
            value: sample.values.clone(),
            label: sample
                .labels
                .iter()
                .map(|(key, text)| Label { key: tables.text(key), text: tables.text(text) })
                .collect(),
        })
        .collect();
    let mapping = Mapping {
        id: MAPPING,
        filename: tables.text(env!("CARGO_PKG_NAME")),
        has_functions: true,
        has_filenames: true,
        has_line_numbers: true,
        has_inline_frames: true,
    };
    let comment = profile.remarks.iter().map(|remark| tables.text(remark)).collect();
    let default_sample_type = profile.measures.get(profile.shown).map_or(0, |measure| tables.text(measure.name));
    let message = ProfileMessage {
        sample_type,
        sample,
        mapping: vec![mapping],
        location: tables.locations,
        function: tables.functions,
        string_table: tables.texts,
        time_nanos: nanos(profile.began.duration_since(UNIX_EPOCH).unwrap_or_default()),
        duration_nanos: nanos(profile.took),
        period_type: period.map(|(measure, _)| measure),
        period: period.map_or(0, |(_, period)| period),
        comment,
        default_sample_type,
    };
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&message.encode_to_vec()).and_then(|()| gzip.finish()).expect("writing to memory cannot fail")
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// What the format refers to by number.
#[derive(Default)]
struct Tables {
    texts: Vec<String>,
    text_numbers: HashMap<String, i64>,
    functions: Vec<Function>,
    function_ids: HashMap<(i64, i64), u64>,
    locations: Vec<Location>,
    location_ids: HashMap<Arc<Frame>, u64>,
}

impl Tables {
    fn text(&mut self, text: &str) -> i64 {
        if let Some(&number) = self.text_numbers.get(text) {
            return number;
        }
        let number = i64::try_from(self.texts.len()).expect("no machine has so many texts");
        self.texts.push(text.to_owned());
        self.text_numbers.insert(text.to_owned(), number);
        number
    }

    fn measure(&mut self, measure: Measure) -> ValueType {
        ValueType { name: self.text(measure.name), unit: self.text(measure.unit) }
    }

    fn location(&mut self, frame: &Arc<Frame>) -> u64 {
        if let Some(&id) = self.location_ids.get(frame) {
            return id;
        }
        let line = Line { function_id: self.function(frame), line: i64::from(frame.line) };
        let id = self.locations.len() as u64 + 1;
        self.locations.push(Location { id, mapping_id: MAPPING, line: vec![line] });
        self.location_ids.insert(Arc::clone(frame), id);
        id
    }

    fn function(&mut self, frame: &Frame) -> u64 {
        let (name, filename) = (self.text(&frame.name), self.text(&frame.file));
        if let Some(&id) = self.function_ids.get(&(name, filename)) {
            return id;
        }
        let id = self.functions.len() as u64 + 1;
        let system_name = self.text(&frame.system_name);
        self.functions.push(Function { id, name, system_name, filename });
        self.function_ids.insert((name, filename), id);
        id
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read,
        sync::Arc,
        time::{Duration, UNIX_EPOCH},
    };

    use flate2::read::GzDecoder;
    use prost::Message;

    use super::{super::Sample, Frame, Measure, Profile, ProfileMessage};

    fn frame(name: &str, line: u32) -> Arc<Frame> {
        Arc::new(Frame { name: name.to_owned(), system_name: format!("_R{name}"), file: "a.rs".to_owned(), line })
    }

    #[test]
    fn what_is_the_same_is_written_once() {
        let cpu = Measure { name: "cpu", unit: "nanoseconds" };
        let (leaf, root) = (frame("leaf", 3), frame("root", 9));
        let sample = |stack: &[&Arc<Frame>]| Sample {
            stack: stack.iter().map(|frame| Arc::clone(frame)).collect(),
            values: vec![7],
            labels: vec![("thread", "main".to_owned())],
        };
        let profile = Profile {
            measures: vec![cpu],
            shown: 0,
            period: Some((cpu, 10)),
            began: UNIX_EPOCH + Duration::from_secs(1),
            took: Duration::from_secs(2),
            samples: vec![sample(&[&leaf, &root]), sample(&[&frame("leaf", 4), &root])],
            remarks: vec!["2 samples were lost".to_owned()],
        };
        let mut bytes = Vec::new();
        GzDecoder::new(profile.pprof().as_slice()).read_to_end(&mut bytes).unwrap();
        let message = ProfileMessage::decode(bytes.as_slice()).unwrap();
        assert_eq!(message.string_table[0], "");
        assert_eq!((message.function.len(), message.location.len(), message.sample.len()), (2, 3, 2));
        assert_eq!(message.sample[0].location_id[1], message.sample[1].location_id[1]);
        let text = |number: i64| message.string_table[usize::try_from(number).unwrap()].as_str();
        assert_eq!(message.function.iter().map(|function| text(function.name)).collect::<Vec<_>>(), ["leaf", "root"]);
        assert_eq!(text(message.comment[0]), "2 samples were lost");
        assert_eq!((message.time_nanos, message.duration_nanos, message.period), (1_000_000_000, 2_000_000_000, 10));
    }
}
