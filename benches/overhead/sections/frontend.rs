//! The front end: from keys and functions to a plan, that is building the graph, checking it, ordering
//! it and giving its tasks their dense numbers.
//!
//! The texts of the `string` keys exist before the clock starts, as in a program that read them from
//! somewhere; `string+format` also makes them, anew wherever a key is named. Both are held to the same
//! bound. Nothing is run here.

use std::collections::BTreeMap;
use std::time::Duration;

use mobula::Plan;

use crate::arguments::{Arguments, Extent};
use crate::figures::{median, micros};
use crate::keyed::{Naming, texts};
use crate::measure::timed;
use crate::report::{Cost, Row, Section};
use crate::rounds::{Contender, Rounds, Samples, interleaved};
use crate::shapes::Shape;
use crate::table::pivot;
use crate::target::Target;

/// The section's name.
pub(super) const NAME: &str = "frontend";

/// The times of one graph.
struct Sample {
    build: Duration,
    plan: Duration,
    /// Giving plan and graph back; not part of the figure.
    drop: Duration,
}

/// A graph to build.
struct Ground {
    /// Its name in the tables.
    name: String,
    shape: Shape,
    rounds: Rounds,
    /// What a task with string keys may cost, in microseconds.
    bound: f64,
}

/// The names of the namings.
pub(super) fn subjects() -> Vec<&'static str> {
    Naming::ALL.iter().map(|naming| naming.name()).collect()
}

/// Measures the section.
pub(super) fn run(arguments: &Arguments) -> Section {
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    for ground in grounds(arguments) {
        println!("{NAME}: {}", ground.name);
        let texts = texts(&ground.shape);
        let wanted = Naming::ALL.iter().filter(|naming| arguments.wants_subject(naming.name()));
        let contenders = wanted.map(|&naming| {
            let (shape, texts) = (&ground.shape, &texts);
            Contender::new(naming.name(), move || {
                let (build, (graph, output)) = timed(|| naming.build(shape, texts));
                let (planning, plan) = timed(|| Plan::new(graph, output));
                let (drop, ()) = timed(|| drop(plan));
                Ok(Sample { build, plan: planning, drop })
            })
        });
        let all = interleaved(contenders.collect(), ground.rounds, &mut notes);
        rows.extend(all.iter().map(|samples| row(&ground, samples)));
    }
    Section { text: text(&rows), rows, notes }
}

/// The graphs. A large one has fewer rounds: it lasts long enough to even out short disturbances.
fn grounds(arguments: &Arguments) -> Vec<Ground> {
    let (small, large) = match arguments.extent {
        Extent::Whole => (100, 1000),
        Extent::Quick => (10, 100),
        Extent::Smoke => (1, 2),
    };
    let rounds = Rounds { warm_up: 1, counted: arguments.rounds };
    let few = Rounds { warm_up: 0, counted: arguments.rounds.min(3) };
    let ground = |name: &str, thousands: u32, shape: Shape, rounds: Rounds, bound: f64| Ground {
        name: format!("{name}_{}", thousands * 1000),
        shape,
        rounds,
        bound,
    };
    vec![
        ground("layers", small, Shape::layers(4 * small, 250), rounds, 1.0),
        ground("chains", small, Shape::chains(100 * small, 10), rounds, 1.0),
        ground("scattered", small, Shape::scattered(1000 * small), rounds, 1.0),
        ground("layers", large, Shape::layers(large, 1000), few, 2.0),
        ground("scattered", large, Shape::scattered(1000 * large), few, 2.0),
    ]
}

fn row(ground: &Ground, samples: &Samples<Sample>) -> Row {
    let tasks = ground.shape.tasks();
    let of = |part: fn(&Sample) -> Duration| -> Vec<f64> {
        samples.samples.iter().map(|sample| micros(part(sample)) / f64::from(tasks)).collect()
    };
    let cost = Cost::new(&of(|sample| sample.build + sample.plan), tasks);
    let mut targets = Vec::new();
    if samples.name.starts_with(Naming::Text.name()) {
        let promise = format!("{NAME}: {}, {} keys", ground.name, samples.name);
        targets.push(Target::at_most(promise, cost.us_per_task, ground.bound, "µs a task"));
    }
    Row {
        bench: NAME,
        shape: ground.name.clone(),
        subject: samples.name.to_owned(),
        cost: Some(cost),
        rounds: samples.samples.len(),
        figures: BTreeMap::from([
            ("us_build", median(of(|sample| sample.build))),
            ("us_plan", median(of(|sample| sample.plan))),
            ("us_drop", median(of(|sample| sample.drop))),
        ]),
        targets,
    }
}

fn text(rows: &[Row]) -> String {
    let cell = |row: &Row| {
        let (build, plan) = (row.figure("us_build"), row.figure("us_plan"));
        Some(format!("{:.3} ({build:.3} + {plan:.3})", row.us_per_task()?))
    };
    format!("### Front end: µs a task (building + planning)\n\n{}", pivot(rows, cell))
}
