//! The command as its users call it: arguments in, text and an exit code out.

pub(super) mod samples;
mod server;

use std::ffi::OsString;
use std::fs;
use std::net::TcpListener;

use super::program::{Surroundings, run_in};
use server::{Server, json, status};

/// What a call of the command gave.
#[derive(Debug, PartialEq)]
struct Told {
    code: u8,
    out: String,
    err: String,
}

fn call_with(arguments: &[&str], dashboard: Option<&str>) -> Told {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let arguments = arguments.iter().map(OsString::from);
    let dashboard = dashboard.map(OsString::from);
    let surroundings = Surroundings { out: &mut out, dashboard, is_terminal: false };
    let code = run_in(arguments, surroundings, &mut err);
    let text = |bytes| String::from_utf8(bytes).expect("texts are UTF-8");
    Told { code, out: text(out), err: text(err) }
}

fn call(arguments: &[&str]) -> Told {
    call_with(arguments, None)
}

#[track_caller]
fn fails(arguments: &[&str], code: u8, message: &str) {
    let err = format!("mobula: {message}\n");
    assert_eq!(call(arguments), Told { code, out: String::new(), err });
}

#[test]
fn help_is_told_of_each_command() {
    for (arguments, starts) in [
        (&["--help"][..], "Looks at programs"),
        (&["help"], "Looks at programs"),
        (&["report", "-h"], "Writes what a journal holds"),
        (&["top", "--help"], "Shows what a program does"),
        (&["explain", "--help"], "Says what is known of a key"),
        (&["--version"], "mobula "),
    ] {
        let told = call(arguments);
        assert!(told.code == 0 && told.err.is_empty() && told.out.starts_with(starts), "{told:?}");
        assert!(told.out.lines().all(|line| line.chars().count() <= 120), "{told:?}");
    }
}

#[test]
fn arguments_that_make_no_sense_are_told() {
    fails(&[], 2, "say what to do: report, top or explain\nTry `mobula --help`.");
    fails(
        &["tpo"],
        2,
        "there is no command `tpo`; there are report, top and explain\nTry `mobula --help`.",
    );
    fails(
        &["report"],
        2,
        "say which journal: `mobula report JOURNAL`\nTry `mobula report --help`.",
    );
    fails(&["explain"], 2, "say which key: `mobula explain KEY`\nTry `mobula explain --help`.");
    fails(&["top", "a", "b"], 2, "unexpected argument \"b\"\nTry `mobula top --help`.");
    fails(&["top", "--twice"], 2, "invalid option '--twice'\nTry `mobula top --help`.");
    fails(
        &["top", "--interval", "0"],
        2,
        "cannot parse argument \"0\": it is between 0.05 and 3600 seconds\nTry `mobula top --help`.",
    );
    fails(
        &["report", "j", "--color", "red"],
        2,
        "cannot parse argument \"red\": it is one of time, memory, order, prefix\nTry `mobula report --help`.",
    );
}

#[test]
fn without_an_address_it_is_told_where_to_put_one() {
    let message = "which dashboard? Give its URL, as the program prints it, or put it into the environment variable \
                   MOBULA_DASHBOARD";
    fails(&["top"], 2, message);
    fails(&["explain", "x"], 2, message);
    let told = call_with(&["top"], Some("nonsense"));
    assert_eq!(told.code, 2);
    assert!(told.err.starts_with("mobula: `nonsense` is not the URL of a dashboard; "), "{told:?}");
}

#[test]
fn a_dashboard_that_is_not_there_is_told() {
    // Nobody listens on a port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let address = port.expect("there is a free port");
    let told = call(&["top", &format!("http://{address}/?token=secret")]);
    assert_eq!(told.code, 1);
    let start = format!("mobula: nothing answers at {address}: ");
    assert!(told.err.starts_with(&start), "{told:?}");
    assert!(told.err.ends_with("; is the program with the dashboard still there?\n"), "{told:?}");
    assert!(!told.err.contains("secret"));
}

#[test]
fn what_is_wrong_with_an_answer_is_told() {
    for (answer, message) in [
        (
            status(401, "text/plain", "The token is missing or wrong.\n"),
            "the dashboard at ADDRESS does not take the token; give the whole URL that the program has printed, \
             in quotes",
        ),
        (
            status(404, "text/html", "<h1>It works</h1>"),
            "what answers at ADDRESS is not a Mobula dashboard: it answered /api/snapshot with the status 404",
        ),
        (
            status(200, "text/html", "<h1>It works</h1>"),
            "what answers at ADDRESS is not a Mobula dashboard: its answer to /api/snapshot makes no sense; is it \
             of another version?",
        ),
        (
            "220 mail.example ESMTP\r\n".to_owned(),
            "what answers at ADDRESS is not a Mobula dashboard: it does not speak HTTP",
        ),
        (
            status(503, "text/plain", "So many pages\x1b are open.\n"),
            "the dashboard at ADDRESS says: So many pages  are open.",
        ),
    ] {
        let server = Server::with(vec![answer]);
        let told = call(&["top", &server.url()]);
        let err = format!("mobula: {}\n", message.replace("ADDRESS", &server.address()));
        assert_eq!(told, Told { code: 1, out: String::new(), err });
    }
}

#[test]
fn how_things_stand_is_shown_once() {
    let server = Server::with(vec![json(&samples::snapshot())]);
    let told = call(&["top", &server.url(), "--once"]);
    assert_eq!((told.code, told.err.as_str()), (0, ""));
    assert!(told.out.starts_with("Mobula 0.1.0  process 4242  up 2 m 05 s"), "{}", told.out);
    assert_eq!(server.asked(), ["GET /api/snapshot?token=s3cret HTTP/1.0"]);
}

#[test]
fn a_snapshot_of_a_newer_version_is_shown() {
    let mut snapshot = serde_json::to_value(samples::snapshot()).expect("it is plain data");
    snapshot["weather"] = "fine".into();
    let server = Server::with(vec![json(&snapshot)]);
    assert_eq!(call(&["top", &server.url()]).code, 0);
}

#[test]
fn a_key_is_explained() {
    let told = serde_json::json!({
        "key": "('x', 0)",
        "explanation": "The task waits.\nIt needs y.\n",
        "story": ["it was submitted", "it \x1b[2J failed"],
    });
    let server = Server::with(vec![json(&told)]);
    let explained = call_with(&["explain", "('x', 0)"], Some(&server.url()));
    let out = "The task waits.\nIt needs y.\n\nWhat happened:\n  it was submitted\n  it \u{fffd}[2J failed\n";
    assert_eq!(explained, Told { code: 0, out: out.to_owned(), err: String::new() });
    assert_eq!(server.asked(), ["GET /api/explain?key=%28%27x%27%2C%200%29&token=s3cret HTTP/1.0"]);
}

#[test]
fn a_journal_becomes_a_page_beside_it() {
    let directory = tempfile::tempdir().expect("there is room");
    let journal = directory.path().join("trace.jsonl");
    fs::write(&journal, samples::JOURNAL).expect("it can be written");
    let journal = journal.to_str().expect("it is text");
    let page = directory.path().join("trace.html");
    let told = call(&["report", journal]);
    let out = format!("wrote {}\n", page.display());
    assert_eq!(told, Told { code: 0, out, err: String::new() });
    assert!(fs::read_to_string(page).expect("it was written").starts_with("<!doctype html>"));
}

#[test]
fn a_journal_becomes_a_trace_and_a_picture() {
    let directory = tempfile::tempdir().expect("there is room");
    let path = |name: &str| directory.path().join(name).to_str().expect("it is text").to_owned();
    let (journal, trace, picture) = (path("j.jsonl"), path("t.json"), path("p.svg"));
    fs::write(&journal, samples::JOURNAL).expect("it can be written");
    let told = call(&["report", &journal, "--trace", &trace, "--svg", &picture, "--color=prefix"]);
    assert_eq!(told.out, format!("wrote {trace}\nwrote {picture}\n"));
    let svg = fs::read_to_string(&picture).expect("it was written");
    assert!(svg.starts_with("<svg ") && svg.contains("coloured by key prefix"));
    let json = fs::read(&trace).expect("it was written");
    serde_json::from_slice::<serde_json::Value>(&json).expect("it is JSON");
    assert!(!directory.path().join("j.html").exists());

    let told = call(&["report", &journal, "--svg", "-"]);
    assert!(told.out.starts_with("<svg ") && told.out.ends_with("</svg>\n"));
    let message = format!("{journal}: run 7 is not in it; there are 1");
    fails(&["report", &journal, "--svg", "-", "--run", "7"], 1, &message);
}

#[test]
fn a_file_that_is_no_journal_is_told() {
    let told = call(&["report", "/nowhere/trace.jsonl"]);
    assert_eq!((told.code, told.out.as_str()), (1, ""));
    assert!(told.err.contains("/nowhere/trace.jsonl"), "{told:?}");
}
