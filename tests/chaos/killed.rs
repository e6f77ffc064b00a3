//! The service is killed under load, at moments that nothing leads up to, and started again on what it left.

use std::{sync::Arc, time::Duration};

use tempfile::TempDir;

use crate::{
    clients::{Answer, Crowd},
    model::Book,
    moments,
    random::Random,
    read_back,
    service::Service,
    stack::{Limits, Postgres},
};

/// How often it is killed when nobody says.
const KILLS: usize = 7;

#[expect(clippy::disallowed_methods, reason = "how often is a setting of this test and of nothing else")]
fn kills() -> usize {
    std::env::var("CHAOS_KILLS").map_or(KILLS, |text| text.parse().expect("CHAOS_KILLS is a number"))
}

async fn is_killed_again_and_again(store: &str, database: &str) {
    let (seed, kills) = (Random::seed(), kills());
    println!("{store}: seed {seed}");
    let mut chance = Random::seeded(seed);
    let mut service = Service::start(database, &[], Limits::default()).await;
    let crowd = Crowd::start(chance.below(u64::MAX), service.public()).await;
    for _ in 0..kills {
        let more = usize::try_from(chance.below(30)).unwrap() + 5;
        crowd.answered(more, |answer| answer.status.is_some_and(|status| status < 300)).await;
        moments::any(&mut chance, Duration::from_millis(100)).await;
        service.kill();
        crowd.moves(None);
        service.start_again().await;
        crowd.moves(Some(service.public()));
    }
    crowd.answered(20, |answer| answer.status.is_some_and(|status| status < 300)).await;
    let answers = Arc::clone(&crowd.answers);
    let book = crowd.stop().await;
    service.kill();
    read_back::note_all(database, &book).await;
    judge(store, &book);

    let broken = answers.lock().unwrap().iter().filter(|answer| answer.status.is_none()).count();
    let (acknowledged, unknown) = book.writes();
    println!(
        "{store}: killed {kills} times, {acknowledged} writes acknowledged, {unknown} unknown, {broken} answers broken"
    );
    assert!(acknowledged > 5 * kills && broken > 0, "there was load when it was killed");
    let is_failure = |it: &&Answer| it.status.is_some_and(|status| status >= 500) && !it.code.ends_with("overloaded");
    let failures = answers.lock().unwrap().iter().filter(is_failure).count();
    assert_eq!(failures, 0, "a service that is killed gives no answer, and one that runs gives good ones");
}

fn judge(store: &str, book: &Book) {
    let faults = book.faults();
    assert!(faults.is_empty(), "{store}:\n{}", faults.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_write_is_lost_when_it_is_killed_on_sqlite() {
    let folder = TempDir::new().unwrap();
    let database = format!("sqlite://{}?mode=rwc", folder.path().join("users.db").display());
    is_killed_again_and_again("SQLite", &database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_write_is_lost_when_it_is_killed_on_postgresql() {
    is_killed_again_and_again("PostgreSQL", &Postgres::get().database().await).await;
}
