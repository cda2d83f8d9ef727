//! What is answered on which path.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, ContentType};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use serde::Serialize;

use super::events::{self, Readers};
use super::gate::{Gate, parameter};
use super::graph::{graph_of, states_of};
use super::keys::meant_by;
use super::metrics::metrics;
use crate::client::{Client, Explanation};
use crate::monitor::Monitor;

/// What the answers are made of.
pub(super) struct Answers {
    pub(super) gate: Gate,
    pub(super) client: Client,
    pub(super) monitor: Monitor,
    /// The pages that read what happens.
    pub(super) readers: Arc<Readers>,
}

/// Files of the page: path, kind, text.
macro_rules! files {
    ($($path:literal, $kind:literal, $file:literal;)*) => {
        &[$(($path, $kind, include_str!($file))),*]
    };
}

const FILES: &[(&str, &str, &str)] = files! {
    "/app.css", "text/css", "page/app.css";
    "/app.js", "text/javascript", "page/app.js";
    "/counts.js", "text/javascript", "page/counts.js";
    "/elements.js", "text/javascript", "page/elements.js";
    "/errors.js", "text/javascript", "page/errors.js";
    "/flow.js", "text/javascript", "page/flow.js";
    "/graph.js", "text/javascript", "page/graph.js";
    "/graph-node.js", "text/javascript", "page/graph-node.js";
    "/live.js", "text/javascript", "page/live.js";
    "/lookup.js", "text/javascript", "page/lookup.js";
    "/memory.js", "text/javascript", "page/memory.js";
    "/notices.js", "text/javascript", "page/notices.js";
    "/runs.js", "text/javascript", "page/runs.js";
    "/workers.js", "text/javascript", "page/workers.js";
    "/page/theme.css", "text/css", "../page/theme.css";
    "/page/format.js", "text/javascript", "../page/format.js";
    "/page/surface.js", "text/javascript", "../page/surface.js";
    "/page/tables.js", "text/javascript", "../page/tables.js";
    "/page/spans.js", "text/javascript", "../page/spans.js";
    "/page/stream-draw.js", "text/javascript", "../page/stream-draw.js";
    "/page/stream-input.js", "text/javascript", "../page/stream-input.js";
    "/page/stream.js", "text/javascript", "../page/stream.js";
    "/page/charts.js", "text/javascript", "../page/charts.js";
};

/// What is known of a key.
#[derive(Serialize)]
struct Told {
    key: String,
    explanation: String,
    story: Vec<String>,
}

/// Answers whatever is asked.
pub(super) async fn answer(request: HttpRequest, answers: web::Data<Answers>) -> HttpResponse {
    let (path, query) = (request.path(), request.query_string());
    if let Err((status, why)) = answers.gate.check_way(request.method(), request.headers()) {
        return plain(HttpResponse::build(status), why);
    }
    if path == "/health" {
        return plain(HttpResponse::Ok(), concat!("ok, Mobula ", env!("CARGO_PKG_VERSION"), "\n"));
    }
    // They tell nothing of the cluster, and a page can name them without the token.
    if let Some((_, kind, text)) = FILES.iter().find(|(name, ..)| *name == path) {
        let kind = format!("{kind}; charset=utf-8");
        return HttpResponse::Ok().insert_header((header::CONTENT_TYPE, kind)).body(*text);
    }
    if let Err((status, why)) = answers.gate.check_token(query, request.headers()) {
        return plain(HttpResponse::build(status), why);
    }
    match path {
        "/" => HttpResponse::Ok()
            .insert_header(ContentType::html())
            .body(include_str!("page/index.html")),
        "/events" => answers.events(),
        "/metrics" => {
            let kind = (header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
            let text = metrics(&answers.monitor.snapshot());
            HttpResponse::Ok().insert_header(kind).body(text)
        }
        "/api/snapshot" => json(&*answers.monitor.snapshot()),
        "/api/explain" => answers.explain(parameter(query, "key")).await,
        "/api/graph" | "/api/states" => answers.graph(path, parameter(query, "run")).await,
        _ => plain(HttpResponse::NotFound(), "There is nothing here; the page is at /.\n"),
    }
}

impl Answers {
    fn events(&self) -> HttpResponse {
        if !self.readers.add() {
            let why =
                "So many pages are open that no other one is told what happens; close some.\n";
            return plain(HttpResponse::ServiceUnavailable(), why);
        }
        let events = events::stream(&self.monitor, Arc::clone(&self.readers));
        HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, "text/event-stream"))
            .streaming(events)
    }

    async fn explain(&self, key: Option<String>) -> HttpResponse {
        let Some(text) = key.filter(|key| !key.is_empty()) else {
            let why = "Say which key: /api/explain?key=…; a tuple as it is shown, ('x', 0).\n";
            return plain(HttpResponse::BadRequest(), why);
        };
        let (mut explained, mut story) = (Vec::new(), Vec::new());
        for key in meant_by(&text) {
            match self.client.explain(&key).await {
                Ok(explanation) if explanation.is_empty() => {}
                Ok(explanation) => explained.push(explanation.to_string()),
                Err(error) => return plain(HttpResponse::Gone(), format!("{error}\n")),
            }
            story.extend(self.client.story(&key).iter().map(ToString::to_string));
        }
        if explained.is_empty() {
            explained.push(Explanation::nothing(text.as_str().into()).to_string());
        }
        json(&Told { key: text, explanation: explained.join("\n"), story })
    }

    async fn graph(&self, path: &str, run: Option<String>) -> HttpResponse {
        let Some(run) = run.and_then(|run| run.parse().ok()) else {
            return plain(HttpResponse::BadRequest(), "Say which run, by its number: run=1.\n");
        };
        // That a graph is not known any more is no mistake of the page, whose browser would complain of one.
        let Some(live) = self.monitor.graph(run).await else { return json(&()) };
        if path == "/api/states" {
            return json(&states_of(&live));
        }
        // Some milliseconds for a large graph; others are answered meanwhile.
        match web::block(move || graph_of(&live)).await {
            Ok(graph) => json(&graph),
            Err(_) => plain(HttpResponse::InternalServerError(), "The graph cannot be drawn.\n"),
        }
    }
}

fn plain(mut response: HttpResponseBuilder, text: impl Into<String>) -> HttpResponse {
    let text: String = text.into();
    let mut response = response.insert_header(ContentType::plaintext()).body(text);
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        let allowed = header::HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

fn json(what: &impl Serialize) -> HttpResponse {
    match serde_json::to_string(what) {
        Ok(text) => HttpResponse::Ok().insert_header(ContentType::json()).body(text),
        Err(error) => plain(HttpResponse::InternalServerError(), format!("{error}\n")),
    }
}
