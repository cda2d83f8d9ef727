//! A pretended dashboard: it gives the answers that it was told to, one after the other.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde::Serialize;

pub(super) struct Server {
    address: SocketAddr,
    /// The first lines of what was asked.
    asked: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// It ends when it has given its last answer.
    pub(super) fn with(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = listener.local_addr().expect("it has an address");
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let heard = Arc::clone(&asked);
        let thread = std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().expect("somebody asks");
                let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                heard.lock().expect("nobody panicked").extend(lines.next());
                // The rest of the request is read, or closing would discard the answer.
                while lines.next().is_some_and(|line| !line.is_empty()) {}
                stream.write_all(answer.as_bytes()).expect("somebody listens");
            }
        });
        Self { address, asked, thread: Some(thread) }
    }

    pub(super) fn address(&self) -> String {
        self.address.to_string()
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/?token=s3cret", self.address)
    }

    /// What it was asked, after its last answer.
    pub(super) fn asked(mut self) -> Vec<String> {
        let thread = self.thread.take().expect("this is called once");
        thread.join().expect("the server did not panic");
        self.asked.lock().expect("nobody panicked").clone()
    }
}

pub(super) fn status(code: u16, kind: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {code} Something\r\ncontent-type: {kind}; charset=utf-8\r\nconnection: close\r\n\r\n{body}"
    )
}

pub(super) fn json(what: &impl Serialize) -> String {
    status(200, "application/json", &serde_json::to_string(what).expect("it is plain data"))
}
