//! What a password costs: hashing it, checking it, and checking one for nobody, which must cost the same.

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use glasshouse::{
    domain::auth::{HashingMetrics, Password, Passwords},
    telemetry::Metrics,
};
use secrecy::SecretString;
use tokio::runtime::Runtime;

fn password(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let metrics = HashingMetrics::new(&Metrics::new(100));
    let passwords = Passwords::start(1, Duration::from_secs(1), metrics).expect("a thread");
    let text = "a fine password";
    let password = Password::parse(text).expect("long enough");
    let shown = SecretString::from(text);
    let hash = runtime.block_on(passwords.hash(&password)).expect("it hashes");
    let mut group = criterion.benchmark_group("password");
    group.sample_size(20);
    group.bench_function("hash", |bencher| bencher.to_async(&runtime).iter(|| passwords.hash(&password)));
    group.bench_function("verify", |bencher| bencher.to_async(&runtime).iter(|| passwords.verify(&shown, Some(&hash))));
    group.bench_function("verify for nobody", |bencher| {
        bencher.to_async(&runtime).iter(|| passwords.verify(&shown, None));
    });
    group.finish();
}

criterion_group!(benches, password);
criterion_main!(benches);
