//! Each event has what the description of the Trace Event Format asks for, and slices of a thread nest.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::write_trace;
use crate::monitor::Recording;
use crate::report::samples::{EVIL, failed};

fn events(recording: &Recording) -> Vec<Value> {
    let mut out = Vec::new();
    write_trace(recording, &mut out).expect("a vector takes everything");
    let trace: Value = serde_json::from_slice(&out).expect("a trace is JSON");
    assert_eq!(trace["displayTimeUnit"], "ms");
    trace["traceEvents"].as_array().expect("there is a list of events").clone()
}

/// Checks an event against the description: the members that its phase must have, and their types.
fn check(event: &Value) {
    let is_number = |name: &str| event[name].as_f64().is_some_and(|number| number >= 0.0);
    let has_args = || event["args"].as_object().is_some_and(|args| !args.is_empty());
    assert!(event["name"].is_string(), "every event has a name: {event}");
    assert!(event["pid"].is_u64() && event["tid"].is_u64(), "and belongs to a thread: {event}");
    let phase = event["ph"].as_str().expect("every event has a phase");
    if phase != "M" {
        assert!(is_number("ts"), "all but metadata have a time: {event}");
    }
    match phase {
        "M" => {
            let argument = match event["name"].as_str().expect("it was a string") {
                "process_name" | "thread_name" => event["args"]["name"].is_string(),
                "thread_sort_index" => event["args"]["sort_index"].is_i64(),
                name => panic!("there are no metadata `{name}`"),
            };
            assert!(argument, "metadata have the argument of their name: {event}");
        }
        "X" => {
            assert!(is_number("dur"), "complete events have a duration: {event}");
            assert!(event["cat"].is_string() && has_args(), "{event}");
            // Names of colours come from a fixed list of the viewer.
            assert!(event.get("cname").is_none_or(|name| name == "terrible"), "{event}");
        }
        "i" => assert!(["g", "p", "t"].contains(&event["s"].as_str().expect("a scope")), "{event}"),
        "C" => {
            let args = event["args"].as_object().expect("counters have series");
            assert!(!args.is_empty() && args.values().all(Value::is_number), "{event}");
        }
        "b" | "e" => {
            assert!(
                event["cat"].is_string() && event["id"].is_string(),
                "they are matched: {event}"
            );
        }
        _ => panic!("the description knows no such phase, or it is not used here: {event}"),
    }
}

/// The complete events of each thread as `(from, to)` in nanoseconds, in the order of the file.
fn slices(events: &[Value]) -> BTreeMap<u64, Vec<(u64, u64)>> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "times are short here"
    )]
    let nanoseconds = |event: &Value, name: &str| {
        (event[name].as_f64().expect("it was checked") * 1000.0).round() as u64
    };
    let mut threads: BTreeMap<u64, Vec<(u64, u64)>> = BTreeMap::new();
    for event in events.iter().filter(|event| event["ph"] == "X") {
        let (from, took) = (nanoseconds(event, "ts"), nanoseconds(event, "dur"));
        threads
            .entry(event["tid"].as_u64().expect("it was checked"))
            .or_default()
            .push((from, from + took));
    }
    threads
}

/// In a thread, a slice begins not before the one before it, and ends within all that are open.
fn check_nesting(slices: &[(u64, u64)]) {
    assert!(slices.is_sorted_by_key(|(from, _)| *from), "{slices:?}");
    let mut open: Vec<u64> = Vec::new();
    for (from, to) in slices {
        open.retain(|end| end > from);
        assert!(open.iter().all(|end| end >= to), "{from}..{to} in {slices:?}");
        open.push(*to);
    }
}

#[test]
fn every_event_is_as_described() {
    let events = events(&failed());
    for event in &events {
        check(event);
    }
    let phases: BTreeSet<&str> = events.iter().filter_map(|event| event["ph"].as_str()).collect();
    assert_eq!(phases, BTreeSet::from(["C", "M", "X", "b", "e", "i"]));
}

#[test]
fn slices_nest_and_what_overlaps_has_another_thread() {
    let threads = slices(&events(&failed()));
    for slices in threads.values() {
        check_nesting(slices);
    }
    let slices: Vec<_> = threads.into_values().collect();
    assert_eq!(slices[0], [(1000, 5500), (2000, 3000)], "worker 0");
    assert_eq!(slices[1], [(1000, 4000), (6000, 9000)], "worker 1");
    assert_eq!(slices[2], [(2000, 5000)], "what worker 1 did at the same time");
}

#[test]
fn threads_are_named_once_and_tasks_tell_their_keys() {
    let events = events(&failed());
    let names = events.iter().filter(|event| event["name"] == "thread_name");
    let names: Vec<_> =
        names.map(|event| event["args"]["name"].as_str().expect("checked")).collect();
    let beside = "worker 1 (process 4712), at the same time";
    assert_eq!(names, ["runs and incidents", "worker 0", "worker 1 (process 4712)", beside]);
    let task = events.iter().find(|event| event["cat"] == "task,failed").expect("one failed");
    assert_eq!((&task["name"], &task["args"]["run"]), (&"sum".into(), &7.into()));
    assert_eq!(task["args"]["key"], format!("{EVIL}-4"));
}

#[test]
fn runs_have_both_ends_and_incidents_say_what_happened() {
    let mut recording = failed();
    recording.runs[0].ended = None;
    let events = events(&recording);
    let run = |phase| events.iter().find(|event| event["ph"] == phase).expect("a run has two ends");
    assert_eq!((&run("b")["id"], &run("e")["id"]), (&"0x7".into(), &"0x7".into()));
    assert_eq!(run("e")["ts"], 10.0, "a run that goes on is shown to the end of the recording");
    let incident = events.iter().find(|event| event["name"] == "spilled").expect("one was spilled");
    assert_eq!((&incident["ph"], &incident["args"]["about"]), (&"i".into(), &EVIL.into()));
}

#[test]
fn an_empty_recording_is_a_trace() {
    let events = events(&Recording::default());
    assert!(events.iter().all(|event| event["ph"] == "M"), "{events:?}");
}
