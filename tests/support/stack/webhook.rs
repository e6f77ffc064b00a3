//! What alerts link to and whom they tell, as `localhost:8081` stands for it everywhere: the pages of the runbook, and a
//! receiver of Alertmanager's notifications that keeps them.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use serde_json::Value;

/// The most deliveries that are kept: the Watchdog's alone come each minute for as long as a stack runs.
const KEPT: usize = 100_000;

/// Receives until it is dropped.
pub(crate) struct Webhook {
    pub(crate) address: SocketAddr,
    kept: Kept,
    serving: tokio::task::JoinHandle<()>,
}

type Kept = Arc<Mutex<Vec<Delivery>>>;

/// One alert of one notification.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) at: SystemTime,
    /// The receiver of the routes that it was for.
    pub(crate) receiver: String,
    /// The alert with its `status`, `labels` and `annotations`.
    pub(crate) alert: Value,
}

impl Delivery {
    pub(crate) fn name(&self) -> &str {
        self.alert["labels"]["alertname"].as_str().unwrap_or_default()
    }

    pub(crate) fn is_resolved(&self) -> bool {
        self.alert["status"] == "resolved"
    }
}

impl Webhook {
    /// Listens on that port, or on one that the system chooses if it is 0.
    pub(crate) async fn start(port: u16) -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let kept = Kept::default();
        let router = Router::new()
            .route("/{receiver}", post(keep))
            .route("/runbook/{page}", get(page))
            .with_state(Arc::clone(&kept));
        #[expect(clippy::disallowed_methods, reason = "the receiver is no part of the service")]
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, kept, serving }
    }

    /// Everything delivered so far, in the order of arrival.
    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn keep(State(kept): State<Kept>, Json(mut notification): Json<Value>) {
    let receiver = notification["receiver"].as_str().unwrap_or_default().to_owned();
    let alerts = notification["alerts"].as_array_mut().map(std::mem::take).unwrap_or_default();
    #[expect(clippy::disallowed_methods, reason = "compared with what Prometheus says of the time")]
    let at = SystemTime::now();
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    let deliveries = alerts.into_iter().map(|alert| Delivery { at, receiver: receiver.clone(), alert });
    let room = KEPT - kept.len();
    kept.extend(deliveries.take(room));
}

async fn page(Path(page): Path<String>) -> Result<String, StatusCode> {
    let runbook = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("runbook");
    std::fs::read_to_string(runbook.join(page)).map_err(|_| StatusCode::NOT_FOUND)
}
