//! Sessions: a refresh token is exchanged once, and a session that nobody has ended goes on.

use std::collections::BTreeSet;

use super::{Account, Event, Moment, Outcome, What};

pub(super) fn faults(account: &Account) -> Vec<String> {
    let granted = account.events.iter().filter_map(|event| match &event.what {
        What::Grant { session } => Some((*session, event)),
        _ => None,
    });
    let mut faults = Vec::new();
    for (session, grant) in granted {
        let exchanges = || exchanges(account, session);
        let mut spent = BTreeSet::new();
        for (event, shown, outcome) in exchanges() {
            if outcome.is_acknowledged() && !spent.insert(shown) {
                faults.push(format!("session {session}: a refresh token was exchanged twice"));
            }
            let is_newest = is_current(account, session, shown, event);
            if *outcome == Outcome::Denied && is_newest && !may_have_ended(account, session, grant, event.ended) {
                faults.push(format!("lost: session {session} does not know its newest refresh token"));
            }
            if outcome.is_acknowledged() && has_ended(account, session, grant, event.began) {
                faults.push(format!("session {session} was prolonged after it had ended"));
            }
        }
        for event in &account.events {
            match &event.what {
                What::Knock { session: knocked, worked: false }
                    if *knocked == session && !may_have_ended(account, session, grant, event.ended) =>
                {
                    faults.push(format!("lost: session {session} was let in before, and nobody has ended it"));
                }
                What::Knock { session: knocked, worked: true }
                    if *knocked == session && has_ended(account, session, grant, event.began) =>
                {
                    faults.push(format!("session {session} is let in after it has ended"));
                }
                _ => {}
            }
        }
    }
    faults
}

fn exchanges(account: &Account, wanted: usize) -> impl Iterator<Item = (&Event, &str, &Outcome<String>)> {
    account.events.iter().filter_map(move |event| match &event.what {
        What::Exchange { session, shown, outcome } if *session == wanted => Some((event, shown.as_str(), outcome)),
        _ => None,
    })
}

/// Whether nobody had shown that token before.
fn is_current(account: &Account, session: usize, token: &str, event: &Event) -> bool {
    !exchanges(account, session).any(|(other, shown, _)| shown == token && other.began < event.began)
}

/// Changes of the password that end this session, as they were asked for.
fn repasswords<'a>(
    account: &'a Account,
    session: usize,
    grant: &'a Event,
) -> impl Iterator<Item = (&'a Event, &'a Outcome<()>)> {
    account.events.iter().filter_map(move |event| match &event.what {
        What::Repassword { session: by, outcome, .. } if *by != session && event.ended > grant.began => {
            Some((event, outcome))
        }
        _ => None,
    })
}

/// Whether something was asked for before that moment that ends it: the account's removal, another password from another
/// session, a token shown twice, which looks like a thief.
fn may_have_ended(account: &Account, session: usize, grant: &Event, before: Moment) -> bool {
    let repassworded = repasswords(account, session, grant)
        .any(|(event, outcome)| outcome.may_have_happened() && event.began < before);
    let reused = exchanges(account, session)
        .any(|(event, shown, _)| event.began < before && !is_current(account, session, shown, event));
    repassworded || reused || account.may_be_removed(before)
}

/// Whether something had ended it for certain before that moment.
fn has_ended(account: &Account, session: usize, grant: &Event, before: Moment) -> bool {
    let repassworded = repasswords(account, session, grant)
        .any(|(event, outcome)| outcome.is_acknowledged() && event.began > grant.ended && event.ended < before);
    let reused = exchanges(account, session).any(|(event, shown, outcome)| {
        let was_exchanged = exchanges(account, session)
            .any(|(other, other_shown, it)| other_shown == shown && it.is_acknowledged() && other.ended < event.began);
        *outcome == Outcome::Denied && was_exchanged && event.ended < before
    });
    repassworded || reused || account.removed().is_some_and(|removed| removed < before)
}
