//! A real Prometheus that scrapes the internal port while the public one is busy.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use glasshouse::telemetry::catalog::{Kind, METRICS};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    support::{Client, Collector, Engine, Service, eventually, hex},
    tool,
};

/// It ends when the pipe does, whose other end this process holds: also when this process is killed.
const SUPERVISOR: &str = r#""$@" & cat >/dev/null; kill -KILL $!; wait"#;

/// How long it may take to listen, on a machine that is busy with other tests.
const STARTING: Duration = Duration::from_mins(1);

struct Prometheus {
    address: SocketAddr,
    supervisor: Child,
    _folder: TempDir,
}

impl Prometheus {
    /// Scrapes that address with these features on, from a port that the system chooses.
    fn scraping(target: SocketAddr, features: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let settings = folder.path().join("prometheus.yml");
        let written = format!(
            "global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}\n\
             scrape_configs: [{{job_name: glasshouse, static_configs: [{{targets: ['{target}']}}]}}]\n"
        );
        fs::write(&settings, written).unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SUPERVISOR, "sh"]).arg(tool::program("prometheus"));
        command.args(["--web.listen-address=127.0.0.1:0"]);
        command.arg(format!("--enable-feature={features}"));
        command.arg(format!("--config.file={}", settings.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut supervisor = pipes.spawn().unwrap();
        let (heard, address) = mpsc::channel();
        let mut log = BufReader::new(supervisor.stderr.take().unwrap());
        thread::spawn(move || {
            let mut line = String::new();
            // To the end, because a full pipe would stop it.
            while log.read_line(&mut line).is_ok_and(|length| length > 0) {
                let place = line.split_once("msg=\"Listening on\" address=").map(|(_, address)| address.trim().parse());
                if let Some(Ok(address)) = place {
                    heard.send(address).ok();
                }
                line.clear();
            }
        });
        let address = address.recv_timeout(STARTING).expect("Prometheus says where it listens");
        Self { address, supervisor, _folder: folder }
    }

    /// What it finds for a query at `/api/v1/<path>`, where it finds anything.
    async fn found(&self, path: &str, query: &str) -> Option<Vec<Value>> {
        let mut url = reqwest::Url::parse(&format!("http://{}/api/v1/{path}", self.address)).unwrap();
        url.query_pairs_mut().append_pair("query", query);
        if path == "query_exemplars" {
            url.query_pairs_mut().append_pair("start", "0").append_pair("end", "9999999999");
        }
        let answer = reqwest::get(url).await.ok()?.json::<Value>().await.ok()?;
        let data = if path == "query" { &answer["data"]["result"] } else { &answer["data"] };
        data.as_array().filter(|found| !found.is_empty()).cloned()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        self.supervisor.wait().ok();
    }
}

/// Requests without end.
async fn load(client: Client) -> ! {
    loop {
        client.me().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_scrapes_every_histogram_and_its_exemplars_lead_to_traces() {
    let collector = Collector::start().await;
    let service = Service::observed(Engine::Sqlite, &collector, &[]).await;
    let ann = service.client().joined("ann@example.com").await;
    let prometheus = Prometheus::scraping(service.internal, "exemplar-storage");

    let looking = async {
        eventually("the target is up", async || {
            let up = prometheus.found("query", "up").await?;
            (up[0]["value"][1] == "1").then_some(())
        })
        .await;
        for metric in METRICS.iter().filter(|metric| matches!(metric.kind, Kind::Histogram(_))) {
            let bucket = format!("{}_bucket", metric.name);
            eventually(&bucket, async || prometheus.found("query", &bucket).await).await;
        }
        eventually("an exemplar whose trace the collector has", async || {
            let series = prometheus.found("query_exemplars", "http_server_request_duration_seconds_bucket").await?;
            let exemplars = series.iter().filter_map(|series| series["exemplars"].as_array()).flatten();
            let traces: Vec<&str> = exemplars.filter_map(|exemplar| exemplar["labels"]["trace_id"].as_str()).collect();
            collector.spans().iter().any(|span| traces.contains(&hex(&span.trace_id).as_str())).then_some(())
        })
        .await;
        let rate = "rate(http_server_request_duration_seconds_count{http_route='/api/v1/users/me'}[10s]) > 0";
        eventually("the load is seen as a rate", async || prometheus.found("query", rate).await).await;
    };
    tokio::select! {
        () = looking => {}
        never = load(ann.client) => never,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_with_native_histograms_reads_protobuf_and_computes_quantiles() {
    let settings = [("GLASSHOUSE_TELEMETRY__NATIVE_HISTOGRAMS", "true")];
    let service = Service::start_with(Engine::Sqlite, &settings).await;
    let ann = service.client().joined("ann@example.com").await;
    let prometheus = Prometheus::scraping(service.internal, "exemplar-storage,native-histograms");

    let looking = async {
        // These functions find nothing in classic histograms. What has no observations yet is not asked here.
        for family in ["glasshouse_slo_request_duration_seconds", "db_client_operation_duration_seconds"] {
            let quantile = format!("histogram_quantile(0.99, sum(rate({family}[10s]))) > 0");
            eventually(&quantile, async || prometheus.found("query", &quantile).await).await;
            let count = format!("sum(histogram_count({family})) > 0");
            eventually(&count, async || prometheus.found("query", &count).await).await;
        }
        let counter = "rate(glasshouse_db_calls_total{outcome='success'}[10s]) > 0";
        eventually(counter, async || prometheus.found("query", counter).await).await;
        let target = "target_info{service_name='glasshouse'}";
        eventually(target, async || prometheus.found("query", target).await).await;
    };
    tokio::select! {
        () = looking => {}
        never = load(ann.client) => never,
    }
}
