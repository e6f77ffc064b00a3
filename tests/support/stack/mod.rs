//! What stands around a service in production, on this machine and for one test: PostgreSQL, Prometheus, Alertmanager, a
//! receiver of notifications, and the executable itself. All of it ends with the value, also when this process is killed.

#![allow(clippy::duplicate_mod, reason = "complete in itself, whatever else a test binary takes from tests/support")]

mod alertmanager;
mod folder;
mod haproxy;
mod instance;
mod k6;
#[path = "../postgres.rs"]
mod postgres;
mod process;
mod prometheus;
mod scaled;
#[path = "../../clients/tool.rs"]
mod tool;
mod webhook;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

pub(crate) use alertmanager::Alertmanager;
pub(crate) use haproxy::Haproxy;
pub(crate) use instance::Instance;
pub(crate) use k6::K6;
pub(crate) use postgres::Postgres;
pub(crate) use process::{Limits, Process};
pub(crate) use prometheus::{Api, Prometheus};
pub(crate) use scaled::Scale;
pub(crate) use tool::program;
pub(crate) use webhook::{Delivery, Webhook};

/// How long a part may take to come up or to go, on a machine that is busy with other tests.
pub(crate) const STARTING: Duration = Duration::from_mins(1);

/// What differs from one stack to another.
pub(crate) struct Options {
    /// For the service, as its environment would say it.
    pub(crate) settings: Vec<(String, String)>,
    /// What the kernel lets the service have.
    pub(crate) limits: Limits,
    /// Whether the server of the database is the stack's own, which can be stopped, and not shared with others.
    pub(crate) own_database: bool,
    /// How often Prometheus scrapes, and how much faster than in production time goes for rules and notifications.
    pub(crate) scale: Scale,
    /// What Prometheus evaluates: the folder of `*.yml`, such as `alerts/rules`.
    pub(crate) rules: Option<PathBuf>,
    /// Who is told: the shipped `alerts/alertmanager.yml`.
    pub(crate) routes: Option<PathBuf>,
    /// Where each part listens; 0 lets the system choose.
    pub(crate) ports: Ports,
}

/// Where the parts listen, on 127.0.0.1.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ports {
    pub(crate) public: u16,
    pub(crate) internal: u16,
    pub(crate) prometheus: u16,
    pub(crate) alertmanager: u16,
    pub(crate) webhook: u16,
}

impl Options {
    /// A service with those settings, scraped every half second; no rules, nobody to tell.
    pub(crate) fn scraped(settings: &[(&str, &str)]) -> Self {
        Self {
            settings: settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            limits: Limits::default(),
            own_database: true,
            scale: Scale { factor: 1.0, scrape: Duration::from_millis(500) },
            rules: None,
            routes: None,
            ports: Ports::default(),
        }
    }

    /// The same with the shipped rules and routes, on that scale.
    pub(crate) fn alerting(settings: &[(&str, &str)], scale: Scale) -> Self {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("alerts");
        Self {
            scale,
            rules: Some(shipped.join("rules")),
            routes: Some(shipped.join("alertmanager.yml")),
            ..Self::scraped(settings)
        }
    }
}

/// A running stack. Its parts are ended in this order.
pub(crate) struct Stack {
    pub(crate) glasshouse: Instance,
    pub(crate) prometheus: Prometheus,
    pub(crate) alertmanager: Option<Alertmanager>,
    pub(crate) webhook: Webhook,
    /// If it is the stack's own.
    pub(crate) postgres: Option<Postgres>,
    pub(crate) http: reqwest::Client,
}

impl Stack {
    /// Starts all of it; the service is ready and Prometheus has scraped it.
    pub(crate) async fn start(options: Options) -> Self {
        // What is asked may hang on purpose; whoever asks does not.
        let http = reqwest::Client::builder().timeout(STARTING).build().unwrap();
        let server = move || if options.own_database { Ok(Postgres::start(&[])) } else { Err(Postgres::get()) };
        let (postgres, database) = match tokio::task::spawn_blocking(server).await.unwrap() {
            Ok(own) => {
                let database = own.database().await;
                (Some(own), database)
            }
            Err(shared) => (None, shared.database().await),
        };
        let mut settings = vec![("DATABASE_URL".to_owned(), database)];
        settings.extend(options.settings);
        let glasshouse = Instance::start(&settings, options.limits, (options.ports.public, options.ports.internal));
        let webhook = Webhook::start(options.ports.webhook);
        let (glasshouse, webhook) = tokio::join!(glasshouse, webhook);
        let alertmanager = match &options.routes {
            Some(routes) => {
                Some(Alertmanager::start(routes, &options.scale, webhook.address, options.ports.alertmanager).await)
            }
            None => None,
        };
        let told = alertmanager.as_ref().map(|alertmanager| alertmanager.address);
        let prometheus = Prometheus::start(options.scale, told, options.ports.prometheus, http.clone()).await;
        prometheus.target(Some(glasshouse.internal));
        let stack = Self { glasshouse, prometheus, alertmanager, webhook, postgres, http };
        stack.ready().await;
        stack.scraped().await;
        // Not before: a target is found within seconds, which on a fast clock are an hour in which there was none.
        if let Some(rules) = &options.rules {
            stack.prometheus.evaluate(rules).await;
        }
        stack
    }

    /// Waits until the service says that it is ready.
    pub(crate) async fn ready(&self) {
        let url = format!("http://{}/health/ready", self.glasshouse.internal);
        let answer = async || self.http.get(&url).send().await.ok()?.status().is_success().then_some(());
        within(STARTING, answer).await.expect("the service becomes ready");
    }

    /// Waits until Prometheus has scraped the service.
    pub(crate) async fn scraped(&self) {
        let up = async || self.prometheus.found("up{job=\"glasshouse\"} == 1").await;
        within(STARTING, up).await.expect("Prometheus scrapes the service");
    }
}

/// Asks again and again until there is an answer; nothing if there is none within that time, however long one look takes.
pub(crate) async fn within<T>(limit: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let asked = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(limit, asked).await.ok()
}
