//! What the settings must be together, and what production refuses.

use std::{net::SocketAddr, path::Path, time::Duration};

use url::Url;

use super::{Environment, faults::Faults, print, values::Values};

/// The orchestrators' default: whoever has not stopped by then is killed.
const STOPPING: Duration = Duration::from_secs(30);

/// Says which settings, though accepted one by one, do not do together.
pub(super) fn check(values: &Values, environment: Environment, faults: &mut Faults) {
    let (public, internal) = (values.address("http.listen"), values.address("internal.listen"));
    if collide(public, internal) {
        faults.add(values.fault("internal.listen", format!("another port than http.listen, which is {public}")));
    }
    if !internal.ip().is_loopback() && values.secret("internal.token").is_none() {
        faults
            .add(values.fault("internal.listen", "a loopback address such as 127.0.0.1, or internal.token beside it"));
    }
    if values.flag("internal.require_token_on_loopback") && values.secret("internal.token").is_none() {
        let accepted = "false, or internal.token beside it: there is no token to require";
        faults.add(values.fault("internal.require_token_on_loopback", accepted));
    }
    let (after, limit) = (values.duration("internal.stall_after"), values.duration("internal.stall_limit"));
    if after >= limit {
        let (named, accepted) = if values.is_set("internal.stall_after") {
            ("internal.stall_after", format!("less than internal.stall_limit, which is {}", print::duration(limit)))
        } else {
            ("internal.stall_limit", format!("more than internal.stall_after, which is {}", print::duration(after)))
        };
        faults.add(values.fault(named, accepted));
    }
    let budgets = ["shutdown.notice", "shutdown.grace", "shutdown.store", "shutdown.flush"];
    let together: Duration = budgets.iter().map(|name| values.duration(name)).sum();
    if together >= STOPPING {
        let accepted = format!(
            "with the three other budgets of [shutdown] less than {}; together they are {}",
            print::duration(STOPPING),
            print::duration(together)
        );
        let named = budgets.into_iter().find(|name| values.is_set(name)).unwrap_or("shutdown.grace");
        faults.add(values.fault(named, accepted));
    }
    if values.flag("store.pooler") && values.flag("store.migrate") {
        let accepted = "false behind a pooler: `glasshouse migrate up` with the server's own URL migrates";
        faults.add(values.fault("store.migrate", accepted));
    }
    check_issuer(values, environment, faults);
    if environment == Environment::Production && !values.is_set("store.url") {
        faults.add(values.fault("store.url", "in production, a database that is named: DATABASE_URL"));
    }
    if environment == Environment::Production && values.flag("faults.allowed") {
        faults.add(values.fault("faults.allowed", "in production, false: nobody rehearses on those who rely on it"));
    }
}

/// Checks that an issuer which looks like a URL is one that libraries accept.
fn check_issuer(values: &Values, environment: Environment, faults: &mut Faults) {
    let issuer = values.text("auth.issuer");
    if !issuer.starts_with("https:") && !issuer.starts_with("http:") {
        return;
    }
    let is_accepted = Url::parse(issuer).is_ok_and(|url| {
        let is_plain = url.username().is_empty() && url.password().is_none();
        url.has_host() && is_plain && url.query().is_none() && url.fragment().is_none()
    });
    if !is_accepted {
        faults.add(values.fault("auth.issuer", "as a URL, one without user, password, query and fragment"));
    } else if environment == Environment::Production && issuer.starts_with("http:") {
        faults.add(values.fault("auth.issuer", "in production, an https URL, because libraries fetch keys from it"));
    }
}

/// Whether the second of two listeners would find its address in use.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port()
        && one.port() != 0
        && (one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified())
}

/// One warning that says what development has made up and production would refuse.
pub(super) fn defaulted(values: &Values, environment: Environment, new_key: Option<&Path>) -> Option<String> {
    if environment == Environment::Production {
        return None;
    }
    let key = match new_key {
        Some(path) => Some(format!("a signing key made at first start, {}", path.display())),
        None if !values.is_set("auth.signing_key") && !values.is_set("auth.signing_key_file") => {
            Some(format!("the signing key {} (auth.signing_key_file)", values.text("auth.signing_key_file")))
        }
        None => None,
    };
    let store =
        (!values.is_set("store.url")).then(|| format!("the database {} (DATABASE_URL)", values.url("store.url")));
    let parts: Vec<String> = key.into_iter().chain(store).collect();
    (!parts.is_empty())
        .then(|| format!("development: using {}; production refuses these defaults", parts.join(" and ")))
}

/// A warning where stopping would cut requests that are within their time.
pub(super) fn cut_short(values: &Values) -> Option<String> {
    let (request, grace) = (values.duration("http.request_timeout"), values.duration("shutdown.grace"));
    (request > grace).then(|| {
        format!(
            "http.request_timeout ({}) is longer than shutdown.grace ({}): stopping cuts the requests between",
            print::duration(request),
            print::duration(grace)
        )
    })
}

/// A warning where production limits nobody, or takes all clients of a proxy for one.
pub(super) fn unlimited(values: &Values, environment: Environment) -> Option<String> {
    if environment != Environment::Production {
        return None;
    }
    if !values.flag("limits.enabled") {
        return Some("limits.enabled is false: nobody who asks too often, or guesses passwords, is slowed".to_owned());
    }
    values.networks("http.trusted_proxies").is_empty().then(|| {
        "http.trusted_proxies is empty: clients that come through a proxy have its address, and one limit for them all \
         (limits.address_rate)"
            .to_owned()
    })
}
