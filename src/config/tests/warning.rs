//! What starts all the same, and is said.

use super::{pem, with};

#[test]
fn production_is_warned_where_it_limits_nobody_or_all_clients_as_one() {
    let warnings = |name: &str, value: &str| {
        let given = with(&[("GLASSHOUSE_ENVIRONMENT", "production"), ("DATABASE_URL", "postgres://db/users")])
            .set("GLASSHOUSE_AUTH__SIGNING_KEY", pem())
            .set(name, value);
        given.settings().warnings
    };
    for (name, value, said) in [
        ("GLASSHOUSE_LIMITS__ENABLED", "false", "limits.enabled is false"),
        ("GLASSHOUSE_LIMITS__ENABLED", "true", "http.trusted_proxies is empty"),
    ] {
        let warnings = warnings(name, value);
        let [warning] = warnings.as_slice() else { panic!("one warning and not {warnings:?}") };
        assert!(warning.starts_with(said), "{warning}");
    }
    assert!(with(&[("GLASSHOUSE_LIMITS__ENABLED", "false")]).settings().warnings.len() < 2, "development is not told");
}
