//! Whether an account is there: registered once, never out of nowhere, gone for ever once it was removed.

use super::{Account, Moment, Outcome, What};

pub(super) fn faults(account: &Account) -> Vec<String> {
    let mut faults = Vec::new();
    let registrations = || {
        account.events.iter().filter_map(|event| match &event.what {
            What::Register { outcome, .. } => Some((event, outcome)),
            _ => None,
        })
    };
    let acknowledged = registrations().filter(|(_, outcome)| outcome.is_acknowledged()).count();
    if acknowledged > 1 {
        faults.push(format!("registered {acknowledged} times"));
    }
    let mut ids: Vec<_> = account.views().map(|(_, view)| view.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.len() > 1 {
        faults.push(format!("registered more than once, as {ids:?}"));
    }
    let asked =
        |before: Moment| registrations().any(|(event, outcome)| outcome.may_have_happened() && event.began < before);
    for (event, outcome) in registrations() {
        let others = |before| {
            let earlier = |(other, outcome): (&super::Event, &Outcome<super::View>)| {
                other.began != event.began && outcome.may_have_happened() && other.began < before
            };
            registrations().any(earlier)
        };
        if *outcome == Outcome::Denied && !others(event.ended) {
            faults.push("taken before anybody had registered it".to_owned());
        }
    }

    for event in &account.events {
        match &event.what {
            What::Look(Some(view)) => {
                if !asked(event.ended) {
                    faults.push("there without having been registered".to_owned());
                }
                if view.email != account.email {
                    faults.push(format!("its address is {}", view.email));
                }
                if account.removed().is_some_and(|removed| removed < event.began) {
                    faults.push("there after it was removed".to_owned());
                }
            }
            What::Look(None) => {
                let is_certain = known_since(account).is_some_and(|since| since < event.began);
                if is_certain && !account.may_be_removed(event.ended) {
                    faults.push("lost: it was there, and nobody has removed it".to_owned());
                }
            }
            _ => {}
        }
    }
    faults
}

/// The moment from which it certainly has been there.
fn known_since(account: &Account) -> Option<Moment> {
    let proofs = account.events.iter().filter(|event| match &event.what {
        What::Register { outcome, .. } => !matches!(outcome, Outcome::Unknown),
        What::Rename { outcome, .. } => outcome.is_acknowledged(),
        What::Look(seen) => seen.is_some(),
        What::Try { worked, .. } => *worked,
        _ => false,
    });
    proofs.map(|event| event.ended).min()
}
