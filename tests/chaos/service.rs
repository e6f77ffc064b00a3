//! The built executable as these tests start it: the usual settings, on ports that the system chooses each time.

use std::{net::SocketAddr, time::Duration};

use crate::{
    moments,
    stack::{Instance, Limits, STARTING},
};

/// A running service, which can be killed and started again on the same database.
pub(crate) struct Service {
    instance: Instance,
    http: reqwest::Client,
}

impl Service {
    /// Starts it and waits until it is ready.
    pub(crate) async fn start(database: &str, settings: &[(&str, &str)], limits: Limits) -> Self {
        let usual = [
            ("DATABASE_URL", database),
            ("GLASSHOUSE_RUNTIME__WORKERS", "2"),
            // No session of the model ends by itself.
            ("GLASSHOUSE_AUTH__ACCESS_TOKEN_LIFETIME", "24h"),
            // The model knows one exchange for each refresh token.
            ("GLASSHOUSE_AUTH__REFRESH_REUSE_INTERVAL", "0s"),
        ];
        let settings = [&usual, settings].concat();
        let settings: Vec<_> = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let instance = Instance::start(&settings, limits, (0, 0)).await;
        // What is asked may hang on purpose; whoever asks does not.
        let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
        let this = Self { instance, http };
        this.ready().await;
        this
    }

    pub(crate) fn public(&self) -> SocketAddr {
        self.instance.public
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.instance.process().id
    }

    /// Ends it between two of its instructions.
    pub(crate) fn kill(&mut self) {
        self.instance.process().signal("KILL");
        self.instance.kill();
    }

    /// Lets it stand still, or go on.
    pub(crate) fn signal(&self, name: &str) {
        self.instance.process().signal(name);
    }

    /// Starts it again. Its old ports may be somebody else's by now.
    pub(crate) async fn start_again(&mut self) {
        self.instance.public.set_port(0);
        self.instance.internal.set_port(0);
        self.instance.start_again().await;
        self.ready().await;
    }

    /// What the public port answers to that probe; nothing if it does not.
    pub(crate) async fn probe(&self, path: &str) -> Option<u16> {
        let asked = self.http.get(format!("http://{}{path}", self.instance.public)).send().await;
        Some(asked.ok()?.status().as_u16())
    }

    async fn ready(&self) {
        let is_ready = async || (self.probe("/health/ready").await == Some(200)).then_some(());
        moments::within(STARTING, "the service is ready", is_ready).await;
    }
}
