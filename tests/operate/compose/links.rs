//! What alerts link to and whom they tell: Debian's nginx with the configuration that is shipped.

use std::{fs, net::SocketAddr, os::unix::fs::symlink, process::Command};

use tempfile::TempDir;

use super::{
    files, read, resolved, root,
    running::{Running, free},
    yaml,
};
use crate::tool;

const FILE: &str = "deploy/compose/nginx.conf";

/// nginx with our configuration, on another port and with another folder for what it writes.
fn nginx(folder: &TempDir, address: SocketAddr) -> Command {
    let (path, text) = (folder.path(), read(FILE));
    for (shipped, count) in [("listen 8081;", 1), (" /tmp/", 6)] {
        assert_eq!(text.matches(shipped).count(), count, "{FILE}: {shipped}");
    }
    let text = text.replace("listen 8081;", &format!("listen {address};"));
    fs::write(path.join("nginx.conf"), text.replace(" /tmp/", &format!(" {}/", path.display()))).unwrap();
    fs::create_dir(path.join("html")).unwrap();
    symlink(root().join("runbook"), path.join("html/runbook")).unwrap();
    let mut command = Command::new(tool::program("nginx"));
    command.args(["-p".as_ref(), path, "-c".as_ref(), "nginx.conf".as_ref(), "-e".as_ref(), "/dev/stderr".as_ref()]);
    command
}

/// It, running in the foreground and as one process.
async fn serving(folder: &TempDir) -> (Running, SocketAddr) {
    let [address] = free();
    let mut command = nginx(folder, address);
    // A master that is killed leaves its workers.
    command.args(["-g", "daemon off; master_process off;"]);
    let running = Running::start(&command, &[]);
    running.answers(&format!("http://{address}/health")).await;
    (running, address)
}

#[test]
fn nginx_accepts_its_configuration() {
    let (folder, [address]) = (TempDir::new().unwrap(), free());
    let output = nginx(&folder, address).arg("-t").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("[warn]"), "{said}");
}

#[test]
fn the_image_finds_the_pages_where_the_configuration_looks() {
    let compose = resolved();
    let mounts = super::mounts(&compose["services"]["links"]);
    // `root html` is relative to the prefix, which in the image is /etc/nginx.
    assert!(mounts.contains(&("runbook".to_owned(), "/etc/nginx/html/runbook".to_owned())), "{mounts:?}");
    assert!(mounts.contains(&(FILE.to_owned(), "/etc/nginx/nginx.conf".to_owned())), "{mounts:?}");
    assert_eq!(compose["services"]["links"]["tmpfs"][0], "/tmp", "the only place that it writes to");
}

#[tokio::test]
async fn every_page_is_text_that_a_browser_shows() {
    let folder = TempDir::new().unwrap();
    let (_nginx, address) = serving(&folder).await;
    for page in files("runbook", "md") {
        let answer = reqwest::get(format!("http://{address}/{page}")).await.unwrap();
        assert_eq!(answer.status(), 200, "{page}");
        assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8", "{page}");
        assert_eq!(answer.text().await.unwrap(), read(&page));
    }
    let index = reqwest::get(format!("http://{address}/")).await.unwrap();
    assert_eq!(index.text().await.unwrap(), read("runbook/README.md"));
    for path in ["runbook/nothing.md", "nginx.conf", "runbook/../nginx.conf", "runbook/%2e%2e/nginx.conf"] {
        let answer = reqwest::get(format!("http://{address}/{path}")).await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
    }
}

/// The places, below the port of the links, to which some text of these files refers.
fn places(files: &[String]) -> Vec<String> {
    let mut places = Vec::new();
    for text in files.iter().map(|file| read(file)) {
        for rest in text.split("http://localhost:8081/").skip(1) {
            let end = rest.find([' ', '"', '\'', '\n', ')', '}', '`']).unwrap_or(rest.len());
            places.push(rest[..end].to_owned());
        }
    }
    places
}

#[tokio::test]
async fn every_page_that_an_alert_links_to_is_served() {
    let folder = TempDir::new().unwrap();
    let (_nginx, address) = serving(&folder).await;
    let mut links = places(&files("alerts/rules", "yml"));
    links.sort();
    links.dedup();
    assert!(links.len() > 20, "the rules link to {} pages", links.len());
    for link in links {
        let answer = reqwest::get(format!("http://{address}/{link}")).await.unwrap();
        assert_eq!(answer.status(), 200, "/{link}");
    }
}

#[tokio::test]
async fn every_receiver_of_alertmanager_is_answered() {
    let folder = TempDir::new().unwrap();
    let (nginx, address) = serving(&folder).await;
    let told = places(&["alerts/alertmanager.yml".to_owned()]);
    let receivers = yaml("alerts/alertmanager.yml")["receivers"].as_array().unwrap().len();
    assert_eq!(told.len(), receivers, "{told:?}");
    let client = reqwest::Client::new();
    for place in told {
        let url = format!("http://{address}/{place}");
        let answer = client.post(&url).body(r#"{"status": "firing"}"#).send().await.unwrap();
        assert_eq!(answer.status(), 204, "/{place}");
        assert_eq!(client.get(&url).send().await.unwrap().status(), 405, "/{place} is for telling");
        let line = format!("\"POST /{place} HTTP/1.1\" 204");
        crate::support::eventually(&line, async || nginx.written().contains(&line).then_some(())).await;
    }
    // Alertmanager says localhost, and means this: it has the network of the links.
    let compose = resolved();
    assert_eq!(compose["services"]["alertmanager"]["network_mode"], "service:links");
}
