//! Asking a dashboard: what its URL means, and why it does not answer.

use std::time::Duration;

use serde::de::DeserializeOwned;
use ureq::Agent;
use ureq::http::StatusCode;

/// The variable in which the URL of a dashboard may stand.
pub(super) const VARIABLE: &str = "MOBULA_DASHBOARD";

/// A dashboard, from outside.
pub(super) struct Page {
    agent: Agent,
    /// Scheme, host and port.
    origin: String,
    token: String,
}

impl Page {
    /// The dashboard at a URL as it was printed: `http://127.0.0.1:8787/?token=…`.
    pub(super) fn at(url: &str) -> Result<Self, String> {
        let unlike = || {
            format!(
                "`{url}` is not the URL of a dashboard; it looks like http://127.0.0.1:8787/?token=…, as the \
                 program has printed it"
            )
        };
        let rest = url.strip_prefix("http://").ok_or_else(unlike)?;
        let (host, query) = match rest.split_once('/') {
            Some((host, rest)) => (host, rest.strip_prefix('?').unwrap_or_default()),
            None => rest.split_once('?').unwrap_or((rest, "")),
        };
        if host.is_empty() || host.contains('@') {
            return Err(unlike());
        }
        let token = query.split('&').find_map(|pair| pair.strip_prefix("token="));
        let Some(token) = token.filter(|token| !token.is_empty()) else {
            return Err(format!(
                "`{url}` has no token; take the whole URL that the program has printed, with ?token=…"
            ));
        };
        let config = Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(10)))
            .http_status_as_error(false)
            // A dashboard is on this machine or near it.
            .proxy(None)
            .max_redirects(0)
            .build();
        let origin = format!("http://{host}");
        Ok(Self { agent: config.into(), origin, token: token.to_owned() })
    }

    /// What the dashboard answers on a path.
    pub(super) fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        parameter: Option<(&str, &str)>,
    ) -> Result<T, String> {
        let url = format!("{}{path}", self.origin);
        let mut request = self.agent.get(&url).query("token", &self.token);
        if let Some((name, value)) = parameter {
            request = request.query(name, value);
        }
        let origin = &self.origin;
        let mut answer = request.call().map_err(|error| {
            format!("no dashboard answers at {origin} ({error}); is its program still running?")
        })?;
        let status = answer.status();
        let text = answer.body_mut().with_config().limit(1 << 28).read_to_string();
        let text = text.map_err(|error| format!("the answer of {origin} breaks off: {error}"))?;
        match status {
            StatusCode::OK => serde_json::from_str(&text).map_err(|error| {
                format!("what answers at {origin} is no dashboard of Mobula's: {error}")
            }),
            StatusCode::UNAUTHORIZED => Err(format!(
                "{origin} does not take the token; each start of a dashboard has one of its own, take the URL that \
                 its program has printed"
            )),
            StatusCode::BAD_REQUEST | StatusCode::GONE => Err(text.trim().to_owned()),
            status => {
                Err(format!("what answers at {origin} is no dashboard of Mobula's: {status}"))
            }
        }
    }
}
