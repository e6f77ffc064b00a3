//! The result as a table of Markdown.

use std::{fmt::Write as _, fs, path::Path, time::Duration};

use crate::drill::Report;

/// Prints it, and writes it to target/gameday.
pub(crate) fn tell(reports: &[Report], scale: f64) {
    let text = markdown(reports);
    println!("\n{text}");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/gameday");
    let names = if reports.len() > 2 { "all" } else { reports.first().map_or("none", |report| report.fault) };
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("{names}-{scale}.md")), text).unwrap();
}

/// One line for each alert, in seconds of this machine's clock.
fn markdown(reports: &[Report]) -> String {
    let mut text = String::from(
        "| Alert | Fault | Faster by | Pending | Firing | Delivered | Resolved | Others |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for report in reports {
        for row in &report.rows {
            let [pending, firing, delivered, resolved] =
                [row.pending, row.firing, row.delivered, row.resolved].map(seconds);
            let (fault, factor, others) = (report.fault, report.factor, report.others.join(", "));
            writeln!(
                text,
                "| {} | {fault} | {factor} | {pending} | {firing} | {delivered} | {resolved} | {others} |",
                row.alert
            )
            .unwrap();
        }
    }
    text.push('\n');
    for complaint in reports.iter().flat_map(Report::complaints) {
        writeln!(text, "- {complaint}").unwrap();
    }
    text
}

fn seconds(duration: Option<Duration>) -> String {
    duration.map_or("–".to_owned(), |duration| format!("{:.1}", duration.as_secs_f64()))
}
