//! The balancer with the shipped `deploy/haproxy.cfg`; only where it listens and where the instances are is other.

use std::{
    fmt::Write as _,
    fs,
    net::{SocketAddr, TcpListener},
    path::Path,
};

use super::{
    STARTING,
    folder::Folder,
    process::{Limits, Process, Program},
    tool, within,
};

/// A balancer in front of instances.
pub(crate) struct Haproxy {
    /// Where clients come in.
    pub(crate) public: SocketAddr,
    metrics: SocketAddr,
    process: Process,
    http: reqwest::Client,
    _folder: Folder,
}

impl Haproxy {
    /// The file that is shipped.
    pub(crate) fn shipped() -> String {
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/haproxy.cfg")).unwrap()
    }

    /// Starts it in front of those instances, of which there are as many as the file has; returns when it sends to all.
    pub(crate) async fn start(instances: &[SocketAddr]) -> Self {
        let (public, metrics) = (free(), free());
        let folder = Folder::new();
        let file = folder.path().join("haproxy.cfg");
        fs::write(&file, replaced(&Self::shipped(), public, metrics, instances)).unwrap();
        let program = Program {
            file: &tool::program("haproxy"),
            arguments: vec!["-db".to_owned(), "-V".to_owned(), "-f".to_owned(), file.display().to_string()],
            environment: &[],
            folder: folder.path(),
            limits: Limits::default(),
        };
        let (process, ()) = program.start(|line| line.starts_with("Using epoll").then_some(())).await;
        let this = Self { public, metrics, process, http: reqwest::Client::new(), _folder: folder };
        for instance in 0..instances.len() {
            this.sends_to(instance, true).await;
        }
        this
    }

    /// Waits until it sends requests to that instance, or does not.
    ///
    /// # Panics
    /// If that does not happen.
    pub(crate) async fn sends_to(&self, instance: usize, wanted: bool) {
        let shipped = Self::shipped();
        let name = servers(&shipped).nth(instance).expect("the file has as many").0;
        let series = format!("haproxy_server_status{{proxy=\"glasshouse\",server=\"{name}\",state=\"UP\"}}");
        let state = f64::from(u8::from(wanted));
        let holds = async || (self.metric(&series).await? - state).abs().lt(&f64::EPSILON).then_some(());
        let said = within(STARTING, holds).await;
        assert!(said.is_some(), "{name} is to be sent to: {wanted}\n{}", self.last_lines());
    }

    /// The value of one series, by its exact text before the space.
    pub(crate) async fn metric(&self, series: &str) -> Option<f64> {
        let page = self.http.get(format!("http://{}/metrics", self.metrics)).send().await.ok()?.text().await.ok()?;
        page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    /// What it has said last: requests that went wrong, instances that came and went.
    pub(crate) fn last_lines(&self) -> String {
        self.process.last_lines()
    }
}

/// An address that nobody listens on yet: the file names it, so the system cannot choose.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// The instances of the file, by name and address.
fn servers(file: &str) -> impl Iterator<Item = (&str, &str)> {
    file.lines().filter_map(|line| line.trim().strip_prefix("server ")?.split_once(' '))
}

/// The same file with other addresses; fails if it has other places for them than it had.
fn replaced(file: &str, public: SocketAddr, metrics: SocketAddr, instances: &[SocketAddr]) -> String {
    assert_eq!(servers(file).count(), instances.len());
    let (mut binds, mut instances) = ([public, metrics].into_iter(), instances.iter());
    let mut written = String::new();
    for line in file.lines() {
        let (indented, server) = (line.trim(), line.trim().strip_prefix("server "));
        let line = if let Some((name, _)) = server.and_then(|server| server.split_once(' ')) {
            format!("server {name} {}", instances.next().expect("they are as many"))
        } else if indented.starts_with("bind ") {
            format!("bind {}", binds.next().expect("two are bound: for clients and for Prometheus"))
        } else {
            line.to_owned()
        };
        writeln!(written, "{line}").unwrap();
    }
    assert!(binds.next().is_none());
    written
}

#[test]
fn only_addresses_are_replaced() {
    let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let file = "# bind :443\nbind :80\n  server one 10.0.0.1:8080\nserver two 10.0.0.2:8080\nbind 127.0.0.1:1\n";
    let expected = "# bind :443\nbind 127.0.0.1:2\nserver one 127.0.0.1:4\nserver two 127.0.0.1:5\nbind 127.0.0.1:3\n";
    assert_eq!(replaced(file, at(2), at(3), &[at(4), at(5)]), expected);
}
