//! A real Prometheus, which scrapes the service, itself and Alertmanager, and evaluates rules.

use std::{fs, net::SocketAddr, path::Path, time::Duration};

use super::{
    folder::Folder,
    process::{Limits, Process, Program},
    scaled::Scale,
    tool,
};
use serde_json::{Value, json};

/// A Prometheus that can be stopped, and started again with the data it had.
pub(crate) struct Prometheus {
    /// Where it listens, also after a restart.
    pub(crate) address: SocketAddr,
    process: Option<Process>,
    alertmanager: Option<SocketAddr>,
    scale: Scale,
    http: reqwest::Client,
    folder: Folder,
}

/// Where a Prometheus is asked, by whoever holds this.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    address: SocketAddr,
    http: reqwest::Client,
}

impl Prometheus {
    /// Starts it with no service to scrape and no rules, and an Alertmanager to tell, if there is one.
    pub(crate) async fn start(
        scale: Scale,
        alertmanager: Option<SocketAddr>,
        port: u16,
        http: reqwest::Client,
    ) -> Self {
        let folder = Folder::new();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut this = Self { address, process: None, alertmanager, scale, http, folder };
        fs::create_dir(this.folder.path().join("rules")).unwrap();
        this.target(None);
        this.start_again().await;
        this
    }

    /// Starts it where it was, with the data it had.
    pub(crate) async fn start_again(&mut self) {
        self.process = None;
        let place = |name: &str| self.folder.path().join(name).display().to_string();
        let told: Vec<_> = self.alertmanager.iter().map(SocketAddr::to_string).collect();
        let interval = format!("{}ms", self.scale.scrape.as_millis());
        let settings = json!({
            "global": {
                "scrape_interval": interval,
                "scrape_timeout": interval,
                "evaluation_interval": interval,
            },
            "rule_files": [place("rules/*.yml")],
            "alerting": { "alertmanagers": [{ "static_configs": [{ "targets": told }] }] },
            "scrape_configs": [
                { "job_name": "glasshouse",
                  "file_sd_configs": [{ "files": [place("targets.json")], "refresh_interval": "1s" }] },
                // Where it listens itself is known only when it does.
                { "job_name": "prometheus",
                  "file_sd_configs": [{ "files": [place("itself.json")], "refresh_interval": "1s" }] },
                { "job_name": "alertmanager", "static_configs": [{ "targets": told }] },
            ],
        });
        let file = self.folder.path().join("prometheus.yml");
        fs::write(&file, settings.to_string()).unwrap();
        // An alert that fires is told anew this often, and held for four times as long when nothing is heard of it.
        let resend = self.scale.duration(Duration::from_mins(1)).max(Duration::from_millis(500));
        let program = Program {
            file: &tool::program("prometheus"),
            arguments: vec![
                format!("--web.listen-address={}", self.address),
                "--web.enable-lifecycle".to_owned(),
                "--web.enable-remote-write-receiver".to_owned(),
                "--enable-feature=exemplar-storage".to_owned(),
                format!("--rules.alert.resend-delay={}ms", resend.as_millis()),
                format!("--config.file={}", place("prometheus.yml")),
                format!("--storage.tsdb.path={}", place("data")),
            ],
            environment: &[],
            folder: self.folder.path(),
            limits: Limits::default(),
        };
        let (process, address) = program.start(listening).await;
        (self.process, self.address) = (Some(process), address);
        self.write_targets("itself", Some(address));
    }

    /// Evaluates the rules of that folder from now on.
    pub(crate) async fn evaluate(&self, rules: &Path) {
        for file in fs::read_dir(rules).unwrap() {
            let file = file.unwrap().path();
            if file.extension().is_some_and(|extension| extension == "yml") {
                self.write_rules(file.file_name().unwrap().to_str().unwrap(), &fs::read_to_string(&file).unwrap());
            }
        }
        self.reload().await;
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// Scrapes that service from now on, or none: it notices when the file changes.
    pub(crate) fn target(&self, internal: Option<SocketAddr>) {
        self.write_targets("targets", internal);
    }

    fn write_targets(&self, name: &str, address: Option<SocketAddr>) {
        let targets = address.iter().map(SocketAddr::to_string).collect::<Vec<_>>();
        let targets = json!([{ "targets": targets, "labels": { "environment": "test" } }]);
        // Renamed into place, so that no half of it is read.
        let file = self.folder.path().join(name).with_extension("json");
        fs::write(file.with_extension("new"), targets.to_string()).unwrap();
        fs::rename(file.with_extension("new"), file).unwrap();
    }

    /// Puts rules, as a file of that name would say them, on this stack's scale; they count from the next
    /// [`Prometheus::reload`] on.
    pub(crate) fn write_rules(&self, name: &str, rules: &str) {
        fs::write(self.folder.path().join("rules").join(name), self.scale.rules(rules)).unwrap();
    }

    /// Takes rules away again.
    pub(crate) fn remove_rules(&self, name: &str) {
        fs::remove_file(self.folder.path().join("rules").join(name)).unwrap();
    }

    /// Reads settings and rules anew.
    pub(crate) async fn reload(&self) {
        let answer = self.http.post(format!("http://{}/-/reload", self.address)).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }

    /// Where it is asked.
    pub(crate) fn api(&self) -> Api {
        Api { address: self.address, http: self.http.clone() }
    }

    /// See [`Api::ask`].
    pub(crate) async fn ask(&self, path: &str, query: &[(&str, &str)]) -> Option<Value> {
        self.api().ask(path, query).await
    }

    /// See [`Api::found`].
    pub(crate) async fn found(&self, query: &str) -> Option<Vec<Value>> {
        self.api().found(query).await
    }
}

impl Api {
    /// What it answers at `/api/v1/<path>`: the field `data`, unless it cannot be asked.
    pub(crate) async fn ask(&self, path: &str, query: &[(&str, &str)]) -> Option<Value> {
        let mut url = reqwest::Url::parse(&format!("http://{}/api/v1/{path}", self.address)).unwrap();
        url.query_pairs_mut().extend_pairs(query);
        let mut answer = self.http.get(url).send().await.ok()?.json::<Value>().await.ok()?;
        (answer["status"] == "success").then(|| answer["data"].take())
    }

    /// The series that an instant query finds, if it finds any.
    pub(crate) async fn found(&self, query: &str) -> Option<Vec<Value>> {
        let data = self.ask("query", &[("query", query)]).await?;
        data["result"].as_array().filter(|found| !found.is_empty()).cloned()
    }

    /// The alerts that are pending or firing.
    pub(crate) async fn alerts(&self) -> Option<Vec<Value>> {
        self.ask("alerts", &[]).await?["alerts"].as_array().cloned()
    }
}

/// Where it listens, out of the line that says so; Alertmanager has the same.
pub(super) fn listening(line: &str) -> Option<SocketAddr> {
    line.split_once("msg=\"Listening on\" address=")?.1.trim().parse().ok()
}
