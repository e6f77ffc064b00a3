//! Task dumps: what each task waits for.

use crate::support::{Engine, Service};

#[tokio::test]
async fn tryout() {
    let service = Service::on(Engine::Sqlite).await;
    let client = service.client();
    drop(client);
    let h2 = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let url = format!("http://{}/health/live", service.public);
    println!("{:?}", h2.get(&url).send().await.unwrap().status());
    for (q, f) in [
        ("debug=1&full=true", "full"),
        ("debug=1", "1"),
        ("debug=2", "2"),
        ("format=text", "text"),
        ("format=svg", "svg"),
    ] {
        let t = std::time::Instant::now();
        let reply = service.internal(&format!("/debug/pprof/goroutine?{q}")).await.text().await.unwrap();
        println!("{q} {:?}", t.elapsed());
        std::fs::write(format!("/tmp/tasks_{f}.txt"), &reply).unwrap();
    }
    let reply = service.internal("/debug/pprof/goroutine").await.bytes().await.unwrap();
    std::fs::write("/tmp/tasks.pb.gz", &reply).unwrap();
}
