//! The release binary as a process of its own.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A running service. Killed when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) internal: SocketAddr,
    child: Child,
}

impl Server {
    /// Starts it on that database; exports to the collector, if one is given.
    pub(crate) fn start(folder: &TempDir, database: &str, collector: Option<&str>, settings: &[(&str, &str)]) -> Self {
        // With the log off no line says which port the system chose.
        let free = || std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let (address, internal) = (free().expect("a free port"), free().expect("another"));
        let (listen, listen_internal) = (address.to_string(), internal.to_string());
        let mut command = Command::new(env!("CARGO_BIN_EXE_glasshouse"));
        command
            .env_clear()
            // A mode of its own switches it on.
            .env("GLASSHOUSE_INTERNAL__HEAP_SAMPLING", "false")
            .envs(settings.iter().copied())
            .envs([
                ("DATABASE_URL", database),
                ("GLASSHOUSE_HTTP__LISTEN", &listen),
                ("GLASSHOUSE_INTERNAL__LISTEN", &listen_internal),
                ("GLASSHOUSE_STORE__MAX_CONNECTIONS", "6"),
                ("GLASSHOUSE_LIMITS__ENABLED", "false"),
                ("OTEL_BSP_MAX_QUEUE_SIZE", "65536"),
                ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4096"),
            ])
            .current_dir(folder.path())
            .stdout(Stdio::piped());
        if let Some(collector) = collector {
            command.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector).env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
        }
        let mut child = command.spawn().expect("the service starts");
        let log = BufReader::new(child.stdout.take().expect("a pipe"));
        // Somebody has to read the log, as in production.
        std::thread::spawn(move || log.lines().for_each(drop));
        let server = Self { address, internal, child };
        let client = reqwest::Client::new();
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            while !client.get(server.url("/health/ready")).send().await.is_ok_and(|answer| answer.status().is_success())
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        server
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Registers somebody and signs in; all servers take the token, for they share database and key.
    pub(crate) fn token(&self) -> String {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let client = reqwest::Client::new();
            let user = json!({ "email": "bench@example.com", "password": "a fine password", "name": "Bench" });
            client.post(self.url("/api/v1/users")).json(&user).send().await.expect("an answer");
            let credentials = json!({ "email": "bench@example.com", "password": "a fine password" });
            let answer =
                client.post(self.url("/api/v1/auth/sign-in")).json(&credentials).send().await.expect("an answer");
            let grant: Value = answer.json().await.expect("a grant");
            grant["access_token"].as_str().expect("a token").to_owned()
        })
    }

    /// CPU time so far, user and system, in seconds: proc(5).
    pub(crate) fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("the service runs on Linux");
        let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
        let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().expect("a number")).sum();
        ticks as f64 / rustix::param::clock_ticks_per_second() as f64
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
