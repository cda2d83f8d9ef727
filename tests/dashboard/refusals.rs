//! Who may not look.

use std::net::TcpListener;

use mobula::Cluster;
use mobula::dashboard::{Dashboard, DashboardSettings};

use crate::asking::{Shown, shown};
use crate::watchdog::watched;

#[test]
fn without_the_token_nothing_is_told() {
    watched(|| {
        let shown = shown();
        let host = shown.address().to_string();
        let paths =
            ["/", "/events", "/metrics", "/api/snapshot", "/api/explain?key=x", "/api/graph?run=1"];
        for path in paths {
            for wrong in ["", "token=", "token=00000000000000000000000000000000"] {
                let sign = if path.contains('?') { '&' } else { '?' };
                let answer = shown.ask("GET", &format!("{path}{sign}{wrong}"), &host);
                assert_eq!(answer.status, 401, "{path} {wrong}");
                assert!(answer.body.contains("dashboard_url()"), "{}", answer.body);
            }
            // That one is answered for ever.
            if path != "/events" {
                assert_ne!(shown.get(path).status, 401, "{path}");
            }
        }
        let token = shown.token();
        assert_eq!(token.len(), 32);
        let bearer = format!(
            "GET /metrics HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(shown.send(&bearer).status, 200);
    });
}

#[test]
fn a_foreign_host_is_refused_whatever_the_token() {
    watched(|| {
        let shown = shown();
        let (port, token) = (shown.address().port(), shown.token());
        for host in
            ["evil.example".to_owned(), format!("evil.example:{port}"), "127.0.0.1:1".to_owned()]
        {
            for path in ["/", "/health", "/app.css", "/api/snapshot"] {
                let answer = shown.ask("GET", &format!("{path}?token={token}"), &host);
                assert_eq!(answer.status, 421, "{host} {path}");
                assert!(!answer.body.contains(&token));
            }
        }
        for host in [format!("localhost:{port}"), format!("[::1]:{port}")] {
            assert_eq!(shown.ask("GET", &format!("/?token={token}"), &host).status, 200, "{host}");
        }
    });
}

#[test]
fn what_would_change_something_is_refused() {
    watched(|| {
        let shown = shown();
        let host = shown.address().to_string();
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
            let answer = shown.ask(method, &format!("/?token={}", shown.token()), &host);
            assert_eq!(answer.status, 405, "{method}");
            assert!(answer.head.contains(&"allow: get, head".to_owned()), "{:?}", answer.head);
        }
        let head = shown.ask("HEAD", &format!("/?token={}", shown.token()), &host);
        assert_eq!((head.status, head.body.as_str()), (200, ""));
    });
}

#[test]
fn every_answer_forbids_what_a_page_does_not_need() {
    watched(|| {
        let shown = shown();
        let host = shown.address().to_string();
        for path in ["/health", "/page/stream.js", "/nothing", "/"] {
            let answer = shown.ask("GET", path, &host);
            for header in [
                "content-security-policy: default-src 'none'; script-src 'self';",
                "x-content-type-options: nosniff",
                "referrer-policy: no-referrer",
                "cross-origin-resource-policy: same-origin",
                "cache-control: no-store",
            ] {
                let has = answer.head.iter().any(|line| line.starts_with(header));
                assert!(has, "{path}: no {header} in {:?}", answer.head);
            }
            assert!(!answer.head.iter().any(|line| line.contains("access-control")));
        }
    });
}

#[test]
fn a_port_that_is_taken_leads_to_the_next() {
    watched(|| {
        let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let cluster = Cluster::builder().workers(1).start().unwrap();
        // The last port has no next one.
        if port < u16::MAX - 64 {
            let settings = DashboardSettings::default().port(port);
            let dashboard = Dashboard::start(&cluster, settings).unwrap();
            assert!(dashboard.address().port() > port);
        }
        let settings = DashboardSettings::default().address("192.0.2.1".parse().unwrap());
        let error = Dashboard::start(&cluster, settings).unwrap_err().to_string();
        assert!(
            error.starts_with("no dashboard: nothing can listen on 192.0.2.1, port 8787: "),
            "{error}"
        );
    });
}

#[test]
fn the_url_of_a_dashboard_on_all_addresses_can_be_opened() {
    watched(|| {
        let cluster = Cluster::builder().workers(1).start().unwrap();
        let settings = DashboardSettings::default().port(0).address("0.0.0.0".parse().unwrap());
        let dashboard = Dashboard::start(&cluster, settings).unwrap();
        assert!(dashboard.address().ip().is_unspecified());
        let host = format!("127.0.0.1:{}", dashboard.address().port());
        assert!(dashboard.url().starts_with(&format!("http://{host}/?token=")));
        let shown = Shown { dashboard, cluster };
        assert_eq!(shown.ask("GET", &format!("/?token={}", shown.token()), &host).status, 200);
    });
}
