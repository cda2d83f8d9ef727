//! [`Gate`]: who may ask the dashboard.
//!
//! Other programs of this machine, and pages of other sites in the user's browser, can reach the port. So every
//! answer that tells something of the cluster needs the token; the `Host` must be this machine's, or a site
//! could have its name point here and read what the browser lets it; and only reading methods are answered.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::{self, HeaderMap};
use actix_web::http::{Method, StatusCode};

/// Who may ask.
#[derive(Debug)]
pub(super) struct Gate {
    token: String,
    address: SocketAddr,
}

/// Why somebody may not: the status, and what is told.
pub(super) type Refusal = (StatusCode, &'static str);

impl Gate {
    pub(super) fn new(token: String, address: SocketAddr) -> Self {
        Self { token, address }
    }

    /// Refuses what is no reading, and what was not sent to this machine by its own name.
    pub(super) fn check_way(&self, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Err((
                StatusCode::METHOD_NOT_ALLOWED,
                "The dashboard only tells; it takes GET and HEAD.\n",
            ));
        }
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        if host.is_some_and(|host| self.is_own(host)) {
            return Ok(());
        }
        Err((
            StatusCode::MISDIRECTED_REQUEST,
            "This host is not the dashboard's. Use the URL that the program has printed.\n",
        ))
    }

    /// Refuses who does not have the token.
    pub(super) fn check_token(&self, query: &str, headers: &HeaderMap) -> Result<(), Refusal> {
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer = bearer.and_then(|value| value.strip_prefix("Bearer "));
        let in_query = parameter(query, "token");
        let given = in_query.as_deref().or(bearer).unwrap_or_default();
        if is_equal(given.as_bytes(), self.token.as_bytes()) {
            return Ok(());
        }
        Err((
            StatusCode::UNAUTHORIZED,
            "The token is missing or wrong. The URL with the right one is what the program has printed, and \
             what `Dashboard::url()` or, in Python, `mobula.dashboard_url()` answers.\n",
        ))
    }

    /// True if this machine was asked by an address or a name of its own.
    fn is_own(&self, host: &str) -> bool {
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok()),
            _ => (host, Some(80)),
        };
        if port != Some(self.address.port()) {
            return false;
        }
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        if name.eq_ignore_ascii_case("localhost") {
            return true;
        }
        // No site can make a number its name.
        let number = bare.parse::<IpAddr>();
        number.is_ok_and(|ip| ip.is_loopback() || !self.address.ip().is_loopback())
    }
}

/// True if both are the same. How long it takes does not tell where they differ.
fn is_equal(given: &[u8], right: &[u8]) -> bool {
    let same_length = given.len() == right.len();
    let differ = given.iter().zip(right).fold(0, |differ, (a, b)| differ | (a ^ b));
    same_length && differ == 0 && !right.is_empty()
}

/// The value of a parameter of a query.
pub(super) fn parameter(query: &str, name: &str) -> Option<String> {
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let (_, value) = pairs.into_iter().find(|(key, _)| *key == name)?;
    Some(decoded(value))
}

/// Text as it was before it was put into a query.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut left = text.bytes();
    while let Some(byte) = left.next() {
        let byte = match byte {
            b'+' => b' ',
            b'%' => {
                let mut ahead = left.clone();
                let hex = [ahead.next(), ahead.next()].map(|byte| byte.unwrap_or(b'?'));
                let code =
                    std::str::from_utf8(&hex).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok());
                match code {
                    Some(code) => {
                        left = ahead;
                        code
                    }
                    None => b'%',
                }
            }
            byte => byte,
        };
        bytes.push(byte);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(address: &str) -> Gate {
        Gate::new("right".to_owned(), address.parse().expect("an address"))
    }

    #[test]
    fn only_names_of_this_machine_are_its_own() {
        let here = gate("127.0.0.1:8787");
        for own in
            ["127.0.0.1:8787", "localhost:8787", "LocalHost:8787", "[::1]:8787", "127.0.0.2:8787"]
        {
            assert!(here.is_own(own), "{own}");
        }
        for foreign in [
            "127.0.0.1",
            "127.0.0.1:80",
            "evil.example:8787",
            "localhost.evil.example:8787",
            "",
            ":8787",
            "10.0.0.1:8787",
            "127.0.0.1:8787.evil.example",
            "[::1]",
            "127.0.0.1:",
        ] {
            assert!(!here.is_own(foreign), "{foreign}");
        }
        // Who listens for others is asked by its number.
        assert!(gate("0.0.0.0:8787").is_own("10.0.0.1:8787"));
        assert!(!gate("0.0.0.0:8787").is_own("evil.example:8787"));
    }

    #[test]
    fn the_token_comes_in_the_query_or_as_bearer() {
        let gate = gate("127.0.0.1:8787");
        let none = HeaderMap::new();
        assert!(gate.check_token("token=right", &none).is_ok());
        assert!(gate.check_token("key=x&token=right", &none).is_ok());
        for wrong in ["", "token=", "token=righ", "token=rightt", "token=wrong", "nottoken=right"] {
            assert!(gate.check_token(wrong, &none).is_err(), "{wrong}");
        }
        let mut bearer = HeaderMap::new();
        bearer.insert(header::AUTHORIZATION, header::HeaderValue::from_static("Bearer right"));
        assert!(gate.check_token("", &bearer).is_ok());
        assert!(gate.check_token("token=wrong", &bearer).is_err());
    }

    #[test]
    fn parameters_are_decoded() {
        let query = "key=%28%27x%27%2C+0%29&odd=100%&half=%4&token=t";
        assert_eq!(parameter(query, "key").as_deref(), Some("('x', 0)"));
        assert_eq!(parameter(query, "odd").as_deref(), Some("100%"));
        assert_eq!(parameter(query, "half").as_deref(), Some("%4"));
        assert_eq!(parameter(query, "none"), None);
    }
}
