//! The open connections of the internal port. A new one is never refused: where there are too many, another one ends.
//!
//! Probes and scrapes must be answered whatever other clients do, and they may come from the same address as a client
//! that opens connections without end.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

/// The most open connections. Scrapers, probes and a few people need far fewer, and the service's own clients need files.
pub const MAX_CONNECTIONS: usize = 256;
/// The most open connections of one client network.
const MAX_PER_NETWORK: usize = MAX_CONNECTIONS / 4;
/// The most requests that run at once, beside probes and scrapes; and the most of one client network.
const MAX_REQUESTS: u32 = 64;
const MAX_REQUESTS_PER_NETWORK: u32 = 32;
/// How long a probe or a scrape protects its connection from being closed for a new one.
const PROTECTED: Duration = Duration::from_secs(2);

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// `/health` and `/metrics`.
    Probe,
    Debug,
}

/// All open connections. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Connections(Arc<Mutex<Registry>>);

#[derive(Default)]
struct Registry {
    newest: u64,
    open: HashMap<u64, Open>,
}

struct Open {
    network: IpAddr,
    close: Arc<Notify>,
    /// Requests of each purpose whose handler has not returned.
    probes: u32,
    debug: u32,
    /// Responses that wait for the service and not for the client: events that have not happened yet.
    waiting: u32,
    busy_since: Instant,
    last_activity: Instant,
}

impl Open {
    const fn is_busy(&self) -> bool {
        self.probes + self.debug + self.waiting > 0
    }

    fn is_protected(&self) -> bool {
        self.probes > 0 && self.busy_since.elapsed() < PROTECTED
    }

    /// Which connection is closed first: an idle one, then one at work, then one that answers a probe; of those alike
    /// the one that was active longest ago.
    fn rank(&self) -> (bool, bool, Instant) {
        (self.is_protected(), self.is_busy(), self.last_activity)
    }

    fn touch(&mut self) {
        self.last_activity = Instant::now();
    }

    fn begin(&mut self, count: impl FnOnce(&mut Self) -> &mut u32) {
        if !self.is_busy() {
            self.busy_since = Instant::now();
        }
        *count(self) += 1;
        self.touch();
    }

    fn end(&mut self, count: impl FnOnce(&mut Self) -> &mut u32) {
        let count = count(self);
        *count = count.saturating_sub(1);
        self.touch();
    }
}

impl Registry {
    fn of(&self, network: IpAddr) -> impl Iterator<Item = (&u64, &Open)> {
        self.open.iter().filter(move |(_, open)| open.network == network)
    }

    /// The connection that must close for one more of `network`, if one must.
    fn victim(&self, network: IpAddr) -> Option<u64> {
        let first = |network| self.of(network).min_by_key(|(_, open)| open.rank());
        if self.of(network).count() >= MAX_PER_NETWORK {
            // A network whose connections all answer probes may have more than its share while there is room.
            let own = first(network).filter(|(_, open)| !open.is_protected());
            if let Some((id, _)) = own {
                return Some(*id);
            }
        }
        if self.open.len() < MAX_CONNECTIONS {
            return None;
        }
        let mut sizes: HashMap<IpAddr, usize> = HashMap::new();
        for open in self.open.values() {
            *sizes.entry(open.network).or_default() += 1;
        }
        // Where several networks have the most, the ranks of their connections decide.
        let most = sizes.values().max().copied()?;
        let largest = self.open.iter().filter(|(_, open)| sizes[&open.network] == most);
        largest.min_by_key(|(_, open)| open.rank()).map(|(id, _)| *id)
    }
}

/// A client's network: an IPv4 address, or the 48 bits of IPv6 that one line may have.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 80))),
        address @ IpAddr::V4(_) => address,
    }
}

/// What [`Connections::admit`] did.
pub(super) struct Admitted {
    pub(super) connection: Connection,
    /// Whether another connection is closed for it.
    pub(super) evicted: bool,
}

impl Connections {
    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a new connection of `peer`. Where there are too many, the one that was idle for longest is closed, of
    /// the same network if that has its share already, otherwise of the network with the most.
    pub(super) fn admit(&self, peer: IpAddr) -> Admitted {
        let (network, now) = (network(peer), Instant::now());
        let mut registry = self.registry();
        let victim = registry.victim(network).and_then(|victim| registry.open.remove(&victim));
        if let Some(victim) = &victim {
            victim.close.notify_one();
        }
        registry.newest += 1;
        let (id, close) = (registry.newest, Arc::new(Notify::new()));
        let open = Open {
            network,
            close: Arc::clone(&close),
            probes: 0,
            debug: 0,
            waiting: 0,
            busy_since: now,
            last_activity: now,
        };
        registry.open.insert(id, open);
        drop(registry);
        let connection = Connection(Arc::new(Handle { id, close, connections: self.clone() }));
        Admitted { connection, evicted: victim.is_some() }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.registry().open.len()
    }
}

/// One open connection, registered until the last clone is dropped.
#[derive(Clone)]
pub(super) struct Connection(Arc<Handle>);

struct Handle {
    id: u64,
    close: Arc<Notify>,
    connections: Connections,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.connections.registry().open.remove(&self.id);
    }
}

impl Connection {
    /// Waits until the connection must close for another one.
    pub(super) async fn evicted(&self) {
        self.0.close.notified().await;
    }

    /// How long neither a request nor a response has moved; none while the service is at work for the client.
    pub(super) fn idle_for(&self) -> Option<Duration> {
        self.with(|open| (!open.is_busy()).then(|| open.last_activity.elapsed())).unwrap_or(Some(Duration::MAX))
    }

    /// Begins a request. None, if too many run already.
    pub(super) fn begin(&self, purpose: Purpose) -> Option<ActiveRequest> {
        let mut registry = self.0.connections.registry();
        if purpose == Purpose::Debug {
            let network = registry.open.get(&self.0.id)?.network;
            let all: u32 = registry.open.values().map(|open| open.debug).sum();
            let same: u32 = registry.of(network).map(|(_, open)| open.debug).sum();
            if all >= MAX_REQUESTS || same >= MAX_REQUESTS_PER_NETWORK {
                return None;
            }
        }
        registry.open.get_mut(&self.0.id)?.begin(|open| purpose.count(open));
        Some(ActiveRequest { connection: self.clone(), purpose })
    }

    /// The client has taken a piece of a response.
    pub(super) fn touch(&self) {
        self.with(Open::touch);
    }

    /// A response waits for the service until the result is dropped.
    pub(super) fn begin_waiting(&self) -> Waiting {
        self.with(|open| open.begin(|open| &mut open.waiting));
        Waiting(self.clone())
    }

    fn with<T>(&self, change: impl FnOnce(&mut Open) -> T) -> Option<T> {
        self.0.connections.registry().open.get_mut(&self.0.id).map(change)
    }
}

impl Purpose {
    const fn count(self, open: &mut Open) -> &mut u32 {
        match self {
            Self::Probe => &mut open.probes,
            Self::Debug => &mut open.debug,
        }
    }
}

/// A request whose handler has not returned.
pub(super) struct ActiveRequest {
    connection: Connection,
    purpose: Purpose,
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.connection.with(|open| open.end(|open| self.purpose.count(open)));
    }
}

/// A response that waits for the service.
pub(super) struct Waiting(Connection);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.with(|open| open.end(|open| &mut open.waiting));
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use futures_util::FutureExt;

    use super::{Connection, Connections, MAX_CONNECTIONS, MAX_PER_NETWORK, MAX_REQUESTS_PER_NETWORK, Purpose};

    fn admit(connections: &Connections, address: &str) -> Connection {
        connections.admit(address.parse().unwrap()).connection
    }

    fn is_evicted(connection: &Connection) -> bool {
        connection.evicted().now_or_never().is_some()
    }

    #[test]
    fn address_beyond_its_share_loses_its_longest_idle_connection() {
        let connections = Connections::default();
        let other = admit(&connections, "192.0.2.9");
        let mut own: Vec<_> = (0..MAX_PER_NETWORK).map(|_| admit(&connections, "192.0.2.1")).collect();
        let busy = own[0].begin(Purpose::Debug).unwrap();
        own.push(admit(&connections, "::ffff:192.0.2.1"));
        let evicted: Vec<usize> = (0..own.len()).filter(|number| is_evicted(&own[*number])).collect();
        assert_eq!(evicted, [1], "the oldest is busy");
        assert!(!is_evicted(&other));
        assert_eq!(connections.len(), MAX_PER_NETWORK + 1);
        assert!(own[1].begin(Purpose::Probe).is_none(), "an evicted connection begins nothing");
        drop((busy, own, other));
        assert_eq!(connections.len(), 0);
    }

    #[test]
    fn connections_of_many_addresses_make_room_for_another_address() {
        let connections = Connections::default();
        let few = admit(&connections, "192.0.2.1");
        let held: Vec<_> =
            (1..MAX_CONNECTIONS).map(|number| admit(&connections, &format!("10.0.0.{}", number % 5))).collect();
        let late = admit(&connections, "192.0.2.2");
        assert_eq!((connections.len(), held.iter().filter(|held| is_evicted(held)).count()), (MAX_CONNECTIONS, 1));
        assert!(!is_evicted(&few) && !is_evicted(&late), "the network with the most gives one up");
    }

    #[test]
    fn one_connection_of_each_address_makes_room_for_another() {
        let connections = Connections::default();
        let address = |number: usize| format!("10.0.{}.{}", number / 250, number % 250);
        let held: Vec<_> = (0..MAX_CONNECTIONS).map(|number| admit(&connections, &address(number))).collect();
        let _late = admit(&connections, "192.0.2.2");
        assert!(is_evicted(&held[0]));
    }

    #[test]
    fn connection_is_not_evicted_while_a_probe_runs_and_there_is_room() {
        let connections = Connections::default();
        let mut held: Vec<_> = (0..MAX_PER_NETWORK).map(|_| admit(&connections, "192.0.2.1")).collect();
        let mut probes: Vec<_> = held.iter().map(|held| held.begin(Purpose::Probe).unwrap()).collect();
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let more = connections.admit(address);
        assert!(!more.evicted, "all of its connections answer probes");
        probes.pop();
        // The one that was idle for longest: the new one has not asked for anything yet.
        assert!(connections.admit(address).evicted);
        assert!(is_evicted(&more.connection) && !held.iter().any(is_evicted));
        held.clear();
        while connections.len() < MAX_CONNECTIONS {
            held.push(admit(&connections, "192.0.2.1"));
            probes.extend(held.last().unwrap().begin(Purpose::Probe));
        }
        assert!(connections.admit(address).evicted, "there is no room");
    }

    #[test]
    fn debug_requests_of_one_address_are_bounded_and_probes_are_not() {
        let connections = Connections::default();
        let (one, other) = (admit(&connections, "2001:db8:1:1::1"), admit(&connections, "2001:db8:1:2::1"));
        let mut running: Vec<_> = (0..MAX_REQUESTS_PER_NETWORK).map(|_| one.begin(Purpose::Debug).unwrap()).collect();
        assert!(other.begin(Purpose::Debug).is_none(), "one line may have both networks");
        assert!(other.begin(Purpose::Probe).is_some());
        assert!(admit(&connections, "2001:db8:2::1").begin(Purpose::Debug).is_some());
        running.pop();
        assert!(other.begin(Purpose::Debug).is_some());
    }
}
