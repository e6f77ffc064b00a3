//! Several instances on one database behind the shipped proxy: each is as good as any other, and restarting one after the
//! other costs nobody a request.

use std::{fs, time::Duration};

use glasshouse::domain::auth::{Keys, SigningAlgorithm};
use reqwest::StatusCode;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    stack::{Haproxy, Instance, K6, Limits, Postgres, STARTING, within},
    support::PASSWORD,
};

/// What `deploy/haproxy.cfg` wants of the instances.
const NOTICE: Duration = Duration::from_secs(2);

/// How long the load lasts, and how often it has somebody begin: in production's proportions, and several times as long
/// as it takes to restart every instance once.
const LOAD: [(&str, &str); 2] = [("DURATION", "20s"), ("RATE", "4")];

/// Instances that share a database and a key.
struct Fleet {
    instances: Vec<Instance>,
    http: reqwest::Client,
    _folder: TempDir,
}

impl Fleet {
    /// Starts three at the same moment, on a database in which there is nothing.
    async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let key = folder.path().join("key.pem");
        fs::write(&key, Keys::generate_pem(SigningAlgorithm::EdDsa).unwrap().expose_secret()).unwrap();
        let database = Postgres::get().database().await;
        let settings = [
            ("DATABASE_URL", database),
            ("GLASSHOUSE_AUTH__SIGNING_KEY_FILE", key.display().to_string()),
            ("GLASSHOUSE_HTTP__TRUSTED_PROXIES", "127.0.0.1".to_owned()),
            ("GLASSHOUSE_SHUTDOWN__NOTICE", format!("{}s", NOTICE.as_secs())),
        ]
        .map(|(name, value)| (name.to_owned(), value));
        let start = || Instance::start(&settings, Limits::default(), (0, 0));
        let (one, two, three) = tokio::join!(start(), start(), start());
        let fleet = Self { instances: vec![one, two, three], http: reqwest::Client::new(), _folder: folder };
        for number in 0..fleet.instances.len() {
            fleet.ready(number).await;
        }
        fleet
    }

    /// Waits until that instance says that it is ready.
    async fn ready(&self, number: usize) {
        let instance = &self.instances[number];
        let url = format!("http://{}/health/ready", instance.internal);
        let answer = async || self.http.get(&url).send().await.ok()?.status().is_success().then_some(());
        let ready = within(STARTING, answer).await;
        assert!(ready.is_some(), "instance {number} does not become ready:\n{}", instance.process().last_lines());
    }

    /// Restarts that instance as the runbook says.
    async fn restart(&mut self, number: usize, proxy: &Haproxy) {
        self.instances[number].process().signal("TERM");
        let ended = async || self.instances[number].process().has_ended().then_some(());
        let ended = within(STARTING, ended).await;
        let last = self.instances[number].process().last_lines();
        assert!(ended.is_some(), "instance {number} does not end:\n{last}");
        let stopped = last.lines().find(|line| line.contains("\"message\":\"stopped\""));
        let stopped: Option<Value> = stopped.map(|line| serde_json::from_str(line).unwrap());
        assert_eq!(stopped.map(|line| line["complete"].clone()), Some(json!(true)), "something was cut short:\n{last}");
        proxy.sends_to(number, false).await;
        self.instances[number].start_again().await;
        self.ready(number).await;
        proxy.sends_to(number, true).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarting_one_after_the_other_costs_no_request() {
    let mut fleet = Fleet::start().await;
    let addresses: Vec<_> = fleet.instances.iter().map(|instance| instance.public).collect();
    let proxy = Haproxy::start(&addresses).await;
    let load = K6::start(proxy.public, "ci", &LOAD).await;
    let mut restarts = 0;
    let summary = loop {
        fleet.restart(restarts % addresses.len(), &proxy).await;
        restarts += 1;
        if let Some(summary) = load.summary() {
            break summary;
        }
    };
    assert!(restarts > addresses.len(), "the load was over before every instance was restarted under it: {restarts}");

    let value = |metric: &str, value: &str| summary["metrics"][metric]["values"][value].as_f64().unwrap();
    let told = || format!("{}\n{}", load.last_lines(), proxy.last_lines());
    // Of each metric that k6 calls a rate, `passes` are those that it holds for.
    for (metric, bad) in [("http_req_failed", "passes"), ("checks", "fails")] {
        assert!(value(metric, bad) < 1.0, "requests that failed, or answers that were not due:\n{}", told());
    }
    assert!(value("http_reqs", "count") > 100.0 && value("iterations", "count") > 10.0, "hardly any load: {summary}");
    // Nor did the proxy have anything to hide.
    for hidden in ["retry_warnings", "redispatch_warnings", "connection_errors", "response_errors"] {
        let count = proxy.metric(&format!("haproxy_backend_{hidden}_total{{proxy=\"glasshouse\"}}")).await;
        assert_eq!(count, Some(0.0), "{hidden}:\n{}", told());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_instance_grants_another_accepts_and_a_third_ends() {
    let fleet = Fleet::start().await;
    let [one, two, three] = [0, 1, 2].map(|number| {
        let address = fleet.instances[number].public;
        move |path: &str| format!("http://{address}/api/v1/{path}")
    });
    let post = async |url: String, body: Value| fleet.http.post(url).json(&body).send().await.unwrap();
    let account = json!({"email": "ann@example.com", "password": PASSWORD, "name": "Ann"});
    assert_eq!(post(one("users"), account).await.status(), StatusCode::CREATED);
    let granted = post(two("auth/sign-in"), json!({"email": "ann@example.com", "password": PASSWORD})).await;
    let granted: Value = granted.json().await.unwrap();
    let token = granted["access_token"].as_str().unwrap();
    let me = async |url: String| fleet.http.get(url).bearer_auth(token).send().await.unwrap().status();
    assert_eq!(me(three("users/me")).await, StatusCode::OK);

    let refreshed = post(one("auth/refresh"), json!({"refresh_token": granted["refresh_token"]})).await;
    assert_eq!(refreshed.status(), StatusCode::OK);
    let refreshed: Value = refreshed.json().await.unwrap();
    let sign_out = fleet.http.post(three("auth/sign-out")).bearer_auth(token).send().await.unwrap();
    assert_eq!(sign_out.status(), StatusCode::NO_CONTENT);
    let again = post(two("auth/refresh"), json!({"refresh_token": refreshed["refresh_token"]})).await;
    assert_eq!(again.status(), StatusCode::UNAUTHORIZED, "the session is over everywhere");
}

#[test]
fn the_proxy_has_noticed_long_before_an_instance_stops_to_accept() {
    let shipped = Haproxy::shipped();
    let line = shipped.lines().find_map(|line| line.trim().strip_prefix("default-server ")).unwrap();
    let words: Vec<&str> = line.split(' ').collect();
    let after = |name: &str| words.windows(2).find(|pair| pair[0] == name).unwrap_or_else(|| panic!("no {name}"))[1];
    let interval = Duration::from_millis(after("inter").trim_end_matches("ms").parse().unwrap());
    let noticed = interval * after("fall").parse::<u32>().unwrap();
    assert!(noticed * 2 <= NOTICE, "{noticed:?} of {NOTICE:?}");
    assert!(shipped.contains(&format!("GLASSHOUSE_SHUTDOWN__NOTICE={}s", NOTICE.as_secs())));
}
