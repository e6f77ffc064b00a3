//! A real Alertmanager with the shipped routes; only where it delivers, and how long it waits, is other.

use std::{fs, net::SocketAddr, path::Path};

use super::{
    folder::Folder,
    process::{Limits, Process, Program},
    prometheus::listening,
    scaled::Scale,
    tool,
};
use serde_json::Value;

/// An Alertmanager without a cluster.
pub(crate) struct Alertmanager {
    pub(crate) address: SocketAddr,
    _process: Process,
    _folder: Folder,
}

impl Alertmanager {
    /// Starts it with those routes, on that scale, delivering to that address.
    pub(crate) async fn start(routes: &Path, scale: &Scale, webhook: SocketAddr, port: u16) -> Self {
        let folder = Folder::new();
        let file = folder.path().join("alertmanager.yml");
        let routes = serde_saphyr::from_str(&fs::read_to_string(routes).unwrap()).unwrap();
        fs::write(&file, delivering(scale.routes(routes), webhook).to_string()).unwrap();
        let program = Program {
            file: &tool::program("prometheus-alertmanager"),
            arguments: vec![
                format!("--web.listen-address=127.0.0.1:{port}"),
                "--cluster.listen-address=".to_owned(),
                format!("--config.file={}", file.display()),
                format!("--storage.path={}", folder.path().join("data").display()),
            ],
            environment: &[],
            folder: folder.path(),
            limits: Limits::default(),
        };
        let (process, address) = program.start(listening).await;
        Self { address, _process: process, _folder: folder }
    }
}

/// The same routes, with every URL of a webhook leading to that address; its path stays.
fn delivering(mut routes: Value, webhook: SocketAddr) -> Value {
    for receiver in routes["receivers"].as_array_mut().into_iter().flatten() {
        for hook in receiver.get_mut("webhook_configs").and_then(Value::as_array_mut).into_iter().flatten() {
            let mut url: url::Url = hook["url"].as_str().expect("a webhook has a URL").parse().unwrap();
            url.set_ip_host(webhook.ip()).unwrap();
            url.set_port(Some(webhook.port())).unwrap();
            hook["url"] = url.as_str().into();
        }
    }
    routes
}

#[test]
fn only_where_notifications_go_is_replaced() {
    let routes = serde_json::json!({"receivers": [
        {"name": "deadman", "webhook_configs": [{"url": "http://somewhere/deadman", "send_resolved": false}]},
        {"name": "nobody"},
    ]});
    let expected = serde_json::json!({"receivers": [
        {"name": "deadman", "webhook_configs": [{"url": "http://127.0.0.1:1/deadman", "send_resolved": false}]},
        {"name": "nobody"},
    ]});
    assert_eq!(delivering(routes, "127.0.0.1:1".parse().unwrap()), expected);
}
