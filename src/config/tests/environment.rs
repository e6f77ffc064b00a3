//! Variables of the environment that are not settings.

use super::with;

#[test]
fn kubernetes_service_variables_are_never_settings() {
    for prefix in ["GLASSHOUSE", "GLASSHOUSE_INTERNAL", "GLASSHOUSE_METRICS", "OTEL_COLLECTOR"] {
        for (suffix, value) in [
            ("_SERVICE_HOST", "10.0.0.1"),
            ("_SERVICE_PORT", "80"),
            ("_SERVICE_PORT_HTTP", "80"),
            ("_PORT", "tcp://10.0.0.1:80"),
            ("_PORT_80_TCP", "tcp://10.0.0.1:80"),
            ("_PORT_80_TCP_PROTO", "tcp"),
            ("_PORT_80_TCP_PORT", "80"),
            ("_PORT_53_UDP_ADDR", "10.0.0.1"),
            ("_PORT_5060_SCTP_ADDR", "10.0.0.1"),
        ] {
            let name = format!("{prefix}{suffix}");
            let warnings = with(&[(&name, value)]).settings().warnings;
            assert!(!warnings.iter().any(|warning| warning.contains(&name)), "{name}: {warnings:?}");
        }
    }
}

#[test]
fn misspelt_variable_that_resembles_a_kubernetes_one_is_refused() {
    for (name, value) in [
        ("GLASSHOUSE_PORTS", "1"),
        ("GLASSHOUSE_HTTP__PORT", "8080"),
        ("GLASSHOUSE_SERVICE", "a"),
        ("GLASSHOUSE_SERVICE_HOSTS", "a"),
        ("GLASSHOUSE_PORT_TCP", "a"),
        ("GLASSHOUSE_PORT_80_TCPS", "a"),
    ] {
        assert!(with(&[(name, value)]).fault().contains(name), "{name}");
    }
}

#[test]
fn rust_log_is_named_in_one_warning() {
    let warnings = |value| with(&[("RUST_LOG", value)]).settings().warnings;
    let named: Vec<_> = warnings("debug").into_iter().filter(|warning| warning.contains("RUST_LOG")).collect();
    assert_eq!(named.len(), 1, "{named:?}");
    assert!(named[0].contains("GLASSHOUSE_LOG__FILTER"), "{named:?}");
    assert!(!warnings("").iter().any(|warning| warning.contains("RUST_LOG")));
}

#[test]
fn no_color_and_dumb_terminals_switch_colors_off() {
    for (variables, expected) in [
        (&[][..], true),
        (&[("NO_COLOR", "1")], false),
        (&[("NO_COLOR", "")], true),
        (&[("TERM", "dumb")], false),
        (&[("TERM", "xterm-256color")], true),
    ] {
        assert_eq!(with(variables).settings().telemetry.log_color, expected, "{variables:?}");
    }
}

#[test]
fn internal_token_can_be_required_on_loopback() {
    let require = ("GLASSHOUSE_INTERNAL__REQUIRE_TOKEN_ON_LOOPBACK", "true");
    let fault = with(&[require]).fault();
    assert!(
        fault.starts_with("internal.require_token_on_loopback: true") && fault.contains("internal.token"),
        "{fault}"
    );
    let settings = with(&[require, ("GLASSHOUSE_INTERNAL__TOKEN", "0123456789abcdef")]).settings();
    assert!(settings.internal.require_token_on_loopback);
    assert!(!with(&[]).settings().internal.require_token_on_loopback);
}
