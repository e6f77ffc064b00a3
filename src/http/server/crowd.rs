//! How many connections each address holds, so that none keeps the others out.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use ipnet::IpNet;

use crate::http::layers::{Network, is_trusted};

/// The connections of every address: as many entries as connections at most.
pub(super) struct Crowd {
    most: u32,
    trusted: Vec<IpNet>,
    held: Arc<Mutex<HashMap<Network, u32>>>,
}

/// One connection of an address.
pub(super) struct Seat {
    network: Network,
    held: Arc<Mutex<HashMap<Network, u32>>>,
}

impl Crowd {
    /// A quarter of all connections for each address: enough for an office behind one, and four such are needed to keep
    /// everybody else out. Trusted proxies bring the connections of many.
    pub(super) fn new(max_connections: u32, trusted: Vec<IpNet>) -> Self {
        Self { most: (max_connections / 4).max(1), trusted, held: Arc::default() }
    }

    /// A seat until it is dropped, which a trusted proxy needs none of; nothing where the address has its part already.
    #[expect(clippy::option_option, reason = "to be let in without a seat is not to be turned away")]
    pub(super) fn seat(&self, peer: IpAddr) -> Option<Option<Seat>> {
        if is_trusted(peer.to_canonical(), &self.trusted) {
            return Some(None);
        }
        // One line is given up to 48 bits of an address: counted by 64, one person would be many.
        let network = match Network::of(peer) {
            Network::V6([first, second, third, _]) => Network::V6([first, second, third, 0]),
            network @ Network::V4(_) => network,
        };
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let seats = held.entry(network).or_default();
        if *seats >= self.most {
            return None;
        }
        *seats += 1;
        Some(Some(Seat { network, held: Arc::clone(&self.held) }))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seats) = held.get_mut(&self.network) {
            *seats = seats.saturating_sub(1);
            if *seats == 0 {
                held.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::Crowd;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("it is an address")
    }

    #[test]
    fn an_address_has_a_quarter_and_leaves_nothing_behind() {
        let crowd = Crowd::new(8, vec!["10.0.0.0/8".parse().expect("a net")]);
        let ann = address("192.0.2.1");
        let seats: Vec<_> = (0..10).filter_map(|_| crowd.seat(ann)).collect();
        assert_eq!(seats.len(), 2);
        assert!(crowd.seat(address("192.0.2.2")).is_some());
        assert!((0..10).all(|_| crowd.seat(address("::ffff:10.1.2.3")).is_some()), "a proxy is many");
        drop(seats);
        assert!(crowd.seat(ann).is_some());
        assert!(crowd.held.lock().expect("no panic").is_empty());
        assert!(Crowd::new(1, Vec::new()).seat(ann).is_some());
    }

    #[test]
    fn one_line_is_one_however_many_networks_it_is_given() {
        let crowd = Crowd::new(8, Vec::new());
        let seats: Vec<_> =
            (0..10).filter_map(|network| crowd.seat(address(&format!("2001:db8:1:{network}::1")))).collect();
        assert_eq!(seats.len(), 2);
        assert!(crowd.seat(address("2001:db8:2::1")).is_some());
    }
}
