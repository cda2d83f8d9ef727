//! A browser, as far as these tests need one.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use mobula::Cluster;
use mobula::dashboard::{Dashboard, DashboardSettings};

/// A cluster that is shown.
pub(crate) struct Shown {
    pub(crate) dashboard: Dashboard,
    pub(crate) cluster: Cluster,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The lines of the head, in small letters.
    pub(crate) head: Vec<String>,
    pub(crate) body: String,
}

pub(crate) fn shown() -> Shown {
    let cluster = Cluster::builder().workers(1).start().expect("a cluster starts");
    let settings = DashboardSettings::default().port(0);
    let dashboard = Dashboard::start(&cluster, settings).expect("a port is free");
    Shown { dashboard, cluster }
}

impl Shown {
    pub(crate) fn address(&self) -> SocketAddr {
        self.dashboard.address()
    }

    pub(crate) fn token(&self) -> String {
        let url = self.dashboard.url();
        url.split_once("?token=").expect("the URL has a token").1.to_owned()
    }

    /// Asks as a page does.
    pub(crate) fn get(&self, path: &str) -> Answer {
        let sign = if path.contains('?') { '&' } else { '?' };
        self.ask("GET", &format!("{path}{sign}token={}", self.token()), &self.address().to_string())
    }

    pub(crate) fn ask(&self, method: &str, path: &str, host: &str) -> Answer {
        self.send(&format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
    }

    pub(crate) fn send(&self, request: &str) -> Answer {
        let mut socket = TcpStream::connect(self.address()).expect("the dashboard listens");
        socket.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        let mut head = head.lines().map(str::to_lowercase);
        let status = head.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        Answer { status: status.expect("a status"), head: head.collect(), body: body.to_owned() }
    }

    /// Whether one more may read what happens; if so, he leaves at once.
    pub(crate) fn opens_events(&self) -> bool {
        let mut socket = TcpStream::connect(self.address()).expect("the dashboard listens");
        let (token, address) = (self.token(), self.address());
        let request = format!("GET /events?token={token} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        socket.write_all(request.as_bytes()).expect("it reads");
        let mut status = String::new();
        BufReader::new(socket).read_line(&mut status).expect("it answers");
        status.starts_with("HTTP/1.1 200 ")
    }

    /// Opens the stream of what happens.
    pub(crate) fn events(&self) -> impl Iterator<Item = (String, String)> + use<> {
        let mut socket = TcpStream::connect(self.address()).expect("the dashboard listens");
        let (token, address) = (self.token(), self.address());
        let request = format!("GET /events?token={token} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        socket.write_all(request.as_bytes()).expect("it reads");
        let mut lines = BufReader::new(socket).lines().map_while(Result::ok);
        std::iter::from_fn(move || {
            let name = lines.find_map(|line| Some(line.strip_prefix("event: ")?.to_owned()))?;
            let data = lines.next()?.strip_prefix("data: ")?.to_owned();
            Some((name, data))
        })
    }
}
