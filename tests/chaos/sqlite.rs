//! What SQLite's files are worth at any instant: images of a crash, logs that were torn in the middle of a write, and a
//! disk that is full.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{Connection, Executor, SqliteConnection};
use tempfile::TempDir;

use crate::{
    clients::Crowd,
    model::{Account, Event, Moment, What},
    moments,
    random::Random,
    read_back,
    service::Service,
    stack::Limits,
};

/// How many images are made, and how often the log of each is torn.
const IMAGES: usize = 8;
const TEARS: usize = 6;

/// A service on a file of its own.
struct Filed {
    folder: TempDir,
    service: Service,
    crowd: Crowd,
    chance: Random,
}

impl Filed {
    async fn start(what: &str) -> Self {
        let seed = Random::seed();
        println!("{what}: seed {seed}");
        let (folder, mut chance) = (TempDir::new().unwrap(), Random::seeded(seed));
        let database = url(&folder.path().join("users.db"));
        let service = Service::start(&database, &[], Limits::default()).await;
        // Whatever becomes of the log from now on, the tables are in the file.
        let mut connection = SqliteConnection::connect(&database).await.unwrap();
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").await.unwrap();
        connection.close().await.unwrap();
        let crowd = Crowd::start(chance.below(u64::MAX), service.public()).await;
        Self { folder, service, crowd, chance }
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("users.db")
    }

    /// All files of the database at one instant, in a folder of that name: as a crash of the process leaves them.
    fn image(&self, name: usize) -> (Moment, PathBuf) {
        // Nothing is written while it stands still, however long copying takes.
        self.service.signal("STOP");
        let stood = self.crowd.book.now();
        let folder = self.folder.path().join(name.to_string());
        fs::create_dir(&folder).unwrap();
        for end in ["", "-wal", "-shm"] {
            let file = format!("users.db{end}");
            fs::copy(self.folder.path().join(&file), folder.join(&file)).unwrap();
        }
        self.service.signal("CONT");
        (stood, folder)
    }
}

fn url(file: &Path) -> String {
    format!("sqlite://{}?mode=rwc", file.display())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_instant_of_the_files_is_whole_and_holds_what_was_acknowledged() {
    let mut filed = Filed::start("images").await;
    let mut images = Vec::new();
    for name in 0..IMAGES {
        filed.crowd.answered(8, |answer| answer.is_write && answer.status.is_some_and(|status| status < 300)).await;
        moments::any(&mut filed.chance, Duration::from_millis(50)).await;
        images.push(filed.image(name));
    }
    let Filed { folder, mut service, crowd, mut chance } = filed;
    let book = crowd.stop().await;
    service.kill();
    let mut torn_shorter = 0;
    for (stood, image) in images {
        torn_shorter += tear(&image, &book.accounts(), &mut chance).await;
        assert_eq!(fs::read(image.join("users.db")).unwrap()[18..20], [2, 2], "the file says that it has a log");
        read_back::note(&read_back::users(&url(&image.join("users.db"))).await, &book, stood);
    }
    read_back::note_all(&url(&folder.path().join("users.db")), &book).await;
    let faults = book.faults();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(torn_shorter > 0, "a log that is torn holds less");
}

/// Opens what is left when the last of the log was only half written, or not at all: what is found is whole, and all of
/// it was asked for. Says how many tears had an effect.
async fn tear(image: &Path, accounts: &[Account], chance: &mut Random) -> usize {
    let log = fs::read(image.join("users.db-wal")).unwrap();
    let whole = copy(image, "whole", &log).await;
    let mut shorter = 0;
    for number in 0..TEARS {
        let at = usize::try_from(chance.below(u64::try_from(log.len()).unwrap().max(1))).unwrap();
        let mut torn = log[..at].to_vec();
        if number % 2 == 1 {
            // Room was made for it, and what should be there is not.
            torn.resize(log.len(), 0);
        }
        let found = copy(image, &format!("torn-{number}"), &torn).await;
        shorter += usize::from(found != whole);
        for view in found {
            let account = accounts.iter().find(|account| account.email == view.email);
            let mut account = account.unwrap_or_else(|| panic!("nobody has asked for {view:?}")).clone();
            // A look that began before everything: it may show any state that the account ever had.
            account.events.push(Event { began: 0, ended: Moment::MAX, what: What::Look(Some(view)) });
            assert_eq!(account.faults(), Vec::<String>::new());
        }
    }
    shorter
}

/// What is in a copy of the database with that log.
async fn copy(image: &Path, name: &str, log: &[u8]) -> Vec<crate::model::View> {
    let folder = image.join(name);
    fs::create_dir(&folder).unwrap();
    fs::copy(image.join("users.db"), folder.join("users.db")).unwrap();
    fs::write(folder.join("users.db-wal"), log).unwrap();
    read_back::users(&url(&folder.join("users.db"))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full_refuses_writes_and_loses_nothing() {
    let filed = Filed::start("disk full").await;
    let crowd = &filed.crowd;
    crowd.answered(30, |answer| answer.status.is_some_and(|status| status < 300)).await;
    let struck = Instant::now();
    // No file may grow past this, which is less than the log has already; what is known of the log fits into less.
    limit_files(filed.service.pid(), "65636:");
    crowd.answered(20, |answer| answer.status == Some(503)).await;
    assert_eq!(filed.service.probe("/health/live").await, Some(200));
    limit_files(filed.service.pid(), "unlimited:");
    let mended = Instant::now();
    crowd.calm(mended).await;

    let (database, answers) = (url(&filed.database()), Arc::clone(&filed.crowd.answers));
    let Filed { mut service, crowd, folder, .. } = filed;
    let book = crowd.stop().await;
    service.kill();
    read_back::note_all(&database, &book).await;
    drop(folder);
    let faults = book.faults();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let answers = answers.lock().unwrap();
    let told: std::collections::BTreeSet<_> = answers
        .iter()
        .filter(|answer| answer.began >= struck && answer.status.is_none_or(|status| status >= 500))
        // A machine that is busy with other tests sheds.
        .filter(|answer| !answer.code.ends_with("overloaded"))
        .map(|answer| (answer.status, answer.code.clone(), answer.has_retry_after))
        .collect();
    assert_eq!(told.into_iter().collect::<Vec<_>>(), [(Some(503), "store_unavailable".to_owned(), true)]);
    let reads = answers.iter().filter(|answer| answer.began >= struck && answer.began < mended && !answer.is_write);
    assert!(reads.filter(|answer| answer.status == Some(200)).count() > 0, "reads go on");
}

/// The soft limit: the same user may raise it again.
fn limit_files(pid: u32, size: &str) {
    let limited = Command::new("prlimit").args(["--pid", &pid.to_string(), &format!("--fsize={size}")]).status();
    assert!(limited.unwrap().success());
}
