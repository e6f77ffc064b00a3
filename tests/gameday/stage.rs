//! What a game day is played on: a stack, its load, and whoever else is at it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, interval_at},
};

use crate::{
    cause::Cause,
    collector::Collector,
    fault::Fault,
    proxy::Proxy,
    stack::{K6, Options, Postgres, STARTING, Scale, Stack, within},
};

/// How often Prometheus scrapes in production, and here at most: an answer may take as long, on a machine that is busy.
const SCRAPE: Duration = Duration::from_secs(15);
const SHORTEST_SCRAPE: Duration = Duration::from_secs(1);

/// The password of whoever joins here.
const PASSWORD: &str = "as good as any other";

/// A stack with load on it.
pub(crate) struct Stage {
    pub(crate) load: Option<K6>,
    pub(crate) stack: Stack,
    pub(crate) scale: Scale,
    journeys: f64,
    tasks: JoinSet<()>,
    wire: Option<(Proxy, Collector)>,
}

impl Stage {
    /// Starts it in the surroundings that the fault wants.
    pub(crate) async fn start(fault: &Fault, factor: f64) -> Self {
        let factor = (factor * fault.pace).max(1.0);
        let scale = Scale { factor, scrape: SCRAPE.div_f64(factor).max(SHORTEST_SCRAPE) };
        let mut settings = [fault.settings, &[("GLASSHOUSE_FAULTS__ALLOWED", "true")]].concat();
        let mut endpoint = String::new();
        let mut wire = None;
        if fault.causes.contains(&Cause::GoneCollector) {
            let collector = Collector::start().await;
            let direct = collector.endpoint();
            let proxy = Proxy::start(direct.trim_start_matches("http://").to_owned()).await;
            endpoint = proxy.url(&direct);
            wire = Some((proxy, collector));
        }
        if wire.is_some() {
            settings
                .extend([("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
        }
        let options =
            Options { limits: fault.limits, own_database: fault.own_database, ..Options::alerting(&settings, scale) };
        let stack = Stack::start(options).await;
        let mut stage = Self { load: None, stack, scale, journeys: fault.journeys, tasks: JoinSet::new(), wire };
        stage.load().await;
        stage
    }

    /// Sets k6 at it, until it is told otherwise.
    pub(crate) async fn load(&mut self) {
        let rate = self.journeys.to_string();
        let variables = [("RATE", rate.as_str()), ("DURATION", "24h"), ("TRACE_RATIO", "0.05")];
        self.load = Some(K6::start(self.stack.glasshouse.public, "ci", &variables).await);
    }

    /// Where faults are switched, for as long as they may last.
    pub(crate) fn switchboard(&self) -> String {
        format!("http://{}/debug/faults?for=1h", self.stack.glasshouse.internal)
    }

    /// Switches exactly those faults on.
    pub(crate) async fn inject(&self, faults: Value) {
        let answer = self.stack.http.put(self.switchboard()).json(&faults).send().await.unwrap();
        let status = answer.status();
        assert!(status.is_success(), "{faults}: {status}: {}", answer.text().await.unwrap());
    }

    /// Starts the service again with that setting.
    pub(crate) async fn restart_with(&mut self, name: &str, value: &str) {
        self.stack.glasshouse.set(name, value);
        self.stack.glasshouse.start_again().await;
    }

    /// The database's server.
    pub(crate) fn database(&mut self) -> &mut Postgres {
        self.stack.postgres.as_mut().expect("a fault that stops the server has one of its own")
    }

    /// The wire to the collector.
    pub(crate) fn wire(&self) -> &Proxy {
        &self.wire.as_ref().expect("a fault that cuts the wire has one").0
    }

    /// An address of the public port.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.stack.glasshouse.public)
    }

    /// The address of an account that has just been made.
    pub(crate) async fn joined(&self) -> &'static str {
        let email = "ann@example.com";
        let body = json!({"email": email, "password": PASSWORD, "name": "Ann"});
        let answer = self.stack.http.post(self.url("/api/v1/users")).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 201);
        email
    }

    /// An access token of such an account.
    pub(crate) async fn token(&self) -> String {
        let body = json!({"email": self.joined().await, "password": PASSWORD});
        let answer = self.stack.http.post(self.url("/api/v1/auth/sign-in")).json(&body).send().await.unwrap();
        answer.json::<Value>().await.unwrap()["access_token"].as_str().unwrap().to_owned()
    }

    /// Sends a request so many times a second, until [`Stage::end_tasks`].
    pub(crate) fn repeat(&mut self, per_second: f64, request: reqwest::RequestBuilder) {
        self.repeat_from(Duration::ZERO, per_second, request);
    }

    /// The same, beginning so much later.
    pub(crate) fn repeat_from(&mut self, delay: Duration, per_second: f64, request: reqwest::RequestBuilder) {
        self.spawn(async move {
            let mut ticks = interval_at(Instant::now() + delay, Duration::from_secs_f64(1.0 / per_second));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                request.try_clone().unwrap().send().await.ok();
            }
        });
    }

    /// Sends one request and the other in turns, with a pause before each, until [`Stage::end_tasks`].
    pub(crate) fn alternate(&mut self, pause: Duration, one: reqwest::RequestBuilder, other: reqwest::RequestBuilder) {
        self.spawn(async move {
            let mut ticks = interval(pause);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                for request in [&one, &other] {
                    ticks.tick().await;
                    request.try_clone().unwrap().send().await.ok();
                }
            }
        });
    }

    /// Lets somebody be at it, until [`Stage::end_tasks`].
    pub(crate) fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Sends them away.
    pub(crate) fn end_tasks(&mut self) {
        self.tasks.abort_all();
    }

    /// Waits until requests are counted, the Watchdog is told, and all has been well for so many of production's minutes.
    pub(crate) async fn settled(&self, history_minutes: u32, limit: Duration) -> Result<(), String> {
        let history = self.scale.duration(Duration::from_mins(history_minutes.into())).as_millis().max(1);
        let busy =
            format!("job:http_server_requests:rate5m > 0 and on (job) up{{job=\"glasshouse\"}} offset {history}ms");
        let settled = async || {
            self.stack.prometheus.found(&busy).await?;
            self.stack.webhook.deliveries().iter().any(|told| told.name() == "Watchdog").then_some(())
        };
        within(STARTING + limit, settled).await.ok_or("nobody is served, or the Watchdog is not told")?;
        let well = async || {
            let alerts = self.stack.prometheus.api().alerts().await?;
            alerts.iter().all(|alert| alert["labels"]["alertname"] == "Watchdog").then_some(())
        };
        within(STARTING + limit, well).await.ok_or_else(|| "alerts before anything was broken".to_owned())
    }
}
