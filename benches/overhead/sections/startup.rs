//! The first result of a cluster, and the round trip of small graphs.
//!
//! A start is measured in a plain program, inside an actix system, and as the first thing that a fresh
//! process does: there the code is cold, and the process itself is not part of the time. Round trips
//! are the median of many runs one after the other on a cluster that is there: of a plan that was made
//! before, or with building and planning the graph (`get`); from a plain thread, or awaited on the
//! arbiter of an actix system (`async`).

use std::collections::BTreeMap;
use std::error::Error;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use actix::System;
use mobula::{Client, Cluster, Plan, Results};

use crate::arguments::{Arguments, Extent};
use crate::figures::{median, micros};
use crate::keyed::{Naming, texts};
use crate::measure::{Clock, once, timed};
use crate::peers;
use crate::peers::RAYON;
use crate::report::{Cost, Row, Section};
use crate::rounds::{Contender, Rounds, Samples, interleaved, of};
use crate::shapes::Shape;
use crate::subject::Failure;
use crate::table::{grid, pivot};
use crate::target::Target;
use crate::work::Work;

/// The section's name.
pub(super) const NAME: &str = "startup";

/// The argument that makes this program start a cluster, print how long the first result took, and end.
pub(crate) const FLAG: &str = "--first-result";

const PLAIN: &str = "plain_program";
const SYSTEM: &str = "actix_system";
const PROCESS: &str = "fresh_process";
const RUN: &str = "mobula";
const RUN_ASYNC: &str = "mobula_async";
const GET: &str = "mobula_get";
const GET_ASYNC: &str = "mobula_get_async";

/// The names of all that is measured, the peers' included.
pub(super) const SUBJECTS: [&str; 9] =
    [PLAIN, SYSTEM, PROCESS, RUN, RUN_ASYNC, GET, GET_ASYNC, RAYON, "tokio"];

/// The time until the first result, and the time to end the cluster again.
struct Start {
    first: Duration,
    end: Duration,
}

/// What is run over and over.
struct Ground {
    name: &'static str,
    shape: Arc<Shape>,
    texts: Vec<String>,
    plan: Arc<Plan>,
}

/// Measures the section.
pub(super) fn run(arguments: &Arguments, workers: usize) -> Section {
    println!("{NAME}");
    let mut notes = Vec::new();
    let mut rows = starts(arguments, workers, &mut notes);
    if let Err(failure) = round_trips(arguments, workers, &mut rows, &mut notes) {
        notes.push(format!("{NAME}: {failure}"));
    }
    Section { text: text(&rows), rows, notes }
}

/// The first result of a cluster in a process of its own: what the flag asks for.
pub(crate) fn serve(workers: usize) -> Result<(), Box<dyn Error>> {
    let start = start_in_plain_program(workers).map_err(|failure| failure.to_string())?;
    println!("{} {}", start.first.as_nanos(), start.end.as_nanos());
    Ok(())
}

fn starts(arguments: &Arguments, workers: usize, notes: &mut Vec<String>) -> Vec<Row> {
    let rounds = match arguments.extent {
        Extent::Whole => Rounds { warm_up: 1, counted: 7 * arguments.rounds },
        Extent::Quick => Rounds { warm_up: 1, counted: 3 * arguments.rounds },
        Extent::Smoke => Rounds { warm_up: 0, counted: 1 },
    };
    let contenders = [
        Contender::new(PLAIN, || start_in_plain_program(workers)),
        Contender::new(SYSTEM, || on_a_thread(|| start_in_system(workers))),
        Contender::new(PROCESS, start_in_process),
    ];
    let wanted = contenders.into_iter().filter(|one| arguments.wants_subject(one.name));
    let all = interleaved(wanted.collect(), rounds, notes);
    all.iter().map(start_row).collect()
}

/// A result that takes one task and no inputs.
fn first_result(cluster: &Cluster) -> Result<(), Failure> {
    let (graph, output) = Naming::Handle.build(&Shape::single(), &[]);
    check(&cluster.get_blocking(graph, output)?, 1)
}

fn start_in_plain_program(workers: usize) -> Result<Start, Failure> {
    let (first, cluster) = timed(|| -> Result<Cluster, Failure> {
        let cluster = Cluster::builder().workers(workers).start()?;
        first_result(&cluster)?;
        Ok(cluster)
    });
    let (end, ended) = timed(|| cluster?.shutdown_blocking().map_err(Failure::from));
    ended?;
    Ok(Start { first, end })
}

/// The clock is started and stopped within the system, which is there already.
fn start_in_system(workers: usize) -> Result<Start, Failure> {
    System::new().block_on(async {
        let clock = Clock::start();
        let cluster = Cluster::builder().workers(workers).start()?;
        let (graph, output) = Naming::Handle.build(&Shape::single(), &[]);
        check(&cluster.get(graph, output).await?, 1)?;
        let first = clock.elapsed();
        cluster.shutdown().await;
        Ok(Start { first, end: clock.elapsed().saturating_sub(first) })
    })
}

fn start_in_process() -> Result<Start, Failure> {
    let output = Command::new(std::env::current_exe()?).arg(FLAG).output()?;
    let text = String::from_utf8(output.stdout)?;
    let (first, end) = text.trim().split_once(' ').ok_or("the process gave no answer")?;
    let duration = |text: &str| text.parse().map(Duration::from_nanos);
    Ok(Start { first: duration(first)?, end: duration(end)? })
}

/// A thread that has no system yet, and whose system ends with it.
fn on_a_thread<T: Send>(code: impl FnOnce() -> Result<T, Failure> + Send) -> Result<T, Failure> {
    thread::scope(|scope| scope.spawn(code).join()).map_err(|_| Failure::from("it panicked"))?
}

fn start_row(samples: &Samples<Start>) -> Row {
    let mut firsts: Vec<f64> =
        samples.samples.iter().map(|start| micros(start.first) / 1e3).collect();
    firsts.sort_by(f64::total_cmp);
    let ends = samples.samples.iter().map(|start| micros(start.end) / 1e3);
    let ms = median(firsts.iter().copied());
    let promise = format!("{NAME}: first result, {}", samples.name);
    Row {
        bench: NAME,
        shape: "first_result".to_owned(),
        subject: samples.name.to_owned(),
        cost: None,
        rounds: firsts.len(),
        figures: BTreeMap::from([
            ("ms", ms),
            ("ms_p90", firsts.get(firsts.len() * 9 / 10).copied().unwrap_or(f64::NAN)),
            ("ms_end", median(ends)),
        ]),
        targets: vec![Target::at_most(promise, ms, 5.0, "ms")],
    }
}

fn round_trips(
    arguments: &Arguments,
    workers: usize,
    rows: &mut Vec<Row>,
    notes: &mut Vec<String>,
) -> Result<(), Failure> {
    let trips = match arguments.extent {
        Extent::Whole => 300,
        Extent::Quick => 50,
        Extent::Smoke => 2,
    };
    let cluster = Cluster::builder().workers(workers).start()?;
    let ground = |name, shape: Shape| -> Result<Ground, Failure> {
        let (graph, output) = Naming::Handle.build(&shape, &[]);
        let plan = Arc::new(Plan::new(graph, output)?);
        Ok(Ground { name, texts: texts(&shape), shape: Arc::new(shape), plan })
    };
    for ground in [ground("one_task", Shape::single())?, ground("ten_tasks", Shape::layers(3, 3))?]
    {
        let mut contenders: Vec<Contender<'_, Duration>> = vec![
            Contender::new(RUN, || blocking(&cluster, &ground, false, trips)),
            Contender::new(RUN_ASYNC, || on_arbiter(workers, &ground, false, trips)),
            Contender::new(GET, || blocking(&cluster, &ground, true, trips)),
            Contender::new(GET_ASYNC, || on_arbiter(workers, &ground, true, trips)),
        ];
        for peer in [RAYON, "tokio"] {
            let entry = peers::named(peer).ok_or("no such peer")?;
            let mut subject = (entry.start)(workers)?;
            subject.prepare(&ground.shape, Work::Trivial)?;
            let shape = &ground.shape;
            contenders.push(Contender::new(peer, move || {
                let mut times = Vec::with_capacity(trips);
                for _ in 0..trips {
                    times.push(once(subject.as_mut(), shape)?.result);
                }
                Ok(middle(times))
            }));
        }
        contenders.retain(|one| arguments.wants_subject(one.name));
        let rounds = Rounds { warm_up: 1, counted: arguments.rounds };
        let all = interleaved(contenders, rounds, notes);
        rows.extend(all.iter().map(|samples| trip_row(&ground, samples, &all)));
    }
    Ok(())
}

/// Round trips from a plain thread; the median.
fn blocking(
    client: &Client,
    ground: &Ground,
    with_graph: bool,
    trips: usize,
) -> Result<Duration, Failure> {
    let expected = ground.shape.expected_of_ones();
    let mut times = Vec::with_capacity(trips);
    for _ in 0..trips {
        let (time, results) = timed(|| {
            if with_graph {
                let (graph, output) = Naming::Text.build(&ground.shape, &ground.texts);
                client.get_blocking(graph, output)
            } else {
                client.run(Arc::clone(&ground.plan)).wait()
            }
        });
        check(&results?, expected)?;
        times.push(time);
    }
    Ok(middle(times))
}

/// Round trips from a future on the arbiter of a system, with a cluster that was started there.
fn on_arbiter(
    workers: usize,
    ground: &Ground,
    with_graph: bool,
    trips: usize,
) -> Result<Duration, Failure> {
    let expected = ground.shape.expected_of_ones();
    let code = async || {
        let cluster = Cluster::builder().workers(workers).start()?;
        let mut times = Vec::with_capacity(trips);
        for _ in 0..trips {
            let clock = Clock::start();
            let results = if with_graph {
                let (graph, output) = Naming::Text.build(&ground.shape, &ground.texts);
                cluster.get(graph, output).await
            } else {
                cluster.run(Arc::clone(&ground.plan)).await
            };
            times.push(clock.elapsed());
            check(&results?, expected)?;
        }
        cluster.shutdown().await;
        Ok(middle(times))
    };
    on_a_thread(move || System::new().block_on(code()))
}

fn check(results: &Results, expected: u64) -> Result<(), Failure> {
    match results.get::<u64>() {
        Some(result) if *result == expected => Ok(()),
        _ => Err("a small graph gave a wrong result".into()),
    }
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn trip_row(ground: &Ground, samples: &Samples<Duration>, all: &[Samples<Duration>]) -> Row {
    let tasks = ground.shape.tasks();
    let trips = |times: &[Duration]| median(times.iter().map(|time| micros(*time)));
    let each: Vec<f64> =
        samples.samples.iter().map(|time| micros(*time) / f64::from(tasks)).collect();
    let own = trips(&samples.samples);
    let mut cost = Cost::new(&each, tasks);
    cost.ratio_to_rayon = of(all, RAYON).map(|rayon| own / trips(rayon));
    Row {
        bench: NAME,
        shape: ground.name.to_owned(),
        subject: samples.name.to_owned(),
        cost: Some(cost),
        rounds: each.len(),
        figures: BTreeMap::from([("us_per_run", own)]),
        targets: Vec::new(),
    }
}

fn text(rows: &[Row]) -> String {
    let starts: Vec<Vec<String>> = rows
        .iter()
        .filter(|row| row.cost.is_none())
        .map(|row| {
            let figures = ["ms", "ms_p90", "ms_end"].map(|name| format!("{:.2}", row.figure(name)));
            std::iter::once(row.subject.clone()).chain(figures).collect()
        })
        .collect();
    let cell = |row: &Row| {
        let trip = row.figures.get("us_per_run")?;
        Some(match row.ratio_to_rayon() {
            Some(ratio) => format!("{trip:.1} ({ratio:.2})"),
            None => format!("{trip:.1}"),
        })
    };
    format!(
        "### From the start of a cluster to its first result: ms\n\n{}\n\
         ### Round trip of a small graph: µs a run (ratio to rayon)\n\n{}",
        grid(&["", "median", "90 of 100", "(ending it)"], &starts),
        pivot(rows, cell),
    )
}
