//! Flamegraphs as SVG, with search and zoom.

use std::collections::BTreeMap;

use inferno::flamegraph::{Options, from_lines};

use super::Profile;

/// A frame that is narrower than this share of the picture, in percent, is not drawn: nobody could read or hit it, and
/// the picture would be megabytes.
const NARROWEST: f64 = 0.02;

pub(super) fn svg(profile: &Profile, title: &str) -> Result<Vec<u8>, String> {
    let mut options = Options::default();
    title.clone_into(&mut options.title);
    profile.unit().clone_into(&mut options.count_name);
    options.min_width = NARROWEST;
    options.subtitle = Some(profile.remarks.join("; ")).filter(|remarks| !remarks.is_empty());
    let folded = folded(profile);
    if folded.is_empty() {
        return Err("there is nothing to draw: no sample was taken".to_owned());
    }
    let mut svg = Vec::new();
    from_lines(&mut options, folded.iter().map(String::as_str), &mut svg).map_err(|error| error.to_string())?;
    Ok(svg)
}

/// A line for each stack, from the outermost frame inwards; the labels' texts are the outermost of all.
fn folded(profile: &Profile) -> Vec<String> {
    let mut weights = BTreeMap::<String, i64>::new();
    for sample in &profile.samples {
        let labels = sample.labels.iter().map(|(_, text)| text.as_str());
        let frames = sample.frames().rev().map(|frame| &*frame.name);
        let names: Vec<String> = labels.chain(frames).map(|name| name.replace([';', '\n'], ":")).collect();
        *weights.entry(names.join(";")).or_default() += profile.weight(sample);
    }
    weights.into_iter().filter(|(_, weight)| *weight > 0).map(|(stack, weight)| format!("{stack} {weight}")).collect()
}
