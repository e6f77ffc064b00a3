//! The stack left standing, on the ports that pages and files name, until somebody has seen enough of it.

use std::{net::TcpListener, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

use crate::stack::{Options, Ports, Scale, Stack, within};

/// The ports, with what is there.
const PORTS: Ports = Ports { public: 8080, internal: 6060, prometheus: 9090, alertmanager: 9093, webhook: 8081 };

/// Oftener than in production: people look on.
const SCRAPE: Duration = Duration::from_secs(5);

/// Starts it, says where everything is, and ends it when it is interrupted or its input ends. Says whether it could.
pub(crate) async fn run() -> bool {
    let wanted = [
        ("the service", PORTS.public),
        ("its internal port", PORTS.internal),
        ("Prometheus", PORTS.prometheus),
        ("Alertmanager", PORTS.alertmanager),
        ("the runbook", PORTS.webhook),
    ];
    let is_taken = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_err();
    let taken: Vec<_> = wanted.iter().filter(|(_, port)| is_taken(*port)).collect();
    for (what, port) in &taken {
        println!("port {port} is taken, which {what} wants");
    }
    if !taken.is_empty() {
        return false;
    }
    println!("Starting PostgreSQL, the service, Alertmanager and Prometheus …");
    let scale = Scale { factor: 1.0, scrape: SCRAPE };
    let options = Options { ports: PORTS, ..Options::alerting(&[("GLASSHOUSE_FAULTS__ALLOWED", "true")], scale) };
    let stack = Stack::start(options).await;
    println!(
        "
The service     http://localhost:8080/api/v1/openapi.json
Inside of it    http://localhost:6060/
Database        {}
Alerts          http://localhost:9090/alerts and http://localhost:9093/
Runbook         http://localhost:8081/runbook/README.md

Load:  make load
End:   Ctrl-C, or the end of its input; nothing is kept

Who is told of what:",
        stack.glasshouse.setting("DATABASE_URL").unwrap_or_default()
    );
    tokio::select! {
        () = asked_to_end() => {}
        () = tell(&stack) => {}
    }
    println!("Stopping all of it.");
    true
}

/// Ends when somebody wants it to.
async fn asked_to_end() {
    let (mut interrupts, mut terms) =
        (signal(SignalKind::interrupt()).unwrap(), signal(SignalKind::terminate()).unwrap());
    let (end, ended) = oneshot::channel();
    std::thread::spawn(move || {
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).ok();
        end.send(()).ok();
    });
    tokio::select! {
        _ = interrupts.recv() => {}
        _ = terms.recv() => {}
        _ = ended => {}
    }
}

/// Says who is told of what, but of the Watchdog only once.
async fn tell(stack: &Stack) {
    let mut told = 0;
    let new = async || {
        let deliveries = stack.webhook.deliveries();
        for (number, delivery) in deliveries.iter().enumerate().skip(told) {
            let is_first = !deliveries[..number].iter().any(|before| before.name() == "Watchdog");
            if delivery.name() != "Watchdog" || is_first {
                let state = if delivery.is_resolved() { "resolved" } else { "firing" };
                println!("  {}: {} {state}", delivery.receiver, delivery.name());
            }
        }
        told = deliveries.len();
        None::<()>
    };
    within(Duration::MAX, new).await;
}
