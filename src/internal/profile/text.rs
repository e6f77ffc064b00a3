//! Profiles for a terminal.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write,
};

use super::{Frame, Profile};

/// How much fits on a screen or two.
const FUNCTIONS: usize = 40;
const STACKS: usize = 10;
const NANOSECONDS: &str = "nanoseconds";

pub(super) fn text(profile: &Profile, title: &str) -> String {
    let mut text = String::new();
    write(&mut text, profile, title).expect("writing to memory cannot fail");
    text
}

fn write(text: &mut String, profile: &Profile, title: &str) -> std::fmt::Result {
    let unit = if profile.unit() == NANOSECONDS { "seconds" } else { profile.unit() };
    let amount = |value| amount(profile.unit(), value);
    let weight = |sample: &super::Sample| profile.weight(sample);
    let total: i64 = profile.samples.iter().map(weight).sum();
    writeln!(text, "{title}: {} {unit} in {} stacks", amount(total), profile.samples.len())?;
    for remark in &profile.remarks {
        writeln!(text, "{remark}")?;
    }
    writeln!(text, "\n{:>16} {:>6} {:>16} {:>6}  function", "alone", "%", "with what it calls", "%")?;
    for (name, (alone, with)) in functions(profile).into_iter().take(FUNCTIONS) {
        let (alone_share, with_share) = (percent(alone, total), percent(with, total));
        let (alone, with) = (amount(alone), amount(with));
        writeln!(text, "{alone:>16} {alone_share:>5.1}% {with:>16} {with_share:>5.1}%  {name}")?;
    }
    let mut stacks: Vec<_> = profile.samples.iter().filter(|sample| weight(sample) != 0).collect();
    stacks.sort_by_key(|sample| -weight(sample));
    for sample in stacks.into_iter().take(STACKS) {
        let labels: Vec<String> = sample.labels.iter().map(|(name, text)| format!("{name}: {text}")).collect();
        let (weight, share) = (amount(weight(sample)), percent(weight(sample), total));
        writeln!(text, "\n{weight} {unit} ({share:.1}%) {}", labels.join(", "))?;
        for frame in sample.frames() {
            writeln!(text, "    {}{}", frame.name, place(frame))?;
        }
    }
    Ok(())
}

/// In the unit that a person reads: the tools want nanoseconds, and nobody counts nine digits at night.
#[expect(clippy::cast_precision_loss, reason = "seconds are shown to a hundredth")]
fn amount(unit: &str, value: i64) -> String {
    if unit == NANOSECONDS { format!("{:.2}", value as f64 / 1e9) } else { value.to_string() }
}

/// Each function with what it has alone and what it has together with everything it calls, the heaviest first.
fn functions(profile: &Profile) -> Vec<(&str, (i64, i64))> {
    let mut sums = HashMap::<&str, (i64, i64)>::new();
    for sample in &profile.samples {
        let weight = profile.weight(sample);
        if let Some(leaf) = sample.frames().next() {
            sums.entry(&leaf.name).or_default().0 += weight;
        }
        // Recursion counts once.
        let names: HashSet<&str> = sample.frames().map(|frame| &*frame.name).collect();
        for name in names {
            sums.entry(name).or_default().1 += weight;
        }
    }
    let mut functions: Vec<_> = sums.into_iter().filter(|(_, sums)| *sums != (0, 0)).collect();
    functions.sort_by_key(|(name, (alone, with))| (-alone, -with, *name));
    functions
}

#[expect(clippy::cast_precision_loss, reason = "a share is shown to a tenth of a percent")]
fn percent(part: i64, whole: i64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

fn place(frame: &Frame) -> String {
    if frame.file.is_empty() { String::new() } else { format!("  {}:{}", frame.file, frame.line) }
}

#[cfg(test)]
mod tests {
    use super::amount;

    #[test]
    fn time_is_told_in_seconds_and_memory_as_it_is() {
        assert_eq!(amount("nanoseconds", 2_464_646_440), "2.46");
        assert_eq!(amount("nanoseconds", -10_000_000), "-0.01");
        assert_eq!(amount("bytes", 1 << 40), "1099511627776");
    }
}
