//! The page: nothing in it is markup that came with a key, its numbers are those of the recording, and it is small.

use super::words::Escaped;
use super::write_html;
use crate::monitor::{Ended, Record, Recorder, Recording};
use crate::report::samples::{EVIL, failed, recording};

fn page(recording: &Recording) -> String {
    let mut out = Vec::new();
    write_html(recording, &mut out).expect("a vector takes everything");
    String::from_utf8(out).expect("a page is text")
}

fn has_section(page: &str, id: &str) -> bool {
    page.contains(&format!("<section class=\"card\" id=\"{id}\""))
        && page.contains(&format!("href=\"#{id}\""))
}

const SECTIONS: [&str; 9] = [
    "runs",
    "stream",
    "prefixes",
    "memory",
    "workers",
    "graph",
    "errors",
    "incidents",
    "callbacks",
];

#[test]
fn no_text_becomes_markup() {
    let page = page(&failed());
    let scripts = |page: &str| page.matches("<script").count();
    let empty = self::page(&Recording::default());
    assert_eq!(scripts(&page), scripts(&empty), "no script came with the texts");
    assert!(!page.contains(EVIL) && !page.contains("<!--"));
    // Key prefix, callback, run's error, failed task with text and details, spilled key, lost worker, version.
    let shown = page.matches(&Escaped(EVIL).to_string()).count();
    assert!(shown >= 9, "the texts are shown: {shown}");
}

#[test]
fn all_sections_are_there() {
    let page = page(&failed());
    for id in SECTIONS {
        assert!(has_section(&page, id), "{id}");
    }
    assert!(page.contains("<strong>Run 7 failed:</strong>"));
    assert!(page.contains("given up after its only attempt"));
}

#[test]
fn records_that_contradict_each_other_have_a_page() {
    let keys = Record::Keys {
        run: 1,
        first: 0,
        keys: vec!["a".to_owned(), "b".to_owned()],
        prefixes: vec![9],
        new_prefixes: Vec::new(),
        needs: vec![vec![1], vec![7, 0]],
    };
    let (tasks, bytes) = (vec![0, 5], vec![1]);
    let ended = Ended { run: 1, worker: 3, from: 90, to: 20, tasks, bytes, failed: false };
    let cached = Record::Cached { at: -1.0, run: 2, tasks: vec![8] };
    let page = page(&recording([keys, Record::Ended(ended), cached]));
    assert!(page.contains("<title>Mobula report: 2 runs, 2 tasks, not ended</title>"));
}

#[test]
fn endless_errors_are_shortened() {
    let failed = (0..100).map(|_| Record::Failed {
        at: 1.0,
        run: 1,
        task: 0,
        error: "é".repeat(100_000),
        details: "line\n".repeat(100_000),
    });
    let length = page(&recording(failed)).len() - page(&Recording::default()).len();
    assert!(length < 2_000_000, "{length} bytes for 70 MB of errors");
}

#[test]
fn an_empty_recording_has_a_page() {
    let page = page(&Recording::default());
    for text in ["No run was seen.", "No task was seen.", "Nobody looked", "No callback was called"]
    {
        assert!(page.contains(text), "{text}");
    }
    assert!(!has_section(&page, "errors") && !has_section(&page, "graph"));
}

#[test]
fn a_run_without_an_end_is_told() {
    let page = page(&recording([Record::Run { at: 1.0, run: 3, tasks: 2, spared: 0 }]));
    assert!(page.contains("<strong>Run 3 has no end:</strong>"), "{page}");
    assert!(page.contains("<title>Mobula report: 1 run, 2 tasks, not ended</title>"));
}

#[test]
fn numbers_are_those_of_the_recording() {
    let page = page(&failed());
    let row = |start: &str| {
        let at = page.find(start).unwrap_or_else(|| panic!("there is a row with {start}"));
        page[at..].split("</tr>").next().expect("a row ends").to_owned()
    };
    let numbers = |row: &str| -> Vec<String> {
        let values = row.split("data-value=\"").skip(1);
        values.map(|value| value.split('"').next().expect("it is quoted").to_owned()).collect()
    };
    // Tasks, failed, time, mean, longest, bytes, share: of 3 attempts 9 µs, of 13.5 µs in all.
    let sum = row("</span>sum</th>");
    assert_eq!(numbers(&sum)[..6], ["2", "1", "9000", "3000", "3000", "1234567"]);
    // Worker 0 was in two tasks at once for a while: it was busy for 4.5 µs.
    let workers = &page[page.find("id=\"workers\"").expect("there are workers")..];
    let worker = workers.split("<tr>").nth(2).expect("there is a first one");
    assert_eq!(numbers(worker)[..5], ["0", "0", "2", "0", "4500"]);
    let run = row("<th scope=\"row\" data-value=\"7\">");
    assert_eq!(numbers(&run), ["7", "1000", "9000", "6", "4", "0", "1", "1"]);
}

#[test]
fn it_asks_for_nothing() {
    let page = page(&failed());
    assert!(page.contains("content=\"default-src 'none'; script-src 'unsafe-inline';"));
    // Drawings name their language, and parts of themselves.
    let page = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "").replace("url(#", "");
    for request in [" src=", "url(", "@import", "http://", "https://", "fetch(", "import("] {
        assert!(!page.contains(request), "{request}");
    }
}

#[test]
fn a_million_tasks_take_16_megabytes_though_their_keys_are_random() {
    let tasks = 1_000_000;
    let mut recorder = Recorder::new();
    let mut random: u64 = 1;
    let mut next = || {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        random ^ (random >> 29)
    };
    let keys = (0..tasks).map(|_| format!("inc-{:016x}{:016x}", next(), next())).collect();
    let (prefixes, needs) = (vec![0; tasks as usize], vec![Vec::new(); tasks as usize]);
    let new_prefixes = vec!["inc".to_owned()];
    recorder.add(Record::Run { at: 0.0, run: 1, tasks, spared: 0 });
    recorder.add(Record::Keys { run: 1, first: 0, keys, prefixes, new_prefixes, needs });
    let mut ends = [0; 4];
    for task in 0..tasks {
        let worker = task % 4;
        let from = ends[worker as usize] + next() % 4096;
        let to = from + next() % 1_000_000;
        ends[worker as usize] = to;
        let (tasks, bytes) = (vec![task], vec![next() % 1_000_000]);
        recorder.add(Record::Ended(Ended {
            run: 1,
            worker,
            from,
            to,
            tasks,
            bytes,
            failed: false,
        }));
    }
    let length = page(recorder.recording()).len();
    // Of that many keys the middles are left out. Keys in order take half as much.
    assert!(length < 20_000_000, "{length} bytes for {tasks} tasks");
}
