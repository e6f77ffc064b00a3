//! `DATABASE_URL`: what is understood, and what is refused by its name and without its value.

use super::with;

#[test]
fn database_url_parameter_that_is_not_understood_is_refused_by_name_without_its_value() {
    for (parameter, expected) in [
        ("sslpassword=hush", "`sslpassword` is not among them"),
        ("pasword=hush", "`pasword` is not among them; did you mean password?"),
        ("ssl=hush", "`ssl` is not among them"),
        ("ssl_mode=hush", "`ssl_mode` is not among them; did you mean sslmode?"),
        ("SSLMODE=hush", "`SSLMODE` is not among them; did you mean sslmode?"),
        ("Password=hush", "`Password` is not among them; did you mean password?"),
        ("sslmode=disable&channel_binding=hush", "`channel_binding` is not among them"),
        ("connect_timeout=hush", "`connect_timeout` is not among them"),
        ("sslmode=odd", "`sslmode` is disable, allow, prefer, require, verify-ca or verify-full"),
        ("port=odd", "`port` is a number from 0 to 65535"),
        ("hostaddr=hush", "`hostaddr` is an IP address"),
        ("sslmode=require&sslmode=disable", "gives `sslmode` once"),
        ("hush@db", "percent-encoded"),
        ("=hush", "percent-encoded"),
    ] {
        let said = with(&[("DATABASE_URL", &format!("postgres://ann@db/users?{parameter}"))]).fault();
        assert!(said.contains(expected), "{parameter}: {said}");
        assert!(said.starts_with("store.url: ") && !said.contains("hush"), "{parameter}: {said}");
    }
    for (parameter, expected) in [
        ("Mode=rwc", "`Mode` is not among them; did you mean mode?"),
        ("mode=odd", "`mode` is mode rwc or rw"),
        ("journal_mode=hush", "parameters of this list: cache, mode, vfs; `journal_mode`"),
        ("immutable=1", "`immutable` is not among them"),
        ("mode=rwc&mode=rw", "gives `mode` once"),
    ] {
        let said = with(&[("DATABASE_URL", &format!("sqlite://users.db?{parameter}"))]).fault();
        assert!(said.contains(expected) && !said.contains("hush"), "{parameter}: {said}");
    }
}

#[test]
fn database_url_parameters_that_are_understood_are_accepted() {
    for url in [
        "postgres://ann:pass@db:5432/users?sslmode=verify-full&sslrootcert=/ca.pem&application_name=users",
        "postgresql:///users?host=/run/postgresql&user=ann&password=p@ss&port=5433",
        "postgres://db/users?options=-c%20search_path%3Da&options[statement_timeout]=1s&ssl-mode=REQUIRE",
        "sqlite://users.db?mode=rwc&cache=private",
        "sqlite://us@rs.db",
    ] {
        with(&[("DATABASE_URL", url)]).settings();
    }
}

#[test]
fn database_url_with_an_unencoded_character_is_refused_with_its_encoding() {
    for (url, expected) in [
        ("postgres://u:hush#ss@host/db", "in user and password `#` is written %23"),
        ("postgres://u:hush/ss@host/db", "in user and password `/` is written %2F"),
        ("postgres://u:hush?ss@host/db", "in user and password `?` is written %3F"),
        // The part before the character is a port, so all of these are URLs.
        ("postgres://u:5#hush@host/db", "`#` is written %23"),
        ("postgres://u:5/hush@host/db", "`/` %2F"),
        ("postgres://u:5?hush@host/db", "`?` %3F"),
        ("postgres://u:5?hush=hush@host/db", "`?` %3F"),
        ("sqlite://data/a#b.db?mode=rwc", "`#` is written %23"),
        ("postgres://host:port/db", "invalid port number"),
        ("postgres://[::1/db", "invalid IPv6 address"),
        ("'postgres://db/users'", "without the quotes around it"),
    ] {
        let given = with(&[("DATABASE_URL", url)]);
        let Err(faults) = given.load() else { panic!("{url} is accepted") };
        let said = faults.to_string();
        assert!(said.contains(expected), "{url}: {said}");
        assert!(!said.contains("hush"), "{url}: {said}");
    }
    let settings = with(&[("DATABASE_URL", "postgres://u:p%23ss@host/db")]).settings();
    assert_eq!(settings.store.url.password(), Some("p%23ss"));
}

#[test]
fn pgsslmode_that_the_driver_would_ignore_is_refused() {
    let given = |url: &str, mode: &str| with(&[("DATABASE_URL", url), ("PGSSLMODE", mode)]);
    let said = given("postgres://db/users", "on").fault();
    assert!(said.contains("\"on\" from PGSSLMODE") && said.contains("verify-full"), "{said}");
    for (url, mode) in [
        ("postgres://db/users", "require"),
        ("postgres://db/users", ""),
        ("postgres://db/users?sslmode=require", "on"),
        ("sqlite://users.db", "on"),
    ] {
        given(url, mode).settings();
    }
}
