//! Versions and names: each change makes the next version, no two make the same, and none is taken back.

use std::collections::BTreeMap;

use super::{Account, Outcome, View, What};

/// Who may have made each version, under which name, and what is known of it.
type Made<'a> = BTreeMap<i64, Vec<(&'a str, &'a Outcome<View>)>>;

pub(super) fn faults(account: &Account) -> Vec<String> {
    let mut faults = Vec::new();
    let made = made(account);
    for (version, writes) in &made {
        let acknowledged: Vec<_> = acknowledged(writes).collect();
        if acknowledged.len() > 1 {
            faults.push(format!("version {version} was made more than once: {acknowledged:?}"));
        }
        for (name, outcome) in writes {
            if let Outcome::Acknowledged(view) = outcome
                && (view.version, view.name.as_str()) != (*version, *name)
            {
                faults.push(format!("asked for version {version} as {name}, got {} as {}", view.version, view.name));
            }
        }
    }
    let newest = account.views().map(|(_, view)| view.version).max().unwrap_or_default();
    for version in (1..=newest).filter(|version| !made.contains_key(version)) {
        faults.push(format!("version {newest} is there, and nobody made version {version}"));
    }
    for (_, view) in account.views() {
        let Some(writes) = made.get(&view.version) else { continue };
        let is_right = match acknowledged(writes).next() {
            Some(name) => name == view.name,
            None => writes.iter().any(|(name, _)| *name == view.name),
        };
        if !is_right {
            faults.push(format!("version {} is {}, and was made otherwise", view.version, view.name));
        }
    }
    faults.extend(backwards(account));
    faults
}

fn made(account: &Account) -> Made<'_> {
    let mut made = Made::new();
    for event in &account.events {
        match &event.what {
            What::Register { name, outcome, .. } if outcome.may_have_happened() => {
                made.entry(1).or_default().push((name, outcome));
            }
            What::Rename { from, name, outcome } if outcome.may_have_happened() => {
                made.entry(from + 1).or_default().push((name, outcome));
            }
            _ => {}
        }
    }
    made
}

fn acknowledged<'a>(writes: &'a [(&'a str, &'a Outcome<View>)]) -> impl Iterator<Item = &'a str> {
    writes.iter().filter(|(_, outcome)| outcome.is_acknowledged()).map(|(name, _)| *name)
}

/// Sights of a version older than one that had been seen before.
fn backwards(account: &Account) -> Vec<String> {
    let mut begun: Vec<_> = account.views().collect();
    let mut ended = begun.clone();
    begun.sort_by_key(|(event, _)| event.began);
    ended.sort_by_key(|(event, _)| event.ended);
    let mut ended = ended.into_iter().peekable();
    let (mut newest, mut faults) = (0, Vec::new());
    for (event, view) in begun {
        while let Some((_, earlier)) = ended.next_if(|(earlier, _)| earlier.ended < event.began) {
            newest = newest.max(earlier.version);
        }
        if newest > view.version {
            faults.push(format!("lost: version {newest} was there, and then it was version {} again", view.version));
        }
    }
    faults
}
