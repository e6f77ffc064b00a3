//! How the service stands a fault, from quiet before to quiet after, and what the model says then.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{fault::Fault, felt::Felt, scene::Scene};
use crate::{clients::Crowd, moments, random::Random, read_back};

pub(super) async fn stands(name: &str, fault: Fault) {
    let seed = Random::seed();
    println!("{name}: seed {seed}");
    let mut scene = Scene::set(fault.kind).await;
    let crowd = Crowd::start(seed, scene.service.public()).await;
    crowd.answered(30, |answer| answer.status.is_some_and(|status| status < 300)).await;

    let struck = Instant::now();
    scene.strike(fault.kind).await;
    let (broken, mut probes) = (Instant::now(), Vec::new());
    while broken.elapsed() < fault.lasts {
        let (live, ready) = tokio::join!(scene.service.probe("/health/live"), scene.service.probe("/health/ready"));
        probes.push((live, ready));
        moments::breath().await;
    }
    scene.mend(fault.kind).await;
    let mended = Instant::now();
    let is_ready = async || (scene.service.probe("/health/ready").await == Some(200)).then(Instant::now);
    let ready = moments::within(Duration::from_mins(1), "the service is ready again", is_ready).await;
    let answers = Arc::clone(&crowd.answers);
    crowd.calm(mended).await;

    let mut felt = Felt::new(name, &answers.lock().unwrap(), struck, mended, ready);
    felt.probes = probes;
    println!("{felt}");
    let book = crowd.stop().await;
    scene.service.kill();
    read_back::note_all(scene.database(), &book).await;
    let faults = [felt.faults(&fault), book.faults()].concat();
    assert!(faults.is_empty(), "{name}:\n{}\n{felt}\n{}", faults.join("\n"), scene.complaints());
}
