//! pprof's own format: `profile.proto` in gzip.
//!
//! Only the fields that we fill, as <https://github.com/google/pprof/blob/main/proto/profile.proto> numbers them.

use std::{
    collections::HashMap,
    io::Write,
    time::{Duration, UNIX_EPOCH},
};

use flate2::{Compression, write::GzEncoder};
use prost::Message;

use super::{Frame, Location, Mapping, Measure, Profile};

#[derive(Clone, PartialEq, Message)]
struct ProfileMessage {
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<ValueType>,
    #[prost(message, repeated, tag = "2")]
    sample: Vec<SampleMessage>,
    #[prost(message, repeated, tag = "3")]
    mapping: Vec<MappingMessage>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<LocationMessage>,
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
struct MappingMessage {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    memory_start: u64,
    #[prost(uint64, tag = "3")]
    memory_limit: u64,
    #[prost(uint64, tag = "4")]
    file_offset: u64,
    #[prost(int64, tag = "5")]
    filename: i64,
    #[prost(int64, tag = "6")]
    build_id: i64,
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
struct LocationMessage {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    mapping_id: u64,
    #[prost(uint64, tag = "3")]
    address: u64,
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

pub(super) fn encode(profile: &Profile) -> Vec<u8> {
    let mut tables = Tables { mappings: &profile.mappings, ..Tables::default() };
    // The format wants the empty text first.
    tables.text("");
    let sample_type = profile.measures.iter().map(|measure| tables.measure(*measure)).collect();
    let period = profile.period.map(|(measure, period)| (tables.measure(measure), period));
    let sample = profile
        .samples
        .iter()
        .map(|sample| SampleMessage {
            location_id: sample.stack.iter().map(|location| tables.location(location)).collect(),
            value: sample.values.clone(),
            label: sample
                .labels
                .iter()
                .map(|(key, text)| Label { key: tables.text(key), text: tables.text(text) })
                .collect(),
        })
        .collect();
    let mapping = profile.mappings.iter().zip(1..).map(|(mapping, id)| tables.mapping(mapping, id)).collect();
    let comment = profile.remarks.iter().map(|remark| tables.text(remark)).collect();
    let default_sample_type = profile.measures.get(profile.shown).map_or(0, |measure| tables.text(measure.name));
    let message = ProfileMessage {
        sample_type,
        sample,
        mapping,
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
struct Tables<'a> {
    mappings: &'a [Mapping],
    texts: Vec<String>,
    text_numbers: HashMap<String, i64>,
    functions: Vec<Function>,
    function_ids: HashMap<(i64, i64), u64>,
    locations: Vec<LocationMessage>,
    location_ids: HashMap<&'a Location, u64>,
}

impl<'a> Tables<'a> {
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

    /// The flags say what a tool need not look up in the file: names, if most addresses there have one, and lines, if any has
    /// one. A stripped executable still has the names of what it exports, such as `malloc`.
    fn mapping(&mut self, mapping: &Mapping, id: u64) -> MappingMessage {
        let here = self.locations.iter().filter(|location| location.mapping_id == id);
        let named = here.clone().filter(|location| !location.line.is_empty()).count();
        let has_names = named * 2 > here.clone().count();
        let has_lines = has_names && here.flat_map(|location| &location.line).any(|line| line.line > 0);
        MappingMessage {
            id,
            memory_start: mapping.range.start as u64,
            memory_limit: mapping.range.end as u64,
            file_offset: mapping.offset,
            filename: self.text(&mapping.file),
            build_id: self.text(&mapping.build_id),
            has_functions: has_names,
            has_filenames: has_lines,
            has_line_numbers: has_lines,
            has_inline_frames: has_lines,
        }
    }

    /// One location per address, with a line for each frame there; none where the address has no name, so that a tool
    /// can look for one itself.
    fn location(&mut self, location: &'a Location) -> u64 {
        if let Some(&id) = self.location_ids.get(location) {
            return id;
        }
        let known = location.frames.iter().filter(|frame| frame.is_known());
        let line = known.map(|frame| Line { function_id: self.function(frame), line: i64::from(frame.line) }).collect();
        let id = self.locations.len() as u64 + 1;
        let mapping = self.mappings.iter().position(|mapping| mapping.range.contains(&location.address));
        let mapping_id = mapping.map_or(0, |index| index as u64 + 1);
        self.locations.push(LocationMessage { id, mapping_id, address: location.address as u64, line });
        self.location_ids.insert(location, id);
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

    use super::{super::Sample, Frame, Location, Mapping, Measure, Profile, ProfileMessage};

    fn location(address: usize, names: &[&str]) -> Location {
        let frame = |name: &&str| Frame {
            name: (*name).into(),
            system_name: format!("_R{name}").into(),
            file: "a.rs".into(),
            line: u32::try_from(address).unwrap(),
        };
        Location { address, frames: names.iter().map(frame).map(Arc::new).collect() }
    }

    fn decoded(profile: &Profile) -> ProfileMessage {
        let mut bytes = Vec::new();
        GzDecoder::new(profile.pprof().as_slice()).read_to_end(&mut bytes).unwrap();
        ProfileMessage::decode(bytes.as_slice()).unwrap()
    }

    #[test]
    fn what_is_the_same_is_written_once() {
        let cpu = Measure { name: "cpu", unit: "nanoseconds" };
        let (leaf, root) = (location(3, &["leaf"]), location(9, &["root"]));
        let sample = |stack: &[&Location]| Sample {
            stack: stack.iter().copied().cloned().collect(),
            values: vec![7],
            labels: vec![("thread", "main".to_owned())],
        };
        let profile = Profile {
            measures: vec![cpu],
            shown: 0,
            period: Some((cpu, 10)),
            began: UNIX_EPOCH + Duration::from_secs(1),
            took: Duration::from_secs(2),
            samples: vec![sample(&[&leaf, &root]), sample(&[&location(4, &["leaf"]), &root])],
            mappings: Vec::new(),
            remarks: vec!["2 samples were lost".to_owned()],
        };
        let message = decoded(&profile);
        assert_eq!(message.string_table[0], "");
        assert_eq!((message.function.len(), message.location.len(), message.sample.len()), (2, 3, 2));
        assert_eq!(message.sample[0].location_id[1], message.sample[1].location_id[1]);
        let text = |number: i64| message.string_table[usize::try_from(number).unwrap()].as_str();
        assert_eq!(message.function.iter().map(|function| text(function.name)).collect::<Vec<_>>(), ["leaf", "root"]);
        assert_eq!(text(message.comment[0]), "2 samples were lost");
        assert_eq!((message.time_nanos, message.duration_nanos, message.period), (1_000_000_000, 2_000_000_000, 10));
    }

    #[test]
    fn location_has_address_mapping_and_a_line_per_inlined_frame() {
        let mapping = |range, build_id: &str| Mapping {
            range,
            offset: 0x1000,
            file: "/usr/bin/a".to_owned(),
            build_id: build_id.to_owned(),
        };
        let profile = Profile {
            measures: vec![Measure { name: "cpu", unit: "nanoseconds" }],
            shown: 0,
            period: None,
            began: UNIX_EPOCH,
            took: Duration::ZERO,
            samples: vec![Sample {
                stack: vec![
                    location(0x21, &["inlined", "outer"]),
                    location(0x32, &["0x32"]),
                    location(0x33, &["exported"]),
                    location(0x99, &["far"]),
                ],
                values: vec![1],
                labels: Vec::new(),
            }],
            mappings: vec![mapping(0x20..0x30, "abcd"), mapping(0x30..0x40, "")],
            remarks: Vec::new(),
        };
        let message = decoded(&profile);
        let locations: Vec<_> = message
            .location
            .iter()
            .map(|location| (location.address, location.mapping_id, location.line.len()))
            .collect();
        assert_eq!(locations, [(0x21, 1, 2), (0x32, 2, 0), (0x33, 2, 1), (0x99, 0, 1)]);
        let (named, unnamed) = (&message.mapping[0], &message.mapping[1]);
        assert_eq!((named.memory_start, named.memory_limit, named.file_offset), (0x20, 0x30, 0x1000));
        let text = |number: i64| message.string_table[usize::try_from(number).unwrap()].as_str();
        assert_eq!((text(named.filename), text(named.build_id), text(unnamed.build_id)), ("/usr/bin/a", "abcd", ""));
        assert!(named.has_functions && named.has_line_numbers && !unnamed.has_functions && !unnamed.has_line_numbers);
    }
}
