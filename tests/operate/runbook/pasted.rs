//! Every command of every page, pasted at a stack that is busy and has some trouble: it works, and what the page looks
//! at is in its answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use tempfile::TempDir;

use super::{PASTED, alerts, guides::free};
use crate::{
    page::{Place, sections},
    stack::{Options, Ports, Postgres, STARTING, Scale, Stack, within},
    support::{Client, PASSWORD},
};

/// What stands in answers at a service that is well: the page, a part of the command, what it shows.
const SHOWN: &[(&str, &str, &str)] = &[
    ("README", "amtool alert query", "Watchdog"),
    ("AvailabilityBurnFast", "topk(5, sum by (http_route, error_type)", "http_route=\"/api/v1/auth/sign-in\""),
    ("AvailabilityBurnFast", "glasshouse_build_info", "revision="),
    ("AvailabilityBurnFast", "/debug/trace", "event: request"),
    ("AvailabilityBurnSlow", "error_type!~", "error_type=\"injected\""),
    ("CrashLoop", "glasshouse config print", "max_connections"),
    ("DatabaseDown", "ready?verbose", "\"store\":\"ok\""),
    ("DatabaseDown", "jq", "postgres://"),
    ("DatabaseErrors", "migrate status", "0001 applied"),
    ("DatabaseErrors", "blocked_by", "blocked_by"),
    ("DatabaseSlow", "query_exemplars", "trace_id"),
    ("DatabaseSlow", "pg_stat_user_tables", "sessions"),
    ("HeapGrowth", "-X PUT", "\"sampling\": true"),
    ("HeapGrowth", "go tool pprof", "flat%"),
    ("LogLinesDropped", "debug/log\n", "info"),
    ("LogLinesDropped", "-d warn", "warn"),
    ("RuleFailures", "api/v1/rules", "ok AvailabilityBurnFast"),
    ("RuleFailures", "check rules", "SUCCESS"),
    ("RuntimeStalled", "debug/stalls\n", "has not been stuck"),
    ("SignInFailures", "/debug/trace", "client.address"),
    ("TargetAbsent", "status/config", "job_name: glasshouse"),
    ("TargetDown", "jq", "up http://"),
    ("TargetDown", "%{http_code}", "200"),
    ("TaskLeak", "debug=1", "\"task\":\"acceptor\""),
    ("TokenRejections", "reason", "token_malformed"),
    ("TokenRejections", "jwks", "\"kid\""),
    ("TrafficVanished", "users/me", "token_missing"),
    ("Watchdog", "alertname=Watchdog severity=none", "deadman"),
    ("Watchdog", "api/v1/alertmanagers", "activeAlertmanagers\":[{"),
    ("leaking-tasks", "diff_base", "flat%"),
    ("load-testing", "inspect", "totalDuration"),
    ("reading-a-trace", "seriesLabels.http_route", "/api/v1/"),
    ("reading-a-trace", "seriesLabels.db_query_summary", "SELECT"),
    ("reading-a-trace", "X-Force-Trace", "traceresponse: 00-"),
    ("reading-a-trace", "glasshouse signals", "pool wait"),
    ("when-the-database-fails", "ready?verbose", "\"store\":\"ok\""),
    ("when-the-database-fails", "pg_settings", "synchronous_commit|"),
    ("when-the-database-fails", "pg_is_in_recovery", "standby"),
];

/// How long the answer to a question may be wrong.
const PATIENCE: Duration = Duration::from_secs(10);

/// Some statements fail for a moment, so that there are errors to look at.
const BROKEN: &str = "curl -sf -X PUT $GLASSHOUSE_INTERNAL__LISTEN/debug/faults \
                      -d '[{\"fault\": \"error\", \"statement\": \"SELECT users by email\", \"share\": 0.5}]'";
const MENDED: &str = "curl -sf -X DELETE $GLASSHOUSE_INTERNAL__LISTEN/debug/faults";

/// Whoever shows it has that one request traced.
const FORCE: &str = "a-token-that-forces-traces";

/// Some of everything: people who do well, passwords that are wrong, tokens that are none, addresses that are taken.
async fn ask_for_ever(client: Client) -> ! {
    let ann = client.joined("ann@example.com").await;
    // Passwords are hashed, on cores that other tests need.
    let mut rounds = tokio::time::interval(Duration::from_millis(100));
    loop {
        rounds.tick().await;
        ann.client.me().await;
        client.sign_in("ann@example.com", PASSWORD).await;
        client.sign_in("ann@example.com", "a wrong password").await;
        client.register("ann@example.com").await;
        client.as_bearer("no.token").me().await;
        client.get("/nothing").await;
    }
}

/// A folder that looks like the repository where commands name its files, and like an operator's where they write.
fn folder() -> TempDir {
    let (folder, root) = (TempDir::new().unwrap(), Path::new(env!("CARGO_MANIFEST_DIR")));
    for name in ["alerts", "deploy", "loadtest"] {
        symlink(root.join(name), folder.path().join(name)).unwrap();
    }
    folder
}

fn git_folder() -> String {
    let root = env!("CARGO_MANIFEST_DIR");
    let asked = Command::new("git").args(["-C", root, "rev-parse", "--absolute-git-dir"]).output().unwrap();
    String::from_utf8(asked.stdout).unwrap().trim().to_owned()
}

async fn stack(database: &str) -> Stack {
    // A collector that is away: spans are made, sampled and lost, so that there are exemplars, and losses to look at.
    let settings = [
        ("DATABASE_URL", database),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
        ("OTEL_BSP_SCHEDULE_DELAY", "200"),
        ("GLASSHOUSE_TELEMETRY__FORCE_TRACE_TOKEN", FORCE),
        ("GLASSHOUSE_FAULTS__ALLOWED", "true"),
    ];
    let options = Options::alerting(&settings, Scale { factor: 60.0, scrape: Duration::from_millis(500) });
    // A Prometheus that knows its own port beforehand scrapes itself.
    let ports = Ports { prometheus: free().port(), ..Ports::default() };
    Stack::start(Options { ports, own_database: false, ..options }).await
}

fn place(stack: &Stack, database: &str, folder: &Path) -> Place {
    let alertmanager = stack.alertmanager.as_ref().unwrap().address;
    Place::new(folder, stack.glasshouse.internal, stack.glasshouse.public)
        .watched(stack.prometheus.address, alertmanager)
        .with("DATABASE_URL", database)
        .with("GLASSHOUSE_INTERNAL__LISTEN", stack.glasshouse.internal)
        .with("PID", stack.glasshouse.process().id)
        .with("ALERTMANAGER", alertmanager)
        .with("FORCE_TRACE_TOKEN", FORCE)
        .with("GIT_DIR", git_folder())
        .with("USER", "whoever is on call")
        .with("K6_NO_USAGE_REPORT", "true")
}

/// Whether its answer depends on nothing but the moment, so that one paste of it stands for all.
fn is_repeatable(command: &str) -> bool {
    let is_question =
        ["promtool query", "amtool alert query", "curl -s"].iter().any(|begin| command.starts_with(begin));
    is_question && !command.contains(" -o ") && !command.contains(" -X ")
}

/// What it answers. A question is asked again while something is wrong with its answer: on a machine that is busy a
/// scrape may be late, or an alert.
async fn pasted(page: &str, place: &Place, command: &str) -> Output {
    let right = async || {
        let output = place.paste(command).await;
        (!is_repeatable(command) || fault(page, command, &output).is_none()).then_some(output)
    };
    match within(PATIENCE, right).await {
        Some(output) => output,
        None => place.paste(command).await,
    }
}

/// Whether it ends the service, or has Prometheus begin anew: that is pasted when all else has been.
fn is_last(command: &str) -> bool {
    command.starts_with("kill ") || command.ends_with("/-/reload\n")
}

/// What is wrong with an answer.
fn fault(page: &str, command: &str, output: &Output) -> Option<String> {
    let (said, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let told = |what: &str| Some(format!("{page}: {what}\n{command}{said}\n{complaint}"));
    if !output.status.success() {
        return told("it fails");
    }
    if command.starts_with("promtool query") && said.trim().is_empty() {
        return told("it finds nothing");
    }
    let shown = SHOWN.iter().filter(|(known, part, _)| *known == page && command.contains(part));
    let lacking: Vec<_> = shown.filter(|(_, _, word)| !said.contains(word)).map(|(_, _, word)| *word).collect();
    if lacking.is_empty() { None } else { told(&format!("it does not show {lacking:?}")) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_of_every_page_works_and_shows_what_the_page_looks_at() {
    let database = Postgres::get().database().await;
    let mut stack = stack(&database).await;
    let client = Client::new(stack.http.clone(), stack.glasshouse.public);
    let asking = glasshouse::telemetry::spawn("asking", ask_for_ever(client));
    // The longest way: from requests over recorded rates to what is left of the budget.
    let budget = async || stack.prometheus.found("job:slo_error_budget:left").await;
    within(STARTING, budget).await.expect("what is left of the budget is recorded");
    let exemplar = async || {
        let all = [("query", "db_client_operation_duration_seconds_bucket"), ("start", "0"), ("end", "9999999999")];
        let found = stack.prometheus.api().ask("query_exemplars", &all).await?;
        found.as_array().is_some_and(|series| !series.is_empty()).then_some(())
    };
    within(STARTING, exemplar).await.expect("a statement has an exemplar");

    let root = folder();
    let place = place(&stack, &database, root.path());
    assert!(place.paste(BROKEN).await.status.success());
    let errors = "rate(db_client_operation_duration_seconds_count{error_type=\"injected\"}[5m]) > 0";
    within(STARTING, async || stack.prometheus.found(errors).await).await.expect("statements fail");
    assert!(place.paste(MENDED).await.status.success());
    let mut faults = Vec::new();
    let mut answered = BTreeMap::<String, Output>::new();
    let mut used = Vec::new();
    for page in PASTED.iter().copied().chain(alerts()) {
        let folder = folder();
        let place = place.in_folder(folder.path());
        for command in sections(page).into_iter().flat_map(|section| section.commands) {
            if is_last(&command) {
                continue;
            }
            if command.starts_with("amtool silence expire") {
                let silence =
                    "amtool silence add --alertmanager.url=http://$ALERTMANAGER alertname=Watchdog --comment=x";
                assert!(place.paste(silence).await.status.success());
            }
            let output = match answered.get(&command) {
                Some(output) => output.clone(),
                None => pasted(page, &place, &command).await,
            };
            faults.extend(fault(page, &command, &output));
            used.extend(SHOWN.iter().filter(|(known, part, _)| *known == page && command.contains(part)));
            if is_repeatable(&command) {
                answered.insert(command, output);
            }
        }
    }
    let unused = SHOWN.iter().filter(|shown| !used.contains(shown));
    faults.extend(unused.map(|(page, part, _)| format!("{page}: no command has {part:?}")));
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
    asking.abort();

    let (ending, reading): (Vec<_>, Vec<_>) = last().into_iter().partition(|command| command.starts_with("kill "));
    for command in reading {
        assert!(place.paste(&command).await.status.success(), "{command}");
    }
    for command in ending {
        let id = stack.glasshouse.process().id;
        let output = place.clone().with("PID", id).paste(&command).await;
        assert!(output.status.success(), "{command}{output:?}");
        let gone = async || (!Path::new(&format!("/proc/{id}")).exists()).then_some(());
        within(STARTING, gone).await.expect("it has ended");
        stack.glasshouse.start_again().await;
        stack.ready().await;
    }
}

/// What is pasted last, each once.
fn last() -> BTreeSet<String> {
    let pages = PASTED.iter().copied().chain(alerts()).flat_map(sections);
    pages.flat_map(|section| section.commands).filter(|command| is_last(command)).collect()
}

#[test]
fn a_service_is_ended_in_one_of_two_ways() {
    let ending: Vec<_> = last().into_iter().filter(|command| command.starts_with("kill ")).collect();
    assert_eq!(ending, ["kill -KILL \"$PID\"\n", "kill -TERM \"$PID\"\n"]);
}
