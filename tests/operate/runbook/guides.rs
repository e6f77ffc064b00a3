//! Guides that are gone through from the first command to the last, in one shell, with the built executable: what they
//! promise has really happened then.

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    page::{Place, sections},
    stack::{Postgres, Prometheus, Scale},
    support::Service,
};

/// Starts the service as the guides do, in a shell that goes on with them.
const SERVE: &str = "glasshouse serve >>glasshouse.log &\nexport PID=$!\n";
const READY: &str = "curl -s --retry 30 --retry-connrefused $GLASSHOUSE_INTERNAL__LISTEN/health/ready\n";
const STOP: &str = "kill -TERM \"$PID\"\nwait \"$PID\"\n";
/// Waits until Prometheus has seen it twice, as it has long before anybody rotates keys.
const WATCHED: &str = "until promtool query instant http://$PROMETHEUS 'rate(glasshouse_token_rejections_total[5m])' \
                       | grep -q reason; do sleep 0.2; done\n";

/// An address that nobody listens on yet. A service that is started again must be where it was.
pub(super) fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A shell's folder, in which the service has that internal port and another one of its own.
fn place(folder: &Path, internal: SocketAddr) -> Place {
    let public = free();
    Place::new(folder, internal, public)
        .with("GLASSHOUSE_INTERNAL__LISTEN", internal)
        .with("GLASSHOUSE_HTTP__LISTEN", public)
        .with("GLASSHOUSE_SHUTDOWN__NOTICE", "0s")
        .with("GLASSHOUSE_LOG__FORMAT", "json")
        .with("GLASSHOUSE_RUNTIME__WORKERS", "2")
        .with("GLASSHOUSE_LIMITS__ENABLED", "false")
}

/// Makes an account from the command line.
fn register(email: &str) -> String {
    format!("glasshouse user create --email {email} --name Somebody --password-stdin <<<'correct horse battery'\n")
}

/// Whether that account can sign in: 200, or 401.
fn sign_in(email: &str) -> String {
    format!(
        "curl -s -o /dev/null -w '%{{http_code}}\\n' $GLASSHOUSE_HTTP__LISTEN/api/v1/auth/sign-in \
         -H 'Content-Type: application/json' -d '{{\"email\": \"{email}\", \"password\": \"correct horse battery\"}}'\n"
    )
}

/// The commands of those sections of a guide, in the order of the guide.
fn commands(guide: &str, headings: &[&str]) -> Vec<String> {
    let sections = sections(guide).into_iter().filter(|section| headings.contains(&section.heading.as_str()));
    let found: Vec<_> = sections.collect();
    assert_eq!(found.len(), headings.len(), "{guide}: {headings:?}");
    found.into_iter().flat_map(|section| section.commands).collect()
}

/// Every command of a guide.
fn all(guide: &str) -> Vec<String> {
    sections(guide).into_iter().flat_map(|section| section.commands).collect()
}

/// Goes through commands, and says what those that contain a text have answered.
struct Gone(Vec<(String, String)>);

impl Gone {
    async fn through(place: &Place, commands: Vec<String>) -> Self {
        let answers = place.paste_all(&commands).await;
        Self(commands.into_iter().zip(answers).collect())
    }

    fn answers(&self, part: &str) -> Vec<&str> {
        self.0.iter().filter(|(command, _)| command.contains(part)).map(|(_, answer)| answer.trim()).collect()
    }
}

#[tokio::test]
async fn a_service_is_started_asked_and_stopped_as_the_guide_says() {
    let folder = TempDir::new().unwrap();
    let gone = Gone::through(&place(folder.path(), free()), all("starting-and-stopping")).await;
    assert_eq!(gone.answers("--retry"), ["ok"]);
    assert!(gone.answers("ready?verbose")[0].contains("\"store\":\"ok\""));
    assert!(gone.answers("config print")[0].contains("listen = "));
    assert!(gone.answers("debug/build")[0].contains("revision"));
    let steps = gone.answers("jq -c")[0];
    for step in ["\"requests\"", "\"store\"", "\"stopped\""] {
        assert!(steps.contains(step), "{step}: {steps}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_goes_forward_and_back_as_the_guide_says() {
    let (folder, server) = (TempDir::new().unwrap(), Postgres::get());
    let url = server.database().await;
    let waiting = Service::started_on(TempDir::new().unwrap(), &url, &[("GLASSHOUSE_STORE__MIGRATE", "false")]);
    let git = concat!(env!("CARGO_MANIFEST_DIR"), "/.git");
    let place =
        Place::new(folder.path(), waiting.internal, waiting.public).with("DATABASE_URL", &url).with("GIT_DIR", git);
    let gone = Gone::through(&place, all("migrations")).await;
    let states = |part: &str| -> Vec<String> {
        gone.answers(part).iter().map(|answer| answer.split(' ').nth(1).unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(states("migrate status"), ["pending", "applied"]);
    assert_eq!(states("migrate up"), ["applied", "applied"]);
    let left = gone.answers("migrate status")[1].lines().filter(|line| line.contains("pending")).count();
    assert_eq!((states("migrate down"), left), (vec!["applied".to_owned()], 1), "the newest alone");
    assert!(gone.answers("ready?verbose")[0].contains("\"migrations\":"));
    assert!(gone.answers("_sqlx_migrations ORDER")[0].contains("success"));
}

/// Adds an admin of that address.
fn register_admin(email: &str) -> String {
    register(email).replacen("--name", "--admin --name", 1)
}

/// What the guide looks for: an admin that makes somebody else one.
const PROMOTE: &str = "curl -sf -o /dev/null -X PATCH localhost:8080/api/v1/users/$SUBJECT -H 'If-Match: *' \
                       -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' -H 'X-Request-ID: night-1' \
                       -d '{\"role\": \"admin\"}'\n";

/// The trail as the guide reads it, with an act in it.
async fn audited(place: &Place, more: &[&str]) -> Gone {
    let mut walk = vec![SERVE.to_owned(), READY.to_owned()];
    walk.extend([register_admin("root@example.com"), register("ada@example.com"), register("mallory@example.com")]);
    let asked = commands("audit-trail", &["Ask the service"]);
    let (before, reads) = asked.split_at(asked.len() - 1);
    walk.extend_from_slice(before);
    walk.push(PROMOTE.to_owned());
    walk.extend_from_slice(reads);
    walk.extend(more.iter().flat_map(|heading| commands("audit-trail", &[heading])));
    walk.push(STOP.to_owned());
    Gone::through(place, walk).await
}

#[tokio::test]
async fn who_did_what_to_whom_is_asked_of_the_service_and_of_a_file() {
    let folder = TempDir::new().unwrap();
    let gone = audited(&place(folder.path(), free()), &["Ask SQLite"]).await;
    assert!(gone.answers("audit?limit=20")[0].contains("\"actor\": \"cli\""));
    let of_ada = gone.answers("audit?subject=")[0];
    assert!(of_ada.contains("\"change\",[\"role\"],\"admin\",\"night-1\"]"), "{of_ada}");
    assert!(gone.answers("sqlite3")[0].contains("|change|"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_did_what_to_whom_is_asked_of_a_database() {
    let (folder, server) = (TempDir::new().unwrap(), Postgres::get());
    let place = place(folder.path(), free()).with("DATABASE_URL", server.database().await);
    let gone = audited(&place, &["Ask PostgreSQL", "An admin that is none"]).await;
    assert!(gone.answers("GROUP BY")[0].contains("change"));
    assert!(gone.answers("role = 'admin'")[0].contains("night-1"));
    assert_eq!(gone.answers("UPDATE users"), ["UPDATE 1"]);
    assert_eq!(gone.answers("DELETE FROM sessions"), ["DELETE 0"], "nobody signed in");
}

const AFTER: &str = "After a restore";

#[tokio::test]
async fn a_file_is_backed_up_while_it_is_written_and_restored_with_its_users() {
    let folder = TempDir::new().unwrap();
    let mut walk = vec![SERVE.to_owned(), READY.to_owned(), register("ada@example.com"), sign_in("ada@example.com")];
    walk.push("cp data/glasshouse.db copy.db\n".to_owned());
    walk.extend(commands("backup-and-restore", &["SQLite: backup"]));
    walk.push(register("late@example.com"));
    walk.extend(commands("backup-and-restore", &["SQLite: restore", AFTER]));
    walk.extend([sign_in("late@example.com"), STOP.to_owned()]);
    walk.push("sqlite3 copy.db 'SELECT count(*) FROM sessions'\n".to_owned());
    let gone = Gone::through(&place(folder.path(), free()), walk).await;
    assert_eq!(gone.answers("integrity_check"), ["ok\n1"]);
    assert_eq!(gone.answers("ada@example.com\","), ["200", "200"], "before and after");
    assert_eq!(gone.answers("late@example.com\","), ["401"], "it came after the backup");
    assert_eq!(gone.answers("copy.db 'SELECT"), ["0"], "a copy of the file lacks what it was made to keep");
}

#[tokio::test]
async fn a_database_is_backed_up_and_restored_beside_itself_with_its_users() {
    let (folder, server) =
        (TempDir::new().unwrap(), tokio::task::spawn_blocking(|| Postgres::start(&[])).await.unwrap());
    let place = place(folder.path(), free()).with("DATABASE_URL", server.database().await);
    let mut walk = vec![SERVE.to_owned(), READY.to_owned(), register("ada@example.com"), sign_in("ada@example.com")];
    walk.extend(commands("backup-and-restore", &["PostgreSQL: backup"]));
    walk.push(register("late@example.com"));
    walk.extend(commands("backup-and-restore", &["PostgreSQL: restore", AFTER]));
    walk.extend([sign_in("late@example.com"), STOP.to_owned()]);
    let gone = Gone::through(&place, walk).await;
    assert!(gone.answers("--list")[0].contains("TABLE DATA public users"));
    assert!(gone.answers("migrate status")[0].starts_with("0001 applied"));
    assert_eq!(gone.answers("ada@example.com\","), ["200", "200"], "before and after");
    assert_eq!(gone.answers("late@example.com\","), ["401"], "it came after the backup");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_rotated_and_nobody_is_signed_out() {
    let (folder, server) = (TempDir::new().unwrap(), Postgres::get());
    let internal = free();
    let scale = Scale { factor: 1.0, scrape: Duration::from_millis(500) };
    let prometheus = Prometheus::start(scale, None, 0, reqwest::Client::new()).await;
    prometheus.target(Some(internal));
    let place = place(folder.path(), internal)
        .watched(prometheus.address, free())
        .with("PROMETHEUS", prometheus.address)
        .with("DATABASE_URL", server.database().await);

    let mut walk = vec![SERVE.to_owned(), READY.to_owned(), register("ada@example.com"), WATCHED.to_owned()];
    walk.extend(all("rotating-keys"));
    walk.push(STOP.to_owned());
    let gone = Gone::through(&place, walk).await;
    assert_eq!(gone.answers("Bearer $TOKEN"), ["200", "200", "200"], "before, while both are known, by the new key");
    assert_eq!(gone.answers("Bearer $NEWER"), ["200", "200", "401"], "signed, alone, after a theft");
    assert_eq!(gone.answers("auth/refresh"), ["200"], "a theft signs nobody out");
    assert_eq!(gone.answers("jq -r '.keys[].kid'")[0].lines().count(), 2);
    assert!(!gone.answers("sum by (reason)")[0].is_empty());
}
