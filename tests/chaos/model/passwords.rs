//! Passwords: each replaces another one, which never works again; what replaced it works until it is replaced.

use super::{Account, Event, Moment, Outcome, What};

pub(super) fn faults(account: &Account) -> Vec<String> {
    let mut faults = Vec::new();
    for event in &account.events {
        let What::Try { password, worked } = &event.what else { continue };
        let Some(path) = path(account, password) else {
            if *worked {
                faults.push(format!("{password} works, and nobody has chosen it"));
            }
            continue;
        };
        let before = |other: &Event| other.ended < event.began;
        let missing = replacements(account)
            .filter(|(other, _, _, outcome)| before(other) && outcome.is_acknowledged())
            .find(|(_, _, new, _)| !path.contains(new));
        match (worked, missing) {
            (true, Some((_, old, new, _))) => {
                faults.push(format!("{password} works, although {old} was replaced by {new}: that change is lost"));
            }
            (false, None)
                if is_certain(account, password, event.began) && !may_have_changed(account, password, event) =>
            {
                faults.push(format!("lost: {password} does not work any more, and nothing has replaced it"));
            }
            _ => {}
        }
        if *worked && account.removed().is_some_and(|removed| removed < event.began) {
            faults.push(format!("{password} works after the account was removed"));
        }
    }
    faults
}

fn replacements(account: &Account) -> impl Iterator<Item = (&Event, &str, &str, &Outcome<()>)> {
    account.events.iter().filter_map(|event| match &event.what {
        What::Repassword { old, new, outcome, .. } if outcome.may_have_happened() => {
            Some((event, old.as_str(), new.as_str(), outcome))
        }
        _ => None,
    })
}

/// The passwords that led to this one, itself among them; nothing if none was registered that leads here.
fn path<'a>(account: &'a Account, password: &'a str) -> Option<Vec<&'a str>> {
    let mut path = vec![password];
    let is_first = |wanted: &str| {
        account.events.iter().any(|event| {
            matches!(&event.what, What::Register { password, outcome, .. } if password == wanted && outcome.may_have_happened())
        })
    };
    while !is_first(path[path.len() - 1]) {
        let newest = path[path.len() - 1];
        let (_, old, _, _) = replacements(account).find(|(_, _, new, _)| *new == newest)?;
        path.push(old);
    }
    Some(path)
}

/// Whether it was certainly set before that moment.
fn is_certain(account: &Account, wanted: &str, before: Moment) -> bool {
    account.events.iter().filter(|event| event.ended < before).any(|event| match &event.what {
        What::Register { password, outcome, .. } => outcome.is_acknowledged() && password == wanted,
        What::Repassword { new, outcome, .. } => outcome.is_acknowledged() && new == wanted,
        What::Try { password, worked } => *worked && password == wanted,
        _ => false,
    })
}

/// Whether something may have replaced it, or removed the account, before that event had ended.
fn may_have_changed(account: &Account, password: &str, event: &Event) -> bool {
    let replaced = replacements(account).any(|(other, old, _, _)| old == password && other.began < event.ended);
    replaced || account.may_be_removed(event.ended)
}
