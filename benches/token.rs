//! The cost of recognising a caller before the store is asked: signing an access token, verifying one, and finding one in
//! the cache.

use std::{hint::black_box, time::Duration};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use glasshouse::{
    domain::{
        Clock,
        auth::{Keys, SessionId, SigningAlgorithm, TokenTimes, Tokens},
        users::UserId,
    },
    telemetry::Metrics,
};
use secrecy::ExposeSecret;
use uuid::Uuid;

fn token(criterion: &mut Criterion) {
    let pem = Keys::generate_pem(SigningAlgorithm::EdDsa).expect("there is randomness");
    let keys = Keys::parse(&pem, &[]).expect("a key that was just made");
    let times = TokenTimes { lifetime: Duration::from_mins(15), clock_skew: Duration::from_secs(30) };
    let metrics = Metrics::new(100);
    let tokens = Tokens::new(keys, "glasshouse".to_owned(), "glasshouse".to_owned(), times, Clock::system(), &metrics);
    let (user, session) = (UserId::generate(), SessionId(Uuid::now_v7()));
    let issued = tokens.issue(user, session).expect("it signs");
    criterion.bench_function("token/issue", |bencher| bencher.iter(|| tokens.issue(black_box(user), session)));
    criterion.bench_function("token/check, cached", |bencher| {
        bencher.iter(|| tokens.check(black_box(issued.expose_secret())));
    });
    criterion.bench_function("token/check, never seen", |bencher| {
        let issue = || tokens.issue(user, session).expect("it signs");
        bencher.iter_batched(issue, |issued| tokens.check(issued.expose_secret()), BatchSize::SmallInput);
    });
}

criterion_group!(benches, token);
criterion_main!(benches);
