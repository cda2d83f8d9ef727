//! [`Address`]: where a dashboard is, by the URL that it prints.

use std::fmt::{self, Debug, Write as _};

use super::failure::Failure;

/// Where a dashboard is, and the token that lets one in. The token is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// A name or a number, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// What stands before the paths of the dashboard; empty, or it begins with `/` and does not end so.
    base: String,
    /// As it stands in the URL.
    token: String,
}

impl Address {
    /// Reads a URL.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let not_one = || Failure::NotAnAddress { text: without_token(text).to_owned() };
        let (scheme, rest) = text.trim().split_once("://").ok_or_else(not_one)?;
        if !scheme.eq_ignore_ascii_case("http") {
            return Err(Failure::Scheme { scheme: scheme.to_owned() });
        }
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = before.split_at(before.find('/').unwrap_or(before.len()));
        let (host, port) = host_and_port(authority).ok_or_else(not_one)?;
        let is_plain = |text: &str| text.chars().all(|letter| letter.is_ascii_graphic());
        if !is_plain(before) || !is_plain(query) {
            return Err(not_one());
        }
        let token =
            query.split('&').find_map(|pair| pair.strip_prefix("token=")).unwrap_or_default();
        let base = path.trim_end_matches('/').to_owned();
        Ok(Self { host: host.to_owned(), port, base, token: token.to_owned() })
    }

    /// The path and the query of what is asked for, the token included.
    pub(super) fn target(&self, path: &str, parameters: &[(&str, &str)]) -> String {
        let mut target = format!("{}{path}?", self.base);
        for (name, value) in parameters {
            target.push_str(name);
            target.push('=');
            encode(&mut target, value);
            target.push('&');
        }
        target.push_str("token=");
        target.push_str(&self.token);
        target
    }

    /// The host and the port, as they stand in a URL and as messages show them.
    pub(super) fn shown(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

impl Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address").field("at", &self.shown()).finish_non_exhaustive()
    }
}

/// What may be shown of a text that should be a URL.
fn without_token(text: &str) -> &str {
    text.split_once('?').map_or(text, |(before, _)| before)
}

fn host_and_port(authority: &str) -> Option<(&str, u16)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = port.map_or(Some(80), |port| port.parse().ok().filter(|port| *port != 0))?;
    let is_host = !host.is_empty() && !host.contains(['@', '/', '\\']);
    is_host.then_some((host, port))
}

/// Adds text as it may stand in a query.
fn encode(target: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            target.push(char::from(byte));
        } else {
            write!(target, "%{byte:02X}").expect("writing to a string does not fail");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Address;

    fn parsed(text: &str) -> Result<(String, String), String> {
        let address = Address::parse(text).map_err(|failure| failure.to_string())?;
        Ok((address.shown(), address.target("/api/x", &[])))
    }

    #[test]
    fn urls_of_dashboards_are_read() {
        for (url, shown, target) in [
            ("http://127.0.0.1:8787/?token=a1b2", "127.0.0.1:8787", "/api/x?token=a1b2"),
            ("HTTP://localhost:80", "localhost:80", "/api/x?token="),
            (" http://[::1]:8788/?token=t#run ", "[::1]:8788", "/api/x?token=t"),
            ("http://here/proxy/8787/?run=1&token=t", "here:80", "/proxy/8787/api/x?token=t"),
        ] {
            assert_eq!(parsed(url), Ok((shown.to_owned(), target.to_owned())), "{url}");
        }
    }

    #[test]
    fn what_is_no_url_is_told_without_its_token() {
        let message = "`127.0.0.1:8787/` is not the URL of a dashboard; that looks like \
                       http://127.0.0.1:8787/?token=…, as the program prints it";
        assert_eq!(parsed("127.0.0.1:8787/?token=secret"), Err(message.to_owned()));
        for text in
            ["", "http://", "http://:80/", "http://a:b", "http://a:0", "http://u@a/", "http://a/ b"]
        {
            assert!(parsed(text).is_err(), "{text}");
        }
        let message = "`mobula` speaks http only, not https; a dashboard of another machine can be brought here with \
                       `ssh -L 8787:127.0.0.1:8787 MACHINE`";
        assert_eq!(parsed("https://a/?token=secret"), Err(message.to_owned()));
    }

    #[test]
    fn parameters_are_encoded_and_the_token_is_not_shown() {
        let address = Address::parse("http://a/?token=secret").expect("it is one");
        let target = address.target("/api/explain", &[("key", "('x', 0)&é")]);
        assert_eq!(target, "/api/explain?key=%28%27x%27%2C%200%29%26%C3%A9&token=secret");
        assert!(!format!("{address:?}").contains("secret"));
    }
}
