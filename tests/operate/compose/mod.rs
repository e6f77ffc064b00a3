//! The compose, read as `docker-compose` resolves it: what it promises of its images, ports, files and secrets.

mod collector;
mod dockerfile;
mod grafana;
mod links;
mod running;
mod watching;

use std::{fs, path::Path, process::Command};

use serde_json::Value;
use tempfile::TempDir;

use crate::tool;

/// Who has no health check, and why.
const UNCHECKED: &[(&str, &str)] = &[
    ("otel-collector", "its image holds one program, which cannot ask itself"),
    ("k6", "it runs to its end, which is its answer"),
];

/// The ports that alerts, pages and people count on.
const PORTS: &[(&str, &[u64])] =
    &[("glasshouse", &[8080, 6060]), ("prometheus", &[9090]), ("links", &[8081, 9093]), ("grafana", &[3000])];

pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of this repository.
pub(super) fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The files of a folder of this repository that end so, as paths.
pub(super) fn files(folder: &str, extension: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let ends = |name: &String| Path::new(name).extension().is_some_and(|end| end == extension);
    let mut files: Vec<String> = names.filter(ends).map(|name| format!("{folder}/{name}")).collect();
    files.sort();
    assert!(!files.is_empty(), "no {extension} in {folder}: what is asked of them would hold for nothing");
    files
}

/// A YAML file of this repository.
pub(super) fn yaml(file: &str) -> Value {
    serde_saphyr::from_str(&read(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// `docker-compose` on our file, with the profile of k6 and the secrets of this file.
fn docker_compose(secrets: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(tool::program("docker-compose"));
    command.env_remove("COMPOSE_FILE").env_remove("COMPOSE_PROFILES").current_dir(root());
    command.args(["--profile", "load", "--env-file"]).arg(secrets).args(arguments);
    command
}

/// Secrets as `make stack` makes them.
fn secrets(folder: &TempDir) -> std::path::PathBuf {
    let file = folder.path().join("secrets");
    assert!(Command::new(root().join("scripts/secrets")).arg(&file).status().unwrap().success());
    file
}

/// Everything that an engine would be handed.
pub(super) fn resolved() -> Value {
    let folder = TempDir::new().unwrap();
    let output = docker_compose(&secrets(&folder), &["config", "--format=json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The parts of the compose by their names.
fn parts(resolved: &Value) -> impl Iterator<Item = (&str, &Value)> {
    resolved["services"].as_object().unwrap().iter().map(|(name, part)| (name.as_str(), part))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The files and folders of this repository that a part is given, with the places where it sees them.
pub(super) fn mounts(part: &Value) -> Vec<(String, String)> {
    let binds = list(&part["volumes"]).iter().filter(|volume| volume["type"] == "bind");
    let below = |path: &Value| {
        let path = Path::new(path.as_str().unwrap());
        path.strip_prefix(root()).expect("only what the repository has").to_str().unwrap().to_owned()
    };
    binds.map(|volume| (below(&volume["source"]), volume["target"].as_str().unwrap().to_owned())).collect()
}

#[test]
fn docker_compose_has_nothing_to_complain_of() {
    let folder = TempDir::new().unwrap();
    let checked = |secrets: &Path| docker_compose(secrets, &["config", "--quiet"]).output().unwrap();
    let output = checked(&secrets(&folder));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    assert!(!checked(Path::new("/dev/null")).status.success(), "without secrets it is to say so, and not go on");
}

/// Whether a tag is a version, such as 18.6-trixie or v3.14.0, and not one that moves.
fn is_pinned(image: &str) -> bool {
    let tag = image.rsplit_once(':').map_or("", |(_, tag)| tag);
    let version = tag.trim_start_matches('v').split('-').next().unwrap_or_default();
    version.split('.').count() > 1 && version.split('.').all(|number| number.parse::<u32>().is_ok())
}

#[test]
fn every_image_is_pinned() {
    for (name, part) in parts(&resolved()) {
        let image = part["image"].as_str().unwrap();
        assert!(is_pinned(image), "{name}: {image}");
    }
    assert!(is_pinned("a/b:v3.14.0") && is_pinned("postgres:18.6-trixie"));
    assert!(!is_pinned("a/b") && !is_pinned("nginx:alpine") && !is_pinned("nginx:1") && !is_pinned("a:latest"));
}

#[test]
fn what_the_tests_run_is_of_the_version_that_the_compose_has() {
    let resolved = resolved();
    let image = |part: &str| resolved["services"][part]["image"].as_str().unwrap().to_owned();
    let version = |module: &str, line: &str| {
        let named = read(module).lines().find_map(|text| Some(text.trim().strip_prefix(line)?.trim().to_owned()));
        named.unwrap_or_else(|| panic!("{module} has no {line}")).split(' ').next().unwrap().replacen('v', "", 1)
    };
    let collector = version("scripts/collector/go.mod", "go.opentelemetry.io/collector/otelcol ");
    assert_eq!(image("otel-collector"), format!("otel/opentelemetry-collector:{collector}"));
    let k6 = version("scripts/k6/go.mod", "go.k6.io/k6/v2 ");
    assert_eq!(image("k6"), format!("grafana/k6:{k6}"));
    assert_eq!(image("glasshouse"), concat!(env!("CARGO_PKG_NAME"), ":", env!("CARGO_PKG_VERSION")));
}

#[test]
fn every_mounted_file_is_there_and_read_only() {
    let resolved = resolved();
    let mut seen = 0;
    for (name, part) in parts(&resolved) {
        for (source, _) in mounts(part) {
            assert!(root().join(&source).exists(), "{name}: {source} is not there");
            seen += 1;
        }
        let binds = list(&part["volumes"]).iter().filter(|volume| volume["type"] == "bind");
        for bind in binds {
            assert_eq!(bind["read_only"], true, "{name} could write to {}", bind["source"]);
        }
    }
    assert!(seen > 8, "{seen} files are mounted");
}

#[test]
fn every_port_is_published_on_loopback_and_is_the_one_that_links_name() {
    let resolved = resolved();
    for (name, part) in parts(&resolved) {
        let ports = list(&part["ports"]);
        for port in ports {
            assert_eq!(port["host_ip"], "127.0.0.1", "{name}: {port}");
            assert_eq!(port["published"], port["target"].to_string(), "{name}: the same inside and outside");
        }
        let published: Vec<u64> = ports.iter().filter_map(|port| port["target"].as_u64()).collect();
        let expected = PORTS.iter().find(|(part, _)| *part == name).map_or(&[][..], |(_, ports)| ports);
        assert_eq!(published, expected, "{name}");
        assert_ne!(part["network_mode"], "host", "{name} would publish everything");
    }
}

#[test]
fn every_part_says_whether_it_is_well_and_has_limits() {
    let resolved = resolved();
    for (name, part) in parts(&resolved) {
        // The service's is its image's, which another test reads.
        let own = name == "glasshouse" || !list(&part["healthcheck"]["test"]).is_empty();
        let excepted = UNCHECKED.iter().any(|(unchecked, _)| *unchecked == name);
        assert_eq!(own, !excepted, "{name}: a health check, or a reason in UNCHECKED: {}", part["healthcheck"]);
        let limits = &part["deploy"]["resources"]["limits"];
        assert!(limits["memory"].is_string() && limits["cpus"].is_number(), "{name} has no limits: {limits}");
        assert_eq!(part["security_opt"][0], "no-new-privileges:true", "{name}");
    }
}

#[test]
fn the_service_waits_for_the_database_and_for_no_telemetry() {
    let resolved = resolved();
    let awaited = resolved["services"]["glasshouse"]["depends_on"].as_object().unwrap();
    assert_eq!(awaited.keys().collect::<Vec<_>>(), ["postgres"]);
    assert_eq!(awaited["postgres"]["condition"], "service_healthy");
    // Nor through others: what postgres waits for the service waits for too.
    assert!(resolved["services"]["postgres"]["depends_on"].is_null());
}

#[test]
fn no_secret_stands_in_a_file_and_each_machine_has_its_own() {
    let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let [one, other] = [&one, &other].map(|folder| fs::read_to_string(secrets(folder)).unwrap());
    let values = |text: &str| -> Vec<(String, String)> {
        let pairs = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    let compose = read("docker-compose.yml");
    for ((name, value), (_, elsewhere)) in values(&one).iter().zip(values(&other)) {
        assert!(value.len() >= 32 && *value != elsewhere, "{name}={value}");
        assert!(compose.contains(&format!("${{{name}:?")), "{name} is used, and missed where it is missing");
    }
    // Whatever sounds like a secret comes from a variable.
    let words = ["PASSWORD", "TOKEN", "SECRET", "_KEY"];
    for (at, line) in (1..).zip(compose.lines()).filter(|(_, line)| !line.trim_start().starts_with('#')) {
        if let Some((name, value)) = line.split_once(": ")
            && words.iter().any(|word| name.contains(word))
        {
            assert!(value.starts_with("${") && value.contains(":?"), "docker-compose.yml:{at}: {name}");
        }
    }
    for ignored in [".gitignore", ".dockerignore"] {
        let lines = read(ignored);
        assert!(lines.lines().any(|line| matches!(line, "/.env" | "*")), "{ignored} lets .env pass");
    }
}

#[test]
fn the_service_accepts_the_settings_that_it_is_given() {
    let resolved = resolved();
    let environment = resolved["services"]["glasshouse"]["environment"].as_object().unwrap();
    let folder = TempDir::new().unwrap();
    let check = |without: &str| {
        let pairs = environment.iter().map(|(name, value)| (name, value.as_str().unwrap()));
        let mut command = Command::new(env!("CARGO_BIN_EXE_glasshouse"));
        command.args(["config", "check"]).env_clear().current_dir(folder.path());
        command.envs(pairs.filter(|(name, _)| *name != without)).output().unwrap()
    };
    let said = check("");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    assert_eq!(check("GLASSHOUSE_INTERNAL__TOKEN").status.code(), Some(78), "an open port without a token is refused");
}

#[test]
fn without_an_engine_make_stack_says_what_to_do() {
    let mut command = Command::new(root().join("scripts/stack"));
    let output = command.env("DOCKER_HOST", "unix:///nowhere/docker.sock").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("no container engine") && said.contains("make stack-local"), "{said}");
}
