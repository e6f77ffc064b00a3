//! Profiles as they arrive, read back: gzip, protobuf, and the numbers in it followed to what they stand for.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io::Read,
    ops::Range,
};

use flate2::read::GzDecoder;
use prost::Message;

#[derive(Clone, PartialEq, Message)]
struct ProfileMessage {
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<Pair>,
    #[prost(message, repeated, tag = "2")]
    sample: Vec<SampleMessage>,
    #[prost(message, repeated, tag = "3")]
    mapping: Vec<MappingMessage>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    function: Vec<Function>,
    #[prost(string, repeated, tag = "6")]
    string_table: Vec<String>,
    #[prost(int64, tag = "10")]
    duration_nanos: i64,
    #[prost(int64, tag = "12")]
    period: i64,
}

/// A type with its unit, or a label's key with its text.
#[derive(Clone, PartialEq, Message)]
struct Pair {
    #[prost(int64, tag = "1")]
    first: i64,
    #[prost(int64, tag = "2")]
    second: i64,
}

#[derive(Clone, PartialEq, Message)]
struct SampleMessage {
    #[prost(uint64, repeated, tag = "1")]
    location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    value: Vec<i64>,
    #[prost(message, repeated, tag = "3")]
    label: Vec<Pair>,
}

#[derive(Clone, PartialEq, Message)]
struct MappingMessage {
    #[prost(uint64, tag = "2")]
    memory_start: u64,
    #[prost(uint64, tag = "3")]
    memory_limit: u64,
    #[prost(int64, tag = "5")]
    filename: i64,
    #[prost(int64, tag = "6")]
    build_id: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "3")]
    address: u64,
    #[prost(message, repeated, tag = "4")]
    line: Vec<Line>,
}

#[derive(Clone, PartialEq, Message)]
struct Line {
    #[prost(uint64, tag = "1")]
    function_id: u64,
    #[prost(int64, tag = "2")]
    line: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Function {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "2")]
    name: i64,
    #[prost(int64, tag = "4")]
    filename: i64,
}

/// A profile, with its names in place.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// Names and units, in the order of a sample's values.
    pub(crate) measures: Vec<(String, String)>,
    pub(crate) samples: Vec<Seen>,
    pub(crate) mappings: Vec<Mapping>,
    pub(crate) period: i64,
    pub(crate) duration_nanos: i64,
}

/// A mapping of code.
#[derive(Debug)]
pub(crate) struct Mapping {
    pub(crate) range: Range<u64>,
    pub(crate) file: String,
    pub(crate) build_id: String,
}

/// One stack, from the innermost function outwards.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) stack: Vec<Frame>,
    /// One for each location, from the innermost outwards.
    pub(crate) addresses: Vec<u64>,
    pub(crate) values: Vec<i64>,
    pub(crate) labels: HashMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Frame {
    pub(crate) name: String,
    pub(crate) file: String,
    pub(crate) line: i64,
}

impl Decoded {
    pub(crate) fn of(gzip: &[u8]) -> Self {
        let mut bytes = Vec::new();
        GzDecoder::new(gzip).read_to_end(&mut bytes).unwrap();
        let message = ProfileMessage::decode(bytes.as_slice()).unwrap();
        let text = |number: i64| message.string_table[usize::try_from(number).unwrap()].clone();
        let functions: HashMap<u64, &Function> =
            message.function.iter().map(|function| (function.id, function)).collect();
        let frame = |line: &Line| {
            let function = functions[&line.function_id];
            Frame { name: text(function.name), file: text(function.filename), line: line.line }
        };
        let locations: HashMap<u64, Vec<Frame>> =
            message.location.iter().map(|location| (location.id, location.line.iter().map(frame).collect())).collect();
        let addresses: HashMap<u64, u64> =
            message.location.iter().map(|location| (location.id, location.address)).collect();
        let mapping = |mapping: &MappingMessage| Mapping {
            range: mapping.memory_start..mapping.memory_limit,
            file: text(mapping.filename),
            build_id: text(mapping.build_id),
        };
        let samples = message.sample.iter().map(|sample| Seen {
            addresses: sample.location_id.iter().map(|id| addresses[id]).collect(),
            stack: sample.location_id.iter().flat_map(|id| locations[id].clone()).collect(),
            values: sample.value.clone(),
            labels: sample.label.iter().map(|label| (text(label.first), text(label.second))).collect(),
        });
        Self {
            measures: message.sample_type.iter().map(|measure| (text(measure.first), text(measure.second))).collect(),
            samples: samples.collect(),
            mappings: message.mapping.iter().map(mapping).collect(),
            period: message.period,
            duration_nanos: message.duration_nanos,
        }
    }

    /// How many stacks Grafana Alloy sees: it tells them apart by their addresses and labels alone.
    pub(crate) fn stacks_by_address(&self) -> usize {
        let identity = |sample: &Seen| {
            let labels: BTreeMap<_, _> = sample.labels.clone().into_iter().collect();
            (sample.addresses.clone(), labels)
        };
        self.samples.iter().map(identity).collect::<HashSet<_>>().len()
    }

    /// The heaviest innermost function by the first measure, with its share of everything.
    pub(crate) fn top(&self) -> (String, f64) {
        let mut sums = HashMap::<&str, i64>::new();
        for sample in &self.samples {
            *sums.entry(&sample.stack[0].name).or_default() += sample.values[0];
        }
        let all: i64 = sums.values().sum();
        let (name, most) = sums.into_iter().max_by_key(|(_, sum)| *sum).expect("the profile has samples");
        #[expect(clippy::cast_precision_loss, reason = "a share, to be compared with a tenth")]
        (name.to_owned(), most as f64 / all as f64)
    }
}
