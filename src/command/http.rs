//! Asking a dashboard: one GET, one answer, then the connection ends.
//!
//! That is all of HTTP that is needed, so there is no library for it. The request is of HTTP/1.0, whose answers
//! come as they are and end with the connection.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::address::Address;
use super::failure::Failure;

/// How long a connection may take, and how long the dashboard may say nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// An answer that is larger is not one of a dashboard.
const LARGEST: u64 = 256 << 20;

/// The head of an answer is smaller than this.
const HEAD: usize = 64 << 10;

/// Asks for a path and reads the JSON of the answer.
pub(super) fn ask<T: DeserializeOwned>(
    address: &Address,
    path: &str,
    parameters: &[(&str, &str)],
) -> Result<T, Failure> {
    let shown = address.shown();
    let unreachable = |source| Failure::Unreachable { address: shown.clone(), source };
    let bytes = exchange(address, &address.target(path, parameters)).map_err(unreachable)?;
    let stranger = |why: &str| Failure::Stranger { address: shown.clone(), why: why.to_owned() };
    let answer = Answer::of(&bytes).ok_or_else(|| stranger("it does not speak HTTP"))?;
    match answer.status {
        200 => serde_json::from_slice(answer.body).map_err(|_| {
            stranger(&format!("its answer to {path} makes no sense; is it of another version?"))
        }),
        401 | 403 => Err(Failure::Token { address: shown }),
        // What a dashboard refuses, it refuses in words.
        400 | 410 | 421 | 503 if answer.is_text => {
            let text = String::from_utf8_lossy(answer.body);
            let harmless = |letter: char| if letter.is_control() { ' ' } else { letter };
            let text: String = text.trim().chars().take(500).map(harmless).collect();
            Err(Failure::Refused { address: shown, text })
        }
        status => Err(stranger(&format!("it answered {path} with the status {status}"))),
    }
}

/// Sends a request and reads all that comes back.
fn exchange(address: &Address, target: &str) -> io::Result<Vec<u8>> {
    let mut stream = connect(&address.host, address.port)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let host = address.shown();
    let request = format!(
        "GET {target} HTTP/1.0\r\nHost: {host}\r\nAccept: application/json\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    match stream.take(LARGEST).read_to_end(&mut answer) {
        // A server that closes at once has said what it had to say.
        Err(error) if answer.is_empty() || error.kind() != io::ErrorKind::ConnectionReset => {
            Err(error)
        }
        Ok(_) | Err(_) => Ok(answer),
    }
}

/// Tries all addresses of a host.
fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// What came back.
struct Answer<'a> {
    status: u16,
    /// Whether it says that it is plain text.
    is_text: bool,
    body: &'a [u8],
}

impl<'a> Answer<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let end = bytes.windows(4).take(HEAD).position(|window| window == b"\r\n\r\n")?;
        let head = str::from_utf8(&bytes[..end]).ok()?;
        let mut lines = head.split("\r\n");
        let mut first = lines.next()?.split(' ');
        if !first.next()?.starts_with("HTTP/1.") {
            return None;
        }
        let status = first.next()?.parse().ok()?;
        let mut kinds = lines.filter_map(|line| line.split_once(':'));
        let is_text = kinds.any(|(name, value)| {
            name.eq_ignore_ascii_case("content-type") && value.trim().starts_with("text/plain")
        });
        Some(Self { status, is_text, body: &bytes[end + 4..] })
    }
}

#[cfg(test)]
mod tests {
    use super::Answer;

    #[test]
    fn answers_are_read() {
        let bytes =
            b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nno\r\n\r\n";
        let answer = Answer::of(bytes).expect("it is an answer");
        assert_eq!((answer.status, answer.is_text, answer.body), (404, true, &b"no\r\n\r\n"[..]));
    }

    #[test]
    fn what_is_no_answer_is_seen() {
        for bytes in [
            &b""[..],
            b"SSH-2.0-OpenSSH\r\n\r\n",
            b"HTTP/1.1 200",
            b"HTTP/1.1 x OK\r\n\r\n",
            b"\xff\r\n\r\n",
        ] {
            assert!(Answer::of(bytes).is_none());
        }
    }
}
