//! The Diagnosis of an alert's page, pasted while the alert fires: its answers must point at what is broken.

use std::{fs, path::Path, time::Duration};

use tempfile::TempDir;

use crate::{
    diagnosis::{DIAGNOSES, missing},
    page::{Place, sections},
    stack::within,
    stage::Stage,
};

/// How long the page may be gone through again: who is called first finds less than is there a moment later.
const PATIENCE: Duration = Duration::from_secs(45);

/// What the answers of that alert's page do not tell, in words; nothing if they tell all.
pub(crate) async fn lacking(alert: &str, stage: &Stage) -> Option<String> {
    if !DIAGNOSES.iter().any(|(name, _)| *name == alert) {
        return Some(format!("{alert}: nobody has said what its page must point at"));
    }
    let mut last = None;
    let told = async || {
        last = lacking_now(alert, stage).await;
        last.is_none().then_some(())
    };
    within(PATIENCE, told).await;
    last
}

async fn lacking_now(alert: &str, stage: &Stage) -> Option<String> {
    let folder = TempDir::new().unwrap();
    for name in ["alerts", "deploy", "loadtest"] {
        std::os::unix::fs::symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join(name), folder.path().join(name)).unwrap();
    }
    let place = place(stage, folder.path());
    let mut answers = Vec::new();
    for section in sections(alert).iter().filter(|section| section.heading == "Diagnosis") {
        for command in &section.commands {
            let output = place.paste(command).await;
            // What cannot be reached says so, and that is an answer too.
            let said = [output.stdout, output.stderr].concat();
            answers.push(String::from_utf8_lossy(&said).into_owned());
        }
    }
    let lacking = missing(alert, &answers);
    if lacking.is_empty() {
        return None;
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/gameday").join(alert).with_extension("txt");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, answers.join("\n----\n")).unwrap();
    Some(format!("{alert}: its page does not show {lacking:?}, see target/gameday/{alert}.txt"))
}

fn place(stage: &Stage, folder: &Path) -> Place {
    let (glasshouse, prometheus) = (&stage.stack.glasshouse, &stage.stack.prometheus);
    let alertmanager = stage.stack.alertmanager.as_ref().expect("a stage has one").address;
    Place::new(folder, glasshouse.internal, glasshouse.public)
        .watched(prometheus.address, alertmanager)
        .with("DATABASE_URL", glasshouse.setting("DATABASE_URL").expect("it is given one"))
        .with("GLASSHOUSE_INTERNAL__LISTEN", glasshouse.internal)
        .with("PID", glasshouse.process.as_ref().map_or(0, |process| process.id))
        .with("GIT_DIR", Path::new(env!("CARGO_MANIFEST_DIR")).join(".git").display())
        .with("USER", "whoever is on call")
}
