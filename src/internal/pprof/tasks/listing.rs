//! Tasks as text: counted by place in Go's layout, and each by itself.

use std::fmt::{Result, Write};

use super::{
    fold::Call,
    fold::package,
    standing::{Group, Standing},
};

/// As Go's `debug=1`: a line with the count and the addresses for programs, and lines with `#` that people read.
pub(super) fn counts(groups: &[Group], remarks: &[String]) -> String {
    let mut text = String::new();
    write_counts(&mut text, groups, remarks).expect(IN_MEMORY);
    text
}

/// As Go's `debug=2`: each task with its number, state, age and stack.
pub(super) fn each(standing: &[Standing], remarks: &[String]) -> String {
    let mut text = String::new();
    write_each(&mut text, standing, remarks).expect(IN_MEMORY);
    text
}

const IN_MEMORY: &str = "writing to memory cannot fail";

/// Go's tools want an address in each line; at this one there is nothing.
const NOWHERE: usize = 1;

fn write_counts(text: &mut String, groups: &[Group], remarks: &[String]) -> Result {
    let total: usize = groups.iter().map(|group| group.count).sum();
    writeln!(text, "goroutine profile: total {total}")?;
    for remark in remarks {
        writeln!(text, "# {remark}")?;
    }
    for Group { count, one } in groups {
        let stack = one.branches.first().map_or(&[][..], |branch| branch);
        // The same address stands for every call that was inlined there. Go's addresses are where a call returns to.
        let mut addresses: Vec<usize> = stack.iter().map(|call| call.address + 1).collect();
        addresses.dedup();
        if addresses.is_empty() {
            addresses.push(NOWHERE);
        }
        write!(text, "\n{count} @")?;
        for address in addresses {
            write!(text, " {address:#x}")?;
        }
        writeln!(text, "\n# labels: {{\"task\":\"{}\", \"state\":\"{}\"}}", one.task.name, one.state)?;
        for call in stack {
            writeln!(text, "#\t{:#x}\t{}\t{}", call.address + 1, call.frame.name, place(call))?;
        }
        for branch in one.branches.iter().skip(1) {
            if let Some(call) = branch.first() {
                writeln!(text, "#\tor waits for {}\t{}", call.frame.name, place(call))?;
            }
        }
        writeln!(text, "#\tbegun at {}", one.task.spawned_at)?;
    }
    Ok(())
}

fn write_each(text: &mut String, standing: &[Standing], remarks: &[String]) -> Result {
    for remark in remarks {
        writeln!(text, "# {remark}")?;
    }
    for Standing { task, state, branches, detail } in standing {
        let detail = detail.as_deref().map(|detail| format!(" {detail}")).unwrap_or_default();
        let things = if branches.len() > 1 { format!(" for one of {}", branches.len()) } else { String::new() };
        let (id, name, age) = (task.id, task.name, task.since.elapsed());
        writeln!(text, "\ntask {id} [{state}{things}{detail}, {age:.1?} old]: {name}")?;
        let shared = shared(branches);
        for (at, branch) in branches.iter().enumerate() {
            if at > 0 {
                writeln!(text, "  or")?;
            }
            write_calls(text, &branch[..branch.len() - shared])?;
        }
        if let Some(first) = branches.first() {
            if branches.len() > 1 && shared > 0 {
                writeln!(text, "  in")?;
            }
            write_calls(text, &first[first.len() - shared..])?;
        }
        writeln!(text, "begun at {}", task.spawned_at)?;
    }
    Ok(())
}

fn write_calls(text: &mut String, calls: &[Call]) -> Result {
    calls.iter().try_for_each(|call| writeln!(text, "    {}\n        {}", call.frame.name, place(call)))
}

/// How many of the outermost calls are the same in all branches. None if there is one branch: it is all its own.
fn shared(branches: &[std::sync::Arc<[Call]>]) -> usize {
    let [first, others @ ..] = branches else { return 0 };
    let same = |other: &[Call]| {
        let pairs = first.iter().rev().zip(other.iter().rev());
        pairs.take_while(|(one, other)| one.frame == other.frame).count()
    };
    others.iter().map(|other| same(other)).min().unwrap_or(0)
}

/// The file without the folders that it was built in, and the line.
fn place(call: &Call) -> String {
    let file = &*call.frame.file;
    if file.is_empty() {
        return "?".to_owned();
    }
    let own = || file.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/"));
    format!("{}:{}", package(file).or_else(own).unwrap_or(file), call.frame.line)
}
