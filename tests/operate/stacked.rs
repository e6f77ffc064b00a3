//! The local stack itself: what is stopped is noticed, told to somebody, and over when it is started again.

use std::{fs, time::Duration};

use serde_json::json;
use tempfile::TempDir;

use crate::stack::{Options, STARTING, Scale, Stack, within};

const RULES: &str = "
groups:
  - name: database
    interval: 15s
    rules:
      - alert: DatabaseDown
        expr: min by (job) (glasshouse_ready{check=\"store\"}) == 0
        for: 1m
        labels: { severity: page }
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_database_is_delivered_and_resolved() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("database.yml"), RULES).unwrap();
    let routes = folder.path().join("routes.json");
    let hook = json!([{"url": "http://localhost/deadman"}]);
    let settings = json!({
        "route": {"receiver": "nobody", "group_wait": "30s", "group_interval": "1m", "routes": [
            {"receiver": "pager", "matchers": ["severity = \"page\""]}]},
        "receivers": [{"name": "nobody"}, {"name": "pager", "webhook_configs": hook}],
    });
    fs::write(&routes, settings.to_string()).unwrap();
    let options = Options {
        scale: Scale { factor: 60.0, scrape: Duration::from_millis(250) },
        rules: Some(folder.path().to_owned()),
        routes: Some(routes),
        ..Options::scraped(&[])
    };
    let mut stack = Stack::start(options).await;

    stack.postgres.as_mut().unwrap().stop();
    let told = async |stack: &Stack, resolved| {
        let found = async || stack.webhook.deliveries().into_iter().find(|told| told.is_resolved() == resolved);
        within(STARTING, found).await.unwrap_or_else(|| panic!("resolved: {resolved}"))
    };
    let delivery = told(&stack, false).await;
    assert_eq!((delivery.receiver.as_str(), delivery.name()), ("pager", "DatabaseDown"));
    stack.postgres.as_mut().unwrap().start_again();
    told(&stack, true).await;

    let (before, public) = (stack.glasshouse.process().id, stack.glasshouse.public);
    stack.glasshouse.kill();
    stack.glasshouse.start_again().await;
    stack.ready().await;
    assert_eq!(stack.glasshouse.public, public, "it is where it was");
    assert_ne!(stack.glasshouse.process().id, before);
}
