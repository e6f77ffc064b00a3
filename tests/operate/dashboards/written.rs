//! The dashboards are what their source writes, and what Grafana's own types allow.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::panels::{DASHBOARDS, dashboard, folder};

/// Runs a program of the dashboards' source, which is compiled, and by that type-checked, once.
fn run(program: &str, arguments: &[PathBuf]) -> Output {
    static COMPILED: OnceLock<()> = OnceLock::new();
    let command = |program: &str| {
        let mut command = Command::new(program);
        command.current_dir(folder());
        command
    };
    let said = |output: &Output| String::from_utf8_lossy(&[&*output.stdout, &output.stderr].concat()).into_owned();
    COMPILED.get_or_init(|| {
        let compiled = command("npm").args(["run", "--silent", "compile"]).output().expect("npm is installed");
        assert!(compiled.status.success(), "scripts/test-setup installs the compiler\n{}", said(&compiled));
    });
    let program = Path::new("node_modules/.generated").join(program);
    command("node").arg(program).args(arguments).output().expect("node is installed")
}

/// What does not fit the schema in these files; empty if everything does.
fn faults(files: &[PathBuf]) -> String {
    let output = run("validate.js", files);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.success(), said.is_empty(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn dashboards_are_what_their_source_writes() {
    let written = TempDir::new().unwrap();
    let output = run("write.js", &[written.path().to_owned()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    #[expect(clippy::disallowed_methods, reason = "a switch of the test, not a setting of the service")]
    let update = env::var_os("UPDATE_GOLDEN").is_some();
    for name in DASHBOARDS {
        let file = Path::new(name).with_extension("json");
        let (kept, new) = (folder().join(&file), fs::read(written.path().join(&file)).unwrap());
        if update {
            fs::write(&kept, new).unwrap();
        } else {
            assert!(fs::read(&kept).unwrap() == new, "{}: not what its source writes; make golden", kept.display());
        }
    }
}

#[test]
fn grafanas_own_types_allow_every_dashboard() {
    let files: Vec<_> = DASHBOARDS.iter().map(|name| folder().join(name).with_extension("json")).collect();
    assert_eq!(faults(&files), "");
}

/// A change of the overview that Grafana's types forbid, and where it must be seen.
type Planted = (&'static str, fn(&mut Value), &'static str);

const PLANTED: &[Planted] = &[
    ("type", |it| it["panels"][1]["type"] = json!("pie"), "/panels/1/type must be equal to one of"),
    ("option", |it| it["panels"][2]["options"]["colourMode"] = json!("value"), "/panels/2/options must NOT have"),
    ("value", |it| it["panels"][2]["options"]["colorMode"] = json!("loud"), "/panels/2/options/colorMode must be"),
    ("member", |it| it["panels"][2]["height"] = json!(3), "/panels/2 must NOT have additional"),
    ("number", |it| it["panels"][1]["gridPos"]["w"] = json!("8"), "/panels/1/gridPos/w must be number"),
    ("variable", |it| it["templating"]["list"][1]["refresh"] = json!(7), "/templating/list/1/refresh must be"),
    ("schema", |it| it["schemaVersion"] = json!(41), "/schemaVersion must be equal to constant"),
];

#[test]
fn what_grafanas_types_forbid_is_refused() {
    let folder = TempDir::new().unwrap();
    let plant = |(name, change, _): &Planted| {
        let mut overview = dashboard("overview");
        change(&mut overview);
        let file = folder.path().join(name).with_extension("json");
        fs::write(&file, overview.to_string()).unwrap();
        file
    };
    let faults = faults(&PLANTED.iter().map(plant).collect::<Vec<_>>());
    for (name, _, expected) in PLANTED {
        let found = faults.lines().any(|line| line.contains(&format!("{name}.json: {expected}")));
        assert!(found, "{name}: {expected}\n{faults}");
    }
}
