//! A million tasks: build, plan and run in seconds, and the bytes that all of it takes.
//!
//! The times come from rounds without counting. The bytes come from a round of their own for each
//! naming, with the counting allocator: the peak over all three phases, less what the keys alone take.
//! Nothing is taken off for values: the run's slots, in which numbers lie, count in full.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mobula::{Cluster, Plan};

use crate::alloc::counted;
use crate::arguments::{Arguments, Extent};
use crate::figures::{median, micros, per_task};
use crate::keyed::{Naming, texts};
use crate::measure::timed;
use crate::peers::mobula::{run as run_plan, wait_for_release};
use crate::report::{Cost, Row, Section};
use crate::rounds::{Contender, Rounds, Samples, interleaved};
use crate::shapes::Shape;
use crate::subject::Failure;
use crate::table::grid;
use crate::target::Target;

/// The section's name.
pub(super) const NAME: &str = "million";

/// The times of one go.
struct Sample {
    build: Duration,
    plan: Duration,
    /// Until the result is there and the run's memory is given back.
    run: Duration,
    /// Giving plan and graph back; not part of the figure.
    drop: Duration,
}

/// Measures the section.
pub(super) fn run(arguments: &Arguments, workers: usize) -> Section {
    println!("{NAME}");
    match Cluster::builder().workers(workers).start() {
        Ok(cluster) => measure(arguments, &cluster),
        Err(error) => Section {
            text: String::new(),
            rows: Vec::new(),
            notes: vec![format!("{NAME}: {error}")],
        },
    }
}

fn measure(arguments: &Arguments, cluster: &Cluster) -> Section {
    let width = match arguments.extent {
        Extent::Whole => 1000,
        Extent::Quick => 300,
        Extent::Smoke => 30,
    };
    let shape = Shape::layers(width, width);
    let (texts, expected) = (texts(&shape), shape.expected_of_ones());
    let wanted: Vec<Naming> =
        Naming::ALL.into_iter().filter(|naming| arguments.wants_subject(naming.name())).collect();
    let contenders = wanted.iter().map(|&naming| {
        let (shape, texts) = (&shape, &texts);
        Contender::new(naming.name(), move || {
            let (build, (graph, output)) = timed(|| naming.build(shape, texts));
            let (planning, plan) = timed(|| Plan::new(graph, output));
            let plan = Arc::new(plan?);
            let (run, result) = timed(|| {
                let result = run_plan(cluster, &plan);
                wait_for_release(&plan);
                result
            });
            check(result?, expected)?;
            let (drop, ()) = timed(|| drop(plan));
            Ok(Sample { build, plan: planning, run, drop })
        })
    });
    let rounds = Rounds { warm_up: 0, counted: arguments.rounds.min(3) };
    let mut notes = Vec::new();
    let all = interleaved(contenders.collect(), rounds, &mut notes);
    let mut rows = Vec::new();
    for samples in &all {
        let Some(naming) = wanted.iter().find(|naming| naming.name() == samples.name) else {
            continue;
        };
        match bytes(*naming, &shape, &texts, cluster) {
            Ok(bytes) => rows.push(row(*naming, &shape, samples, bytes)),
            Err(failure) => notes.push(format!("{NAME}, {}: {failure}", samples.name)),
        }
    }
    Section { text: text(&rows), rows, notes }
}

fn check(result: u64, expected: u64) -> Result<(), Failure> {
    if result == expected {
        return Ok(());
    }
    Err(format!("the result is {result} where it should be {expected}").into())
}

/// The bytes a task of each phase.
fn bytes(
    naming: Naming,
    shape: &Shape,
    texts: &[String],
    cluster: &Cluster,
) -> Result<BTreeMap<&'static str, f64>, Failure> {
    let ((graph, output), build) = counted(|| naming.build(shape, texts));
    let (plan, planning) = counted(|| Plan::new(graph, output));
    let plan = Arc::new(plan?);
    let (result, run) = counted(|| {
        let result = run_plan(cluster, &plan);
        wait_for_release(&plan);
        result
    });
    check(result?, shape.expected_of_ones())?;
    drop(plan);
    let (keys, weight) = counted(|| naming.keys(shape));
    drop(keys);
    // What one phase keeps lies below the peak of the next one.
    let planned = build.kept + planning.kept;
    let peak = build.peak.max(build.kept + planning.peak).max(planned + run.peak);
    let each = |bytes: isize| per_task(bytes, shape.tasks());
    Ok(BTreeMap::from([
        ("bytes_graph", each(build.kept)),
        ("bytes_plan", each(planning.kept)),
        ("bytes_while_planning", each(planning.peak)),
        ("bytes_run", each(run.peak)),
        ("bytes_keys", each(weight.kept)),
        ("bytes_peak", each(peak)),
        ("bytes_above_keys", each(peak - weight.kept)),
    ]))
}

fn row(
    naming: Naming,
    shape: &Shape,
    samples: &Samples<Sample>,
    bytes: BTreeMap<&'static str, f64>,
) -> Row {
    let seconds = |part: fn(&Sample) -> Duration| {
        median(samples.samples.iter().map(|sample| part(sample).as_secs_f64()))
    };
    let whole = |sample: &Sample| sample.build + sample.plan + sample.run;
    let each = samples.samples.iter().map(|one| micros(whole(one)) / f64::from(shape.tasks()));
    let mut figures = bytes;
    figures.extend([
        ("seconds", seconds(|sample| sample.build + sample.plan + sample.run)),
        ("seconds_build", seconds(|sample| sample.build)),
        ("seconds_plan", seconds(|sample| sample.plan)),
        ("seconds_run", seconds(|sample| sample.run)),
        ("seconds_drop", seconds(|sample| sample.drop)),
    ]);
    let name = naming.name();
    let mut targets = Vec::new();
    let bound = match naming {
        Naming::Text | Naming::Format => Some(2.5),
        Naming::Integer | Naming::Handle => Some(1.2),
        // Nothing was promised for tuples.
        Naming::Tuple => None,
    };
    if let Some(bound) = bound {
        let promise = format!("{NAME}: build + plan + run, {name}");
        targets.push(Target::at_most(promise, figures["seconds"], bound, "s"));
    }
    let promise = format!("{NAME}: peak above the keys, {name}");
    targets.push(Target::at_most(promise, figures["bytes_above_keys"], 250.0, "bytes a task"));
    Row {
        bench: NAME,
        shape: "build_plan_run".to_owned(),
        subject: name.to_owned(),
        cost: Some(Cost::new(&each.collect::<Vec<f64>>(), shape.tasks())),
        rounds: samples.samples.len(),
        figures,
        targets,
    }
}

fn text(rows: &[Row]) -> String {
    let columns = |names: [(&'static str, usize); 5], row: &Row| -> Vec<String> {
        let cells = names.map(|(name, decimals)| format!("{:.decimals$}", row.figure(name)));
        std::iter::once(row.subject.clone()).chain(cells).collect()
    };
    let seconds: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let names = ["seconds", "seconds_build", "seconds_plan", "seconds_run", "seconds_drop"];
            columns(names.map(|name| (name, 3)), row)
        })
        .collect();
    let bytes: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let names = ["bytes_graph", "bytes_plan", "bytes_run", "bytes_peak", "bytes_keys"];
            columns(names.map(|name| (name, 0)), row)
        })
        .collect();
    format!(
        "### A million tasks: seconds\n\n{}\n### A million tasks: heap bytes a task\n\n{}",
        grid(&["keys", "build + plan + run", "build", "plan", "run", "(drop)"], &seconds),
        grid(&["keys", "graph", "plan", "peak of the run", "peak of all", "(the keys)"], &bytes),
    )
}
