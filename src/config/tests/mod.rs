//! What may be written, what is refused, and how that is said.

mod database_url;
mod environment;
mod messages;
mod otel;
mod secret_files;
mod showing;
mod tokens;
mod warning;

use std::{
    ffi::OsString, fs, os::unix::ffi::OsStringExt as _, os::unix::fs::PermissionsExt as _, path::PathBuf,
    time::Duration,
};

use secrecy::ExposeSecret as _;
use tempfile::TempDir;

use super::{Environment, Fault, Faults, Origin, Settings, Sources, load, setting};
use crate::{
    domain::auth::{Keys, SigningAlgorithm},
    telemetry::{LogFormat, Sampler},
};

/// A file and an environment that belong to one test.
struct Given {
    folder: TempDir,
    sources: Sources,
}

/// Variables, and nothing else.
fn with(variables: &[(&str, &str)]) -> Given {
    let folder = tempfile::tempdir().expect("a folder");
    let environment = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect();
    Given { folder, sources: Sources { file: None, environment } }
}

impl Given {
    fn file(mut self, text: &str) -> Self {
        self.sources.file = Some(self.write("settings.toml", text, 0o600));
        self
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("the file can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("the mode can be set");
        path
    }

    fn set(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.sources.environment.push((name.into(), value.into()));
        self
    }

    fn load(&self) -> Result<Settings, Faults> {
        load(&self.sources)
    }

    fn settings(&self) -> Settings {
        self.load().unwrap_or_else(|faults| panic!("{faults}"))
    }

    fn faults(&self) -> Vec<Fault> {
        self.load().expect_err("something is wrong").as_ref().to_vec()
    }

    /// The only fault, as it is said.
    fn fault(&self) -> String {
        match self.faults().as_slice() {
            [fault] => fault.to_string(),
            faults => panic!("one fault and not {faults:#?}"),
        }
    }
}

fn pem() -> String {
    Keys::generate_pem(SigningAlgorithm::EdDsa).expect("random numbers").expose_secret().to_owned()
}

#[test]
fn nothing_said_is_development_on_loopback() {
    let settings = with(&[]).settings();
    assert_eq!(settings.environment, Environment::Development);
    assert_eq!(settings.http.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.internal.listen.to_string(), "127.0.0.1:6060");
    assert_eq!(settings.store.url.as_str(), "sqlite://data/glasshouse.db?mode=rwc");
    assert_eq!(settings.http.max_body_bytes, 65_536);
    assert_eq!(settings.auth.refresh_token_lifetime, Duration::from_hours(720));
    assert!(settings.auth.password_workers > 0 && settings.runtime_workers > 0);
    assert!(settings.telemetry.traces.is_none() && settings.telemetry.logs.is_none());
    assert_eq!(settings.telemetry.sampler, Sampler { parent_based: true, ratio: 1.0 });
}

#[test]
fn the_environment_counts_more_than_the_file_and_the_file_more_than_the_default() {
    let settings = with(&[("GLASSHOUSE_STORE__MAX_CONNECTIONS", "30")])
        .file("environment = \"development\"\nstore.max_connections = 20\n[log]\nqueue = 0x100\nformat = \"json\"\n")
        .settings();
    assert_eq!(settings.store.max_connections, 30);
    assert_eq!(settings.telemetry.log_queue, 256);
    assert_eq!(settings.telemetry.log_format, LogFormat::Json);
    assert_eq!(settings.http.max_connections, 1024);
}

#[test]
fn a_variable_may_name_the_file_and_the_command_line_counts_more() {
    let given = with(&[]);
    let named = given.write("named.toml", "log.queue = 100", 0o600);
    let given = given.set("GLASSHOUSE_CONFIG", named);
    assert_eq!(given.settings().telemetry.log_queue, 100);
    assert_eq!(given.file("log.queue = 200").settings().telemetry.log_queue, 200);
}

#[test]
fn a_named_file_that_is_missing_is_a_fault() {
    let said = with(&[("GLASSHOUSE_CONFIG", "/nowhere/a.toml")]).fault();
    assert!(said.starts_with("config: \"/nowhere/a.toml\" from GLASSHOUSE_CONFIG; accepted: a file"), "{said}");
}

#[test]
fn an_empty_text_counts_as_not_set() {
    let given =
        with(&[("GLASSHOUSE_HTTP__LISTEN", ""), ("OTEL_EXPORTER_OTLP_CERTIFICATE", ""), ("OTEL_SERVICE_NAME", "")])
            .file("[internal]\ntoken = \"\"\n[http]\nlisten = \"127.0.0.1:1\"");
    assert_eq!(given.settings().http.listen.port(), 1);
    assert!(given.settings().internal.token.is_none());
}

#[test]
fn lists_are_separated_by_commas_or_are_arrays() {
    for given in [
        with(&[("GLASSHOUSE_HTTP__TRUSTED_PROXIES", "10.0.0.0/8, ::1")]),
        with(&[]).file("[http]\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]"),
    ] {
        let proxies: Vec<_> = given.settings().http.trusted_proxies.iter().map(ToString::to_string).collect();
        assert_eq!(proxies, ["10.0.0.0/8", "::1/128"]);
    }
}

#[test]
fn every_fault_is_said_at_once_with_name_origin_value_and_what_is_accepted() {
    let given = with(&[("GLASSHOUSE_HTTP__LISTEN", "localhost"), ("GLASSHOUSE_STORE__MAX_CONNECTIONS", "0")])
        .file("[log]\nqueue = \"many\"\n\n[http]\nslow = 5\n");
    let faults = given.faults();
    let path = given.sources.file.clone().expect("a file");
    assert_eq!(faults.len(), 4, "{faults:#?}");
    assert!(faults.contains(&Fault {
        setting: "http.listen".to_owned(),
        origin: Origin::Variable("GLASSHOUSE_HTTP__LISTEN".to_owned()),
        read: Some("\"localhost\"".to_owned()),
        accepted: "an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080".to_owned(),
    }));
    assert!(faults.contains(&Fault {
        setting: "log.queue".to_owned(),
        origin: Origin::File { path, line: Some(2) },
        read: Some("\"many\"".to_owned()),
        accepted: "a whole number from 16 to 1000000".to_owned(),
    }));
    assert_eq!(given.load().expect_err("four faults").to_string().lines().count(), 5);
}

#[test]
fn values_that_make_no_sense_are_refused() {
    for (name, value) in [
        ("GLASSHOUSE_ENVIRONMENT", "staging"),
        ("GLASSHOUSE_HTTP__LISTEN", "127.0.0.1"),
        ("GLASSHOUSE_HTTP__TRUSTED_PROXIES", "10.0.0.0/8,proxy"),
        ("GLASSHOUSE_HTTP__MAX_CONNECTIONS", "-1"),
        ("GLASSHOUSE_HTTP__MAX_CONNECTIONS", "99999999999999999999999"),
        ("GLASSHOUSE_HTTP__HEADER_TIMEOUT", "10"),
        ("GLASSHOUSE_HTTP__HEADER_TIMEOUT", "0s"),
        ("GLASSHOUSE_HTTP__REQUEST_TIMEOUT", "99999999999999999y"),
        ("GLASSHOUSE_HTTP__MAX_BODY_BYTES", "64kb"),
        ("GLASSHOUSE_HTTP__MAX_BODY_BYTES", "18446744073709551615KiB"),
        ("GLASSHOUSE_HTTP__SERVER_TIMING", "yes"),
        ("GLASSHOUSE_INTERNAL__TOKEN", "short"),
        ("GLASSHOUSE_INTERNAL__TOKEN", "a token with spaces in it"),
        ("GLASSHOUSE_INTERNAL__HOSTS", "host:80"),
        ("DATABASE_URL", "mysql://db/users"),
        ("DATABASE_URL", "users.db"),
        ("DATABASE_URL", "sqlite://"),
        ("DATABASE_URL", "sqlite::memory:"),
        ("DATABASE_URL", "sqlite://users.db?mode=odd"),
        ("DATABASE_URL", "postgres://db/users?sslmode=odd"),
        ("GLASSHOUSE_AUTH__ISSUER", " "),
        ("GLASSHOUSE_AUTH__SIGNING_KEY", "no key"),
        ("GLASSHOUSE_LOG__FILTER", "info,=="),
        ("GLASSHOUSE_SHUTDOWN__GRACE", "30s"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
        ("OTEL_TRACES_SAMPLER_ARG", "NaN"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4317"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://collector"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization"),
        ("OTEL_TRACES_EXPORTER", "console"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=%zz"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "9000"),
    ] {
        let said = with(&[(name, value)]).fault();
        assert!(said.contains(name), "{name}={value}: {said}");
        assert!(said.contains("; accepted: "), "{said}");
    }
}

#[test]
fn unknown_variables_are_refused_with_what_may_have_been_meant() {
    for (name, expected) in [
        ("GLASSHOUSE_HTTP_LISTEN", "did you mean GLASSHOUSE_HTTP__LISTEN?"),
        ("GLASSHOUSE_HTTP__LISTN", "did you mean GLASSHOUSE_HTTP__LISTEN?"),
        ("GLASSHOUSE_CONFIGS", "did you mean GLASSHOUSE_CONFIG?"),
        ("GLASSHOUSE_STORE__URL", "config/reference.toml"),
    ] {
        let said = with(&[(name, "hush")]).fault();
        assert!(said.contains(expected) && !said.contains("hush"), "{said}");
    }
}

#[test]
fn unknown_keys_are_refused_with_their_line_and_what_may_have_been_meant() {
    for (text, line, expected) in [
        ("[http]\nlistne = \"\"", 2, "http.listne: ; did you mean http.listen?"),
        ("\n[htp]\nlisten = \"\"", 2, "htp: ; did you mean http?"),
        ("environmnt = \"production\"", 1, "environmnt: ; did you mean environment?"),
        ("OTEL_SERVICE_NAME = \"a\"", 1, "OTEL_SERVICE_NAME: "),
        ("http = 1", 1, "http: "),
        ("[environment]", 1, "environment: "),
        ("[[http]]", 1, "http: "),
    ] {
        let said = with(&[]).file(text).fault();
        let (name, end) = expected.split_once(' ').expect("a name");
        assert!(said.starts_with(name) && said.ends_with(end) && said.contains(&format!("line {line}")), "{said}");
    }
}

#[test]
fn what_is_no_toml_is_refused_without_showing_it() {
    let said = with(&[]).file("[internal]\ntoken = hushhushhushhush\n").fault();
    assert!(said.contains("line 2") && !said.contains("hush"), "{said}");
}

#[test]
fn text_that_is_no_utf8_is_a_fault_and_no_panic() {
    let octets = || OsString::from_vec(vec![0xff, b'h', b'u', b's', b'h']);
    let said = with(&[]).set("DATABASE_URL", octets()).fault();
    assert!(said.contains("UTF-8") && !said.contains("hush"), "{said}");
    with(&[]).set("OTEL_LOG_LEVEL", octets()).set("PATH", octets()).settings();
}

#[test]
fn an_open_internal_port_wants_a_token() {
    let open = ("GLASSHOUSE_INTERNAL__LISTEN", "0.0.0.0:6060");
    assert!(with(&[open]).fault().contains("internal.token"));
    with(&[open, ("GLASSHOUSE_INTERNAL__TOKEN", "0123456789abcdef")]).settings();
}

#[test]
fn two_ports_want_two_addresses() {
    let listen = |public, internal| {
        with(&[("GLASSHOUSE_HTTP__LISTEN", public), ("GLASSHOUSE_INTERNAL__LISTEN", internal)]).load().is_ok()
    };
    assert!(!listen("127.0.0.1:7000", "127.0.0.1:7000"));
    assert!(!listen("0.0.0.0:7000", "127.0.0.1:7000"));
    assert!(listen("127.0.0.1:0", "127.0.0.1:0"));
    assert!(listen("127.0.0.2:7000", "127.0.0.1:7000"));
}

#[test]
fn development_says_in_one_warning_what_it_made_up() {
    let settings = with(&[]).settings();
    let [warning] = settings.warnings.as_slice() else { panic!("one warning and not {:?}", settings.warnings) };
    assert!(warning.contains("signing") && warning.contains("DATABASE_URL"), "{warning}");
}

#[test]
fn production_refuses_every_default_that_development_warns_of() {
    let names: Vec<_> =
        with(&[("GLASSHOUSE_ENVIRONMENT", "production")]).faults().into_iter().map(|f| f.setting).collect();
    assert_eq!(names, ["store.url", "auth.signing_key_file"]);
    let given = with(&[("GLASSHOUSE_ENVIRONMENT", "production"), ("DATABASE_URL", "postgres://db/users")])
        .set("GLASSHOUSE_AUTH__SIGNING_KEY", pem())
        .set("GLASSHOUSE_HTTP__TRUSTED_PROXIES", "10.0.0.0/8");
    assert!(given.settings().warnings.is_empty());
}

#[test]
fn production_refuses_faults() {
    let given = with(&[("GLASSHOUSE_FAULTS__ALLOWED", "true"), ("DATABASE_URL", "postgres://db/users")])
        .set("GLASSHOUSE_AUTH__SIGNING_KEY", pem());
    assert!(given.settings().faults.allowed && !with(&[]).settings().faults.allowed);
    let fault = given.set("GLASSHOUSE_ENVIRONMENT", "production").fault();
    assert!(fault.starts_with("faults.allowed: true") && fault.contains("in production, false"), "{fault}");
}

#[test]
fn a_new_key_is_made_only_when_asked_and_never_over_another() {
    let given = with(&[]);
    let path = given.folder.path().join("deep/key.pem");
    let given = given.set("GLASSHOUSE_AUTH__SIGNING_KEY_FILE", &path);
    let (mut first, mut second) = (given.settings(), given.settings());
    assert!(!path.exists() && first.new_signing_key() == Some(path.as_path()));

    first.keep_signing_key().expect("a new file");
    assert_eq!(fs::metadata(&path).expect("the file").permissions().mode() & 0o777, 0o600);
    second.keep_signing_key().expect("the other's file");
    let kept = fs::read_to_string(&path).expect("the file");
    assert_eq!(first.auth.signing_key.expose_secret(), kept);
    assert_eq!(second.auth.signing_key.expose_secret(), kept);
    assert_eq!(fs::read_dir(path.parent().expect("a folder")).expect("a folder").count(), 1);

    let again = given.settings();
    assert_eq!(again.auth.signing_key.expose_secret(), kept);
    assert!(again.new_signing_key().is_none());
}

#[test]
fn a_key_that_others_can_read_is_a_warning_and_in_production_a_fault() {
    let given = with(&[("DATABASE_URL", "postgres://db/users")]);
    let path = given.write("key.pem", &pem(), 0o640);
    let given = given.set("GLASSHOUSE_AUTH__SIGNING_KEY_FILE", &path);
    assert!(given.settings().warnings.iter().any(|warning| warning.contains("chmod 600")));
    let given = given.set("GLASSHOUSE_ENVIRONMENT", "production");
    assert!(given.fault().contains("mode 0600"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).expect("the mode can be set");
    given.settings();
}

#[test]
fn keys_that_cannot_be_used_are_all_said() {
    let given = with(&[("GLASSHOUSE_AUTH__VERIFICATION_KEY_FILES", "/nowhere/a.pem,/nowhere/b.pem")]);
    assert_eq!(given.faults().len(), 2);
    let signing = given.set("GLASSHOUSE_AUTH__SIGNING_KEY", "no key");
    assert_eq!(signing.faults().len(), 3, "{:?}", signing.faults());
    let wrong = with(&[]);
    let private = wrong.write("private.pem", &pem(), 0o600);
    let said = wrong.set("GLASSHOUSE_AUTH__VERIFICATION_KEY_FILES", private).fault();
    assert!(said.contains("private.pem\" is none"), "{said}");
    let given = with(&[("GLASSHOUSE_AUTH__SIGNING_KEY_FILE", "a.pem")]).set("GLASSHOUSE_AUTH__SIGNING_KEY", pem());
    assert!(given.fault().contains("not both"));
    let given = with(&[("GLASSHOUSE_ENVIRONMENT", "production"), ("DATABASE_URL", "postgres://db/users")])
        .set("GLASSHOUSE_AUTH__SIGNING_KEY_FILE", "/nowhere/a.pem");
    assert!(given.fault().contains("a file that can be read"));
}

#[test]
fn stopping_takes_less_than_thirty_seconds_altogether() {
    let fault = with(&[("GLASSHOUSE_SHUTDOWN__NOTICE", "4s")]).fault();
    assert!(fault.starts_with("shutdown.notice: \"4s\"") && fault.ends_with("together they are 30s"), "{fault}");
    with(&[("GLASSHOUSE_SHUTDOWN__NOTICE", "3999ms")]).settings();
}

#[test]
fn a_stall_is_found_before_it_fails_liveness() {
    let fault = with(&[("GLASSHOUSE_INTERNAL__STALL_LIMIT", "1s")]).fault();
    assert!(fault.contains("internal.stall_limit") && fault.ends_with("internal.stall_after, which is 1s"), "{fault}");
    let fault = with(&[("GLASSHOUSE_INTERNAL__STALL_AFTER", "10s")]).fault();
    assert!(fault.contains("internal.stall_after") && fault.ends_with("internal.stall_limit, which is 10s"), "{fault}");
    with(&[("GLASSHOUSE_INTERNAL__STALL_AFTER", "9s")]).settings();
}

#[test]
fn nobody_migrates_through_a_pooler() {
    let behind = with(&[("GLASSHOUSE_STORE__POOLER", "true")]);
    let fault = behind.fault();
    assert!(fault.starts_with("store.migrate") && fault.contains("the server's own URL"), "{fault}");
    behind.set("GLASSHOUSE_STORE__MIGRATE", "false").settings();
}

#[test]
fn a_request_that_stopping_would_cut_is_a_warning() {
    let settings = with(&[("GLASSHOUSE_HTTP__REQUEST_TIMEOUT", "1m")]).settings();
    assert!(
        settings.warnings.iter().any(|warning| warning.contains("shutdown.grace (20s)")),
        "{:?}",
        settings.warnings
    );
}

#[test]
fn each_setting_has_one_name_and_a_default_that_it_accepts() {
    let mut names: Vec<_> = setting::all().map(|setting| setting.name).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    for setting in setting::all().filter(|setting| !setting.default.is_empty()) {
        assert!(setting.shape.read(super::shape::Given::Text(setting.default)).is_some(), "{}", setting.name);
    }
}
