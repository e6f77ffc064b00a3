//! The Diagnosis of an alert's page, pasted while the alert fires: its answers must point at what is broken.

use std::path::Path;

use tempfile::TempDir;

use crate::{
    diagnosis::{DIAGNOSES, missing},
    page::{Place, sections},
    stage::Stage,
};

/// What the answers of that alert's page do not tell, in words; nothing if they tell all.
pub(crate) async fn lacking(alert: &str, stage: &Stage) -> Option<String> {
    if !DIAGNOSES.iter().any(|(name, _)| *name == alert) {
        return Some(format!("{alert}: nobody has said what its page must point at"));
    }
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
    (!lacking.is_empty()).then(|| format!("{alert}: its page does not show {lacking:?}:\n{}", answers.join("\n--\n")))
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
