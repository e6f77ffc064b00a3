//! Who is at the other end: the peer of the connection, or whoever a trusted proxy says it speaks for.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The other end of the connection; the server puts it beside each request.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct Peer(pub(in crate::http) SocketAddr);

/// Who asks, and by which scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) struct Client {
    /// The nearest address that no trusted proxy has.
    pub(super) address: IpAddr,
    /// `http`, or `https` if a trusted proxy says so: this port itself speaks no TLS.
    pub(super) scheme: &'static str,
}

/// What counts as one client: an IPv4 address, or the 64 bits with which IPv6 addresses begin, since nobody is given
/// fewer addresses than begin with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::http) enum Network {
    V4(Ipv4Addr),
    V6([u16; 4]),
}

impl Network {
    /// The network of an address.
    pub(in crate::http) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [first, second, third, fourth, ..] = address.segments();
                Self::V6([first, second, third, fourth])
            }
        }
    }

    /// Bytes that no other network has, the same on each instance.
    pub(in crate::http) fn bytes(self) -> Vec<u8> {
        match self {
            Self::V4(address) => address.octets().to_vec(),
            Self::V6(segments) => segments.iter().flat_map(|segment| segment.to_be_bytes()).collect(),
        }
    }
}

impl Client {
    /// What it counts as.
    pub(in crate::http) fn network(&self) -> Network {
        Network::of(self.address)
    }

    /// Reads what trusted proxies say; from anybody else the headers are hearsay.
    pub(super) fn of(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let peer = peer.to_canonical();
        if !is_trusted(peer, trusted) {
            return Self { address: peer, scheme: "http" };
        }
        let mut address = peer;
        for entry in entries(headers, &X_FORWARDED_FOR) {
            // What cannot be read was written by nobody we trust: the proxy before it is as far as we know.
            let Some(before) = parse(entry) else { break };
            address = before;
            if !is_trusted(address, trusted) {
                break;
            }
        }
        let https = entries(headers, &X_FORWARDED_PROTO).next().is_some_and(|text| text.eq_ignore_ascii_case("https"));
        Self { address, scheme: if https { "https" } else { "http" } }
    }
}

/// The entries of a list, the newest first: each proxy adds its own at the end.
fn entries<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter().rev();
    values.flat_map(|value| value.to_str().unwrap_or_default().rsplit(',').map(str::trim))
}

pub(in crate::http) fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|net| net.contains(&address))
}

/// An address, with or without port and brackets.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    text.parse().ok().or_else(with_port).or_else(bare).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use axum::http::{HeaderMap, HeaderValue};
    use ipnet::IpNet;
    use proptest::prelude::*;

    use super::{Client, Network, X_FORWARDED_FOR, X_FORWARDED_PROTO, parse};

    fn client(peer: &str, forwarded: &[&str]) -> String {
        let trusted: [IpNet; 2] = ["10.0.0.0/8".parse().expect("a net"), "fd00::/8".parse().expect("a net")];
        let mut headers = HeaderMap::new();
        for text in forwarded {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_str(text).expect(text));
        }
        Client::of(peer.parse().expect(peer), &headers, &trusted).address.to_string()
    }

    #[test]
    fn a_strangers_word_is_not_believed() {
        assert_eq!(client("192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
    }

    #[test]
    fn the_rightmost_untrusted_address_is_the_client() {
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["203.0.113.9, 198.51.100.7, 10.1.2.3"]), "198.51.100.7");
        assert_eq!(client("10.0.0.1", &["203.0.113.9", "198.51.100.7:4711"]), "198.51.100.7");
        assert_eq!(client("::ffff:10.0.0.1", &["[2001:db8::1]:443"]), "2001:db8::1");
        assert_eq!(client("fd00::1", &["10.9.9.9"]), "10.9.9.9");
    }

    #[test]
    fn what_cannot_be_read_ends_the_search() {
        assert_eq!(client("10.0.0.1", &["198.51.100.7, unknown, 10.1.2.3"]), "10.1.2.3");
        assert_eq!(client("10.0.0.1", &["198.51.100.7,"]), "10.0.0.1");
    }

    #[test]
    fn only_a_trusted_proxy_turns_http_into_https() {
        let headers = HeaderMap::from_iter([(X_FORWARDED_PROTO, HeaderValue::from_static("http, HTTPS"))]);
        let peer: IpAddr = "10.0.0.1".parse().expect("an address");
        assert_eq!(Client::of(peer, &headers, &[]).scheme, "http");
        assert_eq!(Client::of(peer, &headers, &["10.0.0.0/8".parse().expect("a net")]).scheme, "https");
    }

    #[test]
    fn addresses_of_one_owner_are_one_client() {
        let network = |address: &str| Network::of(address.parse().expect(address));
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:0:0:2"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_ne!(network("::"), network("0.0.0.0"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), text in "\\PC{0,50}") {
            parse(&text);
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let headers = HeaderMap::from_iter([(X_FORWARDED_FOR, value)]);
                let everyone = ["0.0.0.0/0".parse().expect("a net")];
                Client::of("10.0.0.1".parse().expect("an address"), &headers, &everyone);
            }
        }
    }
}
