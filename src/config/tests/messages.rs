//! A message names the real fault, also where the input seems to obey the rule.

use super::{pem, with};

#[test]
fn value_that_differs_by_quotes_or_spaces_is_refused_with_the_difference() {
    for (name, value, expected) in [
        ("GLASSHOUSE_HTTP__LISTEN", "127.0.0.1:8080 ", "without the spaces and line breaks around it"),
        ("GLASSHOUSE_HTTP__LISTEN", "\"127.0.0.1:8080\"", "without the quotes around it"),
        ("GLASSHOUSE_INTERNAL__TOKEN", "0123456789abcdef\n", "without the spaces and line breaks around it"),
        ("GLASSHOUSE_HTTP__SLOW", "'5s'", "without the quotes around it"),
        ("GLASSHOUSE_ENVIRONMENT", "Production", "did you mean production?"),
        ("GLASSHOUSE_HTTP__TRUSTED_PROXIES", "10.0.0.0/8,proxy,::1", "\"proxy\" is none"),
        ("GLASSHOUSE_HTTP__CORS_ORIGINS", "https://a.example/", "\"https://a.example/\" is none"),
        ("GLASSHOUSE_LOG__FILTER", "warning", "did you mean warn?"),
        ("GLASSHOUSE_LOG__FILTER", "inof", "did you mean info?"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://u:p#ss@collector", "in user and password `#` is written %23"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:port", "invalid port number"),
    ] {
        let said = with(&[(name, value)]).fault();
        assert!(said.ends_with(expected), "{name}={value}: {said}");
    }
    for (text, expected) in [
        ("[http]\nmax_connections = \"10\"", "written without quotes"),
        ("[http]\nserver_timing = \"true\"", "written without quotes"),
        ("[http]\ncors_origins = \"https://a.example\"", "written as an array"),
    ] {
        let said = with(&[]).file(text).fault();
        assert!(said.ends_with(expected), "{text}: {said}");
    }
}

#[test]
fn signing_key_that_cannot_be_used_is_refused_with_the_reason() {
    for (key, expected) in [
        (pem().replace('\n', "\\n"), "its line breaks are written as \\n"),
        ("MC4CAQAw".to_owned(), "it does not begin with -----BEGIN"),
        (pem().replace("PRIVATE", "PUBLIC"), "it is a public key"),
        (pem().replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"), "it is encrypted"),
        (pem().replace("PRIVATE KEY", "OPENSSH PRIVATE KEY"), "it is a key in another format"),
        (pem().replace("MC4C", "MC4D"), "it is a private key, of another algorithm or damaged"),
    ] {
        let given = with(&[("GLASSHOUSE_AUTH__SIGNING_KEY", &key)]);
        assert!(given.load().is_err(), "accepted: {expected}");
        let said = given.fault();
        assert!(said.contains(expected) && !said.contains("MC4"), "{said}");
    }
}
