//! Profiles for a terminal.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write,
    sync::Arc,
};

use super::{Frame, Profile};

/// How much fits on a screen or two.
const FUNCTIONS: usize = 40;
const STACKS: usize = 10;

pub(super) fn text(profile: &Profile, title: &str) -> String {
    let mut text = String::new();
    write(&mut text, profile, title).expect("writing to memory cannot fail");
    text
}

fn write(text: &mut String, profile: &Profile, title: &str) -> std::fmt::Result {
    let unit = profile.unit();
    let weight = |sample: &super::Sample| profile.weight(sample);
    let total: i64 = profile.samples.iter().map(weight).sum();
    writeln!(text, "{title}: {total} {unit} in {} stacks", profile.samples.len())?;
    for remark in &profile.remarks {
        writeln!(text, "{remark}")?;
    }
    writeln!(text, "\n{:>16} {:>6} {:>16} {:>6}  function", "alone", "%", "with what it calls", "%")?;
    for (name, (alone, with)) in functions(profile).into_iter().take(FUNCTIONS) {
        let (alone_share, with_share) = (percent(alone, total), percent(with, total));
        writeln!(text, "{alone:>16} {alone_share:>5.1}% {with:>16} {with_share:>5.1}%  {name}")?;
    }
    let mut stacks: Vec<_> = profile.samples.iter().filter(|sample| weight(sample) != 0).collect();
    stacks.sort_by_key(|sample| -weight(sample));
    for sample in stacks.into_iter().take(STACKS) {
        let labels: Vec<String> = sample.labels.iter().map(|(name, text)| format!("{name}: {text}")).collect();
        writeln!(text, "\n{} {unit} ({:.1}%) {}", weight(sample), percent(weight(sample), total), labels.join(", "))?;
        for frame in &sample.stack {
            writeln!(text, "    {}{}", frame.name, place(frame))?;
        }
    }
    Ok(())
}

/// Each function with what it has alone and what it has together with everything it calls, the heaviest first.
fn functions(profile: &Profile) -> Vec<(&str, (i64, i64))> {
    let mut sums = HashMap::<&str, (i64, i64)>::new();
    for sample in &profile.samples {
        let weight = profile.weight(sample);
        if let Some(leaf) = sample.stack.first() {
            sums.entry(&leaf.name).or_default().0 += weight;
        }
        // Recursion counts once.
        let names: HashSet<&str> = sample.stack.iter().map(|frame| frame.name.as_str()).collect();
        for name in names {
            sums.entry(name).or_default().1 += weight;
        }
    }
    let mut functions: Vec<_> = sums.into_iter().collect();
    functions.sort_by_key(|(name, (alone, with))| (-alone, -with, *name));
    functions
}

#[expect(clippy::cast_precision_loss, reason = "a share is shown to a tenth of a percent")]
fn percent(part: i64, whole: i64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

fn place(frame: &Arc<Frame>) -> String {
    if frame.file.is_empty() { String::new() } else { format!("  {}:{}", frame.file, frame.line) }
}
