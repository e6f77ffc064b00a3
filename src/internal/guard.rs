//! Who may look: on loopback anyone on this machine, elsewhere whoever has the token; nowhere a web page of somebody else.

use std::{net::SocketAddr, sync::Arc};

use aws_lc_rs::constant_time;
use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, StatusCode, Uri, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpStream;

use super::Config;

/// Both ends of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    /// Ours. A port that is bound to every address is still loopback for who comes over loopback.
    local: Option<SocketAddr>,
}

impl Ends {
    pub(super) fn of(stream: &TcpStream) -> Self {
        Self { local: stream.local_addr().ok() }
    }
}

/// What is asked of a request before it is answered.
pub(super) struct Guard {
    token: Option<SecretString>,
    require_token_on_loopback: bool,
    hosts: Vec<String>,
}

impl Guard {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            token: config.token.clone(),
            require_token_on_loopback: config.require_token_on_loopback,
            hosts: config.hosts.clone(),
        }
    }

    fn refusal(&self, ends: Ends, uri: &Uri, headers: &HeaderMap) -> Option<Response> {
        let path = uri.path();
        // Prometheus and the kubelet come by pod address and have no token; there is nothing secret in a number.
        let open = is_open(path);
        if !open && !self.knows_host(uri, headers) {
            return Some(
                (StatusCode::MISDIRECTED_REQUEST, "this port does not serve that host name\n").into_response(),
            );
        }
        // The page and its files change nothing and show nothing: a link from elsewhere may lead to them.
        let is_page = path == "/" || path.starts_with("/page/");
        if !open && !is_page && is_cross_site(uri, headers) {
            return Some(
                (
                    StatusCode::FORBIDDEN,
                    "a page of another site may not ask this; type the address, or open it from the page at /\n",
                )
                    .into_response(),
            );
        }
        let on_loopback = ends.local.is_some_and(|local| local.ip().to_canonical().is_loopback());
        let needs_token = !on_loopback || self.require_token_on_loopback;
        if !open && needs_token && !self.has_token(headers) {
            let text = "the token of the setting internal.token is needed, as Bearer or as Basic password\n";
            let mut refusal = (StatusCode::UNAUTHORIZED, text).into_response();
            // A line each: browsers take a line for one challenge, and would not ask for the password.
            for challenge in ["Basic realm=\"internal\"", "Bearer"] {
                refusal.headers_mut().append(header::WWW_AUTHENTICATE, header::HeaderValue::from_static(challenge));
            }
            return Some(refusal);
        }
        None
    }

    /// DNS rebinding: a page of a stranger's whose name points at this machine still sends the stranger's name.
    ///
    /// HTTP/2 has it in the address instead of a header. All that are given have to be known.
    fn knows_host(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let given = headers.get_all(header::HOST).iter().map(|host| host.to_str().ok());
        given
            .chain(uri.authority().map(|host| Some(host.as_str())))
            .all(|host| host.is_some_and(|host| self.knows(host)))
    }

    fn knows(&self, host: &str) -> bool {
        let name = without_port(host);
        let is_address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>().is_ok();
        is_address
            || name.eq_ignore_ascii_case("localhost")
            || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    fn has_token(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return false };
        shown(headers).is_some_and(|shown| {
            constant_time::verify_slices_are_equal(&shown, token.expose_secret().as_bytes()).is_ok()
        })
    }
}

/// Whether a path is answered without a token: metrics and health.
pub(super) fn is_open(path: &str) -> bool {
    path == "/metrics" || path.starts_with("/health/")
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty() => name,
        _ => host,
    }
}

/// Whether a browser sends the request for a page of another origin. Other clients send neither header.
///
/// Browsers send `Sec-Fetch-Site` where they take this port for trustworthy, and `Origin` with everything but a plain
/// GET. A form of another page needs no preflight for a POST.
fn is_cross_site(uri: &Uri, headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site != "same-origin" && site != "none";
    }
    let host = uri.authority().map(Authority::as_str).or_else(|| headers.get(header::HOST)?.to_str().ok());
    headers.get_all(header::ORIGIN).iter().any(|origin| {
        let origin = origin.to_str().ok();
        let own = origin.and_then(|origin| origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")));
        !own.zip(host).is_some_and(|(own, host)| own.eq_ignore_ascii_case(host))
    })
}

/// `Authorization: Bearer token`, or Basic with any user and the token as password: all that `go tool pprof` can send.
fn shown(headers: &HeaderMap) -> Option<Vec<u8>> {
    let (scheme, value) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.trim().as_bytes().to_vec());
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let pair = STANDARD.decode(value.trim()).ok()?;
        let colon = pair.iter().position(|byte| *byte == b':')?;
        return Some(pair[colon + 1..].to_vec());
    }
    None
}

/// The layer around every route.
pub(super) async fn admit(
    State(guard): State<Arc<Guard>>,
    ConnectInfo(ends): ConnectInfo<Ends>,
    request: Request,
    next: Next,
) -> Response {
    let refusal = guard.refusal(ends, request.uri(), request.headers());
    let mut response = match refusal {
        Some(mut refusal) => {
            // Without it `go tool pprof` shows the status, and not what is to be done about it.
            refusal.headers_mut().insert("x-go-pprof", header::HeaderValue::from_static("1"));
            refusal
        }
        None => next.run(request).await,
    };
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, StatusCode, header};

    use super::{Ends, Guard};

    fn guard() -> Guard {
        Guard {
            token: Some("a-secret-of-the-on-call".into()),
            require_token_on_loopback: false,
            hosts: vec!["glasshouse.internal".to_owned()],
        }
    }

    fn ask(local: &str, path: &str, pairs: &[(header::HeaderName, &str)]) -> StatusCode {
        let ends = Ends { local: Some(local.parse().unwrap()) };
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        guard().refusal(ends, &path.parse().unwrap(), &headers).map_or(StatusCode::OK, |refusal| refusal.status())
    }

    #[test]
    fn on_loopback_nothing_is_asked_for() {
        for local in ["127.0.0.1:6060", "[::1]:6060", "[::ffff:127.0.0.1]:6060"] {
            assert_eq!(ask(local, "/debug/config", &[(header::HOST, "localhost:6060")]), StatusCode::OK, "{local}");
        }
    }

    #[test]
    fn token_is_required_on_loopback_where_the_setting_says_so() {
        let guard = Guard { require_token_on_loopback: true, ..guard() };
        let ends = Ends { local: Some("127.0.0.1:6060".parse().unwrap()) };
        let status = |path: &str, headers: &HeaderMap| {
            guard.refusal(ends, &path.parse().unwrap(), headers).map(|refusal| refusal.status())
        };
        let token = HeaderValue::from_static("Bearer a-secret-of-the-on-call");
        let (without, with) = (HeaderMap::new(), HeaderMap::from_iter([(header::AUTHORIZATION, token)]));
        assert_eq!(status("/debug/config", &without), Some(StatusCode::UNAUTHORIZED));
        assert_eq!(status("/", &without), Some(StatusCode::UNAUTHORIZED));
        assert_eq!(status("/debug/config", &with), None);
        for path in ["/metrics", "/health/ready"] {
            assert_eq!(status(path, &without), None, "{path}");
        }
    }

    #[test]
    fn a_foreign_host_is_misdirected() {
        assert_eq!(
            ask("127.0.0.1:6060", "/debug/config", &[(header::HOST, "evil.example:6060")]),
            StatusCode::MISDIRECTED_REQUEST
        );
        for host in ["10.1.2.3:6060", "[fe80::1]:6060", "[::1]", "GLASSHOUSE.internal", "localhost"] {
            assert_eq!(ask("127.0.0.1:6060", "/", &[(header::HOST, host)]), StatusCode::OK, "{host}");
        }
        assert_eq!(ask("127.0.0.1:6060", "/metrics", &[(header::HOST, "evil.example")]), StatusCode::OK);
        // HTTP/2, a proxy's form, and one header more than there may be.
        for (address, hosts) in [
            ("http://evil.example:6060/", &[][..]),
            ("http://evil.example/", &["localhost"]),
            ("http://localhost/", &["evil.example"]),
            ("/", &["localhost", "evil.example"]),
        ] {
            let hosts: Vec<_> = hosts.iter().map(|host| (header::HOST, *host)).collect();
            assert_eq!(ask("127.0.0.1:6060", address, &hosts), StatusCode::MISDIRECTED_REQUEST, "{address} {hosts:?}");
        }
        assert_eq!(ask("127.0.0.1:6060", "http://localhost:6060/", &[]), StatusCode::OK);
    }

    #[test]
    fn a_page_of_another_site_may_not_ask() {
        let site = header::HeaderName::from_static("sec-fetch-site");
        assert_eq!(ask("127.0.0.1:6060", "/debug/log", &[(site.clone(), "cross-site")]), StatusCode::FORBIDDEN);
        assert_eq!(ask("127.0.0.1:6060", "/debug/log", &[(site.clone(), "same-origin")]), StatusCode::OK);
        let origin = |host: &'static str, origin: &'static str| [(header::HOST, host), (header::ORIGIN, origin)];
        for path in ["/debug/heap", "/debug/log", "/debug/faults", "/rs.tokio.console.instrument.Instrument/Pause"] {
            for foreign in ["http://evil.example", "http://localhost:3000", "http://127.0.0.1:6060", "null", ""] {
                let asked = ask("127.0.0.1:6060", path, &origin("localhost:6060", foreign));
                assert_eq!(asked, StatusCode::FORBIDDEN, "{path} {foreign}");
            }
            for own in ["http://localhost:6060", "https://LOCALHOST:6060"] {
                assert_eq!(ask("127.0.0.1:6060", path, &origin("localhost:6060", own)), StatusCode::OK, "{path} {own}");
            }
        }
        // Behind a proxy that names us otherwise, what the browser says of the site decides.
        let proxied = [(header::HOST, "localhost"), (header::ORIGIN, "https://ops.example"), (site, "same-origin")];
        assert_eq!(ask("127.0.0.1:6060", "/debug/log", &proxied), StatusCode::OK);
        assert_eq!(ask("127.0.0.1:6060", "/", &origin("localhost", "http://evil.example")), StatusCode::OK);
    }

    #[test]
    fn elsewhere_the_token_is_asked_for_but_not_for_numbers() {
        let local = "10.0.0.1:6060";
        assert_eq!(ask(local, "/debug/config", &[]), StatusCode::UNAUTHORIZED);
        assert_eq!(ask(local, "/metrics", &[]), StatusCode::OK);
        assert_eq!(ask(local, "/health/ready", &[]), StatusCode::OK);
        let bearer = [(header::AUTHORIZATION, "Bearer a-secret-of-the-on-call")];
        assert_eq!(ask(local, "/debug/config", &bearer), StatusCode::OK);
        let basic = [(header::AUTHORIZATION, "Basic b25jYWxsOmEtc2VjcmV0LW9mLXRoZS1vbi1jYWxs")];
        assert_eq!(ask(local, "/debug/config", &basic), StatusCode::OK);
        let wrong = [(header::AUTHORIZATION, "Bearer a-secret-of-the-on-cal")];
        assert_eq!(ask(local, "/debug/config", &wrong), StatusCode::UNAUTHORIZED);
    }
}
