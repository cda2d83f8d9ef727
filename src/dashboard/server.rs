//! [`Dashboard`]: the server, on a thread of its own, and where it listens.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::middleware::DefaultHeaders;
use actix_web::{App, HttpServer, web};
use futures::StreamExt;

use super::answers::{Answers, answer};
use super::events::Readers;
use super::gate::Gate;
use crate::client::Client;
use crate::monitor::{Monitor, Updates};

/// So many ports are tried, from the one that was asked for on.
const TRIES: u16 = 64;

/// What a page may do: what it has from here, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Where a dashboard listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DashboardSettings {
    /// The address. Whoever can reach it and has the token sees the cluster, and what is sent is not encrypted;
    /// so it is this machine alone (127.0.0.1) unless you say otherwise.
    ///
    /// All addresses of this machine are 0.0.0.0 and `::`. What asks must name the machine, in its header `Host`,
    /// as `localhost` or by a number, with the port: by one of 127.0.0.0/8 or `[::1]`, or, if this is an address for
    /// other machines, by any. Other names are refused, as a foreign site can have its own name point here.
    pub address: IpAddr,
    /// The port; if it is taken, the next free one. 0 is any.
    pub port: u16,
}

impl Default for DashboardSettings {
    fn default() -> Self {
        Self { address: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 8787 }
    }
}

impl DashboardSettings {
    /// The same with another port.
    #[must_use]
    pub fn port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// The same with another address.
    #[must_use]
    pub fn address(self, address: IpAddr) -> Self {
        Self { address, ..self }
    }
}

/// A dashboard that cannot be shown. The message says where it was to be and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DashboardError(String);

/// A page that shows a cluster, served until this is dropped or the cluster ends.
///
/// When the cluster ends, pages that are open are told, and keep their last numbers; then nobody listens any more:
/// the port is free, and whoever asks for `/health` or `/metrics` sees that nobody is there.
///
/// # Examples
///
/// ```
/// use mobula::Cluster;
/// use mobula::dashboard::{Dashboard, DashboardSettings};
///
/// let cluster = Cluster::builder().workers(1).start()?;
/// let dashboard = Dashboard::start(&cluster, DashboardSettings::default())?;
/// println!("look at {}", dashboard.url());
/// # assert!(dashboard.url().starts_with("http://127.0.0.1:"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "the dashboard is gone when this is dropped"]
pub struct Dashboard {
    address: SocketAddr,
    token: String,
    server: ServerHandle,
    thread: Option<JoinHandle<()>>,
    /// As long as there is a dashboard, somebody looks.
    monitor: Monitor,
    readers: Arc<Readers>,
}

impl Dashboard {
    /// Shows a cluster.
    ///
    /// # Errors
    ///
    /// [`DashboardError`] if no port is free, the address is none of this machine, or the cluster has ended.
    pub fn start(client: &Client, settings: DashboardSettings) -> Result<Self, DashboardError> {
        let refused = |reason: String| DashboardError(format!("no dashboard: {reason}"));
        let listener = listen(settings).map_err(refused)?;
        let address = listener.local_addr().map_err(|error| refused(error.to_string()))?;
        let token = new_token().map_err(refused)?;
        let monitor = client.monitor().map_err(|error| refused(error.to_string()))?;
        let readers = Arc::<Readers>::default();
        let data = web::Data::new(Answers {
            gate: Gate::new(token.clone(), address),
            client: client.clone(),
            monitor: monitor.clone(),
            readers: Arc::clone(&readers),
        });
        let (sender, started) = mpsc::channel();
        let body = move || {
            let served = actix_rt::System::new().block_on(serve(listener, data, &sender));
            if let Err(error) = served {
                log::error!("the dashboard has ended: {error}");
            }
        };
        let thread = std::thread::Builder::new().name("mobula-dashboard".to_owned());
        let thread = thread.spawn(body).map_err(|error| refused(error.to_string()))?;
        let Ok(server) = started.recv() else {
            return Err(refused("its server cannot start; the log says why".to_owned()));
        };
        Ok(Self { address, token, server, thread: Some(thread), monitor, readers })
    }

    /// Where it is to be seen. The token in it is what lets the page in: give it to nobody who may not look.
    ///
    /// Of a dashboard on all addresses (0.0.0.0 or `::`) this is the URL for browsers on this machine; on other
    /// machines, put an address of this one in its place.
    pub fn url(&self) -> String {
        format!("http://{}/?token={}", reachable(self.address), self.token)
    }

    /// Where it listens: 0.0.0.0 or `::` on all addresses.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it knows.
    pub fn monitor(&self) -> &Monitor {
        &self.monitor
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        self.readers.dismiss();
        let is_graceful = true;
        // The command is sent by this call; its end is that of the thread.
        drop(self.server.stop(is_graceful));
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            log::error!("the thread of the dashboard ended with a panic");
        }
    }
}

/// Where this machine reaches what listens there: nobody can open all addresses.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

async fn serve(
    listener: TcpListener,
    data: web::Data<Answers>,
    started: &mpsc::Sender<ServerHandle>,
) -> io::Result<()> {
    let updates = data.monitor.updates();
    let app = move || {
        let headers = DefaultHeaders::new()
            .add(("Content-Security-Policy", POLICY))
            .add(("X-Content-Type-Options", "nosniff"))
            .add(("Cross-Origin-Resource-Policy", "same-origin"))
            .add(("Cross-Origin-Opener-Policy", "same-origin"))
            .add(("Referrer-Policy", "no-referrer"))
            .add(("Cache-Control", "no-store"));
        App::new().wrap(headers).app_data(data.clone()).default_service(web::to(answer))
    };
    let server = HttpServer::new(app)
        .workers(1)
        .disable_signals()
        // Pages are told that it ends, and one that does not listen is not waited for.
        .shutdown_timeout(1)
        .client_request_timeout(Duration::from_secs(10))
        .listen(listener)?
        .run();
    // Whoever starts it waits for this.
    started.send(server.handle()).ok();
    let ended = actix_rt::spawn(stop_with_cluster(updates, server.handle()));
    let outcome = server.await;
    ended.abort();
    outcome
}

/// Ends the server when the cluster has ended. Open pages hear of it as this does, and are waited for.
async fn stop_with_cluster(updates: Updates, server: ServerHandle) {
    updates.for_each(|_| std::future::ready(())).await;
    let is_graceful = true;
    server.stop(is_graceful).await;
}

/// Listens on the port, or on the next one that is free.
fn listen(settings: DashboardSettings) -> Result<TcpListener, String> {
    let DashboardSettings { address, port } = settings;
    let mut port_tried = port;
    loop {
        match TcpListener::bind((address, port_tried)) {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => {
                return Err(format!(
                    "nothing can listen on {address}, port {port_tried}: {error}; name another address or \
                     port"
                ));
            }
        }
        if port_tried == u16::MAX || port_tried - port >= TRIES {
            return Err(format!(
                "the ports {port} to {port_tried} of {address} are all taken; name another one, or 0 for any"
            ));
        }
        port_tried += 1;
    }
}

/// 128 bits of chance, in hexadecimal digits.
fn new_token() -> Result<String, String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| format!("the system gives no token: {error}"))?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}
