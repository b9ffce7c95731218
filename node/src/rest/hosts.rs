//! Which `Host` and `Origin` a request may name, so that a web page in the user's browser reaches nothing.
//!
//! A page of another site can send requests to 127.0.0.1 (then its `Origin` is foreign), or let its own name point
//! there (then the `Host` is foreign). The token stops it too; this stops it before the token is looked at.
//!
//! **Invariants**: a name is compared whole; what is not exactly a name and a port is refused.

use axum::http::{HeaderMap, Uri, header};

use super::refusal::Refusal;

/// One name that the node answers to, with the port where the setting names one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    name: String,
    port: Option<u16>,
}

/// The names that the node answers to.
#[derive(Debug, Clone)]
pub struct Hosts {
    allowed: Vec<Place>,
}

impl Hosts {
    /// Allows the names of this machine's loopback, and those of `api.hosts`: a name, or a name and a port.
    #[must_use]
    pub fn new(configured: &[String]) -> Self {
        let loopback = ["localhost", "127.0.0.1", "[::1]"].map(|name| Place { name: name.to_owned(), port: None });
        Self { allowed: loopback.into_iter().chain(configured.iter().filter_map(|text| place(text))).collect() }
    }

    fn allows(&self, wanted: &Place) -> bool {
        self.allowed.iter().any(|place| place.name == wanted.name && (place.port.is_none() || place.port == wanted.port))
    }

    /// Checks the names that a request carries.
    ///
    /// # Errors
    /// When its `Host` is missing, doubled or foreign (421), or its `Origin` is (403).
    pub fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return Err(Refusal::Misdirected("(none, or several)".to_owned()));
        };
        let text = String::from_utf8_lossy(host.as_bytes());
        let misdirected = || Refusal::Misdirected(text.chars().filter(|c| !c.is_control()).take(100).collect());
        let host = host.to_str().ok().and_then(place).filter(|host| self.allows(host)).ok_or_else(misdirected)?;
        if let Some(authority) = uri.authority() {
            let named = place(authority.as_str()).filter(|named| self.allows(named) && named.port == host.port);
            named.ok_or_else(misdirected)?;
        }
        self.check_origin(&host, headers)
    }

    /// Lets pages of the node's own place through: an allowed name at the port at which the request arrived.
    fn check_origin(&self, host: &Place, headers: &HeaderMap) -> Result<(), Refusal> {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let Some(origin) = origins.next() else { return Ok(()) };
        let foreign = || Refusal::Forbidden("requests of pages of another site are not answered".to_owned());
        if origins.next().is_some() {
            return Err(foreign());
        }
        let text = origin.to_str().map_err(|_| foreign())?;
        let (rest, default_port) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(rest), _) => (rest, 80),
            (None, Some(rest)) => (rest, 443),
            (None, None) => return Err(foreign()),
        };
        let origin = place(rest).ok_or_else(foreign)?;
        let same_port = origin.port.unwrap_or(default_port) == host.port.unwrap_or(default_port);
        if self.allows(&origin) && same_port { Ok(()) } else { Err(foreign()) }
    }
}

/// Reads `name`, `name:port` or `[v6]:port`.
fn place(text: &str) -> Option<Place> {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (inner, port) = rest.split_once(']')?;
            let address: std::net::Ipv6Addr = inner.parse().ok()?;
            (format!("[{address}]"), port.strip_prefix(':').map_or_else(|| port.is_empty().then_some(""), Some)?)
        }
        None => match text.split_once(':') {
            Some((_, "")) => return None,
            Some((name, port)) => (name.to_ascii_lowercase(), port),
            None => (text.to_ascii_lowercase(), ""),
        },
    };
    let name_is_plain =
        name.starts_with('[') || (!name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)));
    let port = match port {
        "" => None,
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.parse().ok()?),
        _ => return None,
    };
    name_is_plain.then_some(Place { name, port })
}
