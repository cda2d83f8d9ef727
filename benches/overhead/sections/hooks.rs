//! What callbacks add to the time of a task.
//!
//! All variants run the same plan on the same cluster, one after the other in each round, with another
//! callback registered; what a callback adds is the difference to the run without one in the same
//! round. It is wall time: on a chain one worker calls all the hooks, on the wider shapes they share them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context, Handler, Message};
use mobula::{
    BoxError, Callback, CallbackBuilder, CallbackGuard, Cluster, HookResult, Key, ObjectRefs, Plan,
    PreState, StateRef, TaskView, TimerCallback, Value,
};

use crate::arguments::{Arguments, Extent};
use crate::figures::{median, micros_a_task};
use crate::measure::timed;
use crate::peers::mobula::{plan, run as run_plan, wait_for_release};
use crate::report::{Cost, Row, Section};
use crate::rounds::{Contender, Rounds, Samples, interleaved, of};
use crate::shapes::{Kind, Scale, Shape};
use crate::subject::Failure;
use crate::table::pivot;
use crate::target::Target;
use crate::work::Work;

/// The section's name.
pub(super) const NAME: &str = "hooks";

const NONE: &str = "none";
const DEFAULT: &str = "default";
const PAIR: &str = "pair";
const CLOSURES: &str = "closures";
const TIMER: &str = "timer";
const ASK: &str = "ask";

/// The names of the variants.
pub(super) const SUBJECTS: [&str; 6] = [NONE, DEFAULT, PAIR, CLOSURES, TIMER, ASK];

/// What is registered.
fn registered(name: &str, cluster: &Cluster, state: &StateRef<Counter>) -> Option<CallbackGuard> {
    Some(match name {
        DEFAULT => cluster.register(Nothing),
        PAIR => cluster.register(Pair),
        CLOSURES => {
            let pair = CallbackBuilder::new().around(|_, _| 1_u64, |_, _, _one: u64| Ok(()));
            cluster.register(pair)
        }
        TIMER => cluster.register(TimerCallback::new()),
        ASK => cluster.register(Asking(state.clone())),
        _ => return None,
    })
}

/// A callback without a method of its own.
struct Nothing;

impl Callback for Nothing {}

/// Hands a number from `pretask` to `posttask`, in a box as every such state.
struct Pair;

impl Callback for Pair {
    fn pretask(&self, _: &Key, _: &ObjectRefs<'_>) -> Result<PreState, BoxError> {
        Ok(Some(Box::new(1_u64)))
    }

    fn posttask(&self, _: &Key, _: &Value, state: PreState) -> HookResult {
        match state.and_then(|state| state.downcast::<u64>().ok()) {
            Some(_) => Ok(()),
            None => Err("the number is missing".into()),
        }
    }
}

/// Asks a state actor before each task, and waits for the answer.
struct Asking(StateRef<Counter>);

impl Callback for Asking {
    fn presubmit(
        &self,
        _: &TaskView<'_>,
        _: &Key,
        _: &ObjectRefs<'_>,
    ) -> Result<Option<Value>, BoxError> {
        self.0.ask(Count)?;
        Ok(None)
    }
}

/// A state actor that counts.
#[derive(Default)]
struct Counter(u64);

impl Actor for Counter {
    type Context = Context<Self>;
}

/// Count one more, and answer how many there are.
#[derive(Message)]
#[rtype(u64)]
struct Count;

impl Handler<Count> for Counter {
    type Result = u64;

    fn handle(&mut self, Count: Count, _: &mut Context<Self>) -> u64 {
        self.0 += 1;
        self.0
    }
}

/// Measures the section.
pub(super) fn run(arguments: &Arguments, workers: usize) -> Section {
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    if let Err(failure) = measure(arguments, workers, &mut rows, &mut notes) {
        notes.push(format!("{NAME}: {failure}"));
    }
    Section { text: text(&rows), rows, notes }
}

fn measure(
    arguments: &Arguments,
    workers: usize,
    rows: &mut Vec<Row>,
    notes: &mut Vec<String>,
) -> Result<(), Failure> {
    let cluster = Cluster::builder().workers(workers).start()?;
    let state = cluster.start_state(Counter::default())?;
    // A question takes about a hundred times as long as a hook, so it gets smaller graphs, with a
    // run without callbacks of its own to be compared with.
    let (scale, scale_of_asking) = match arguments.extent {
        Extent::Whole => (Scale::Full, Scale::Tenth),
        Extent::Quick => (Scale::Tenth, Scale::Small),
        Extent::Smoke => (Scale::Small, Scale::Small),
    };
    let without_asking: Vec<&'static str> =
        SUBJECTS.into_iter().filter(|name| *name != ASK).collect();
    for kind in [Kind::Chain, Kind::Layers, Kind::Independent] {
        if !arguments.wants_kind(kind) {
            continue;
        }
        println!("{NAME}: {}", kind.name());
        for (scale, names) in [(scale, &without_asking[..]), (scale_of_asking, &[NONE, ASK][..])] {
            let shape = Shape::new(kind, scale);
            let plan = Arc::new(plan(&shape, Work::Trivial)?);
            let wanted = names.iter().filter(|name| {
                // The differences need the run without callbacks.
                **name == NONE || arguments.wants_subject(name)
            });
            let contenders = wanted.map(|&name| {
                let (cluster, state, plan, shape) = (&cluster, &state, &plan, &shape);
                Contender::new(name, move || go(name, cluster, state, plan, shape))
            });
            let rounds = Rounds { warm_up: 1, counted: arguments.rounds };
            let all = interleaved(contenders.collect(), rounds, notes);
            let shown = all.iter().filter(|samples| names.len() > 2 || samples.name != NONE);
            rows.extend(shown.map(|samples| row(kind, &shape, samples, &all)));
        }
    }
    Ok(())
}

/// One run with a callback, or without.
fn go(
    name: &str,
    cluster: &Cluster,
    state: &StateRef<Counter>,
    plan: &Arc<Plan>,
    shape: &Shape,
) -> Result<Duration, Failure> {
    let guard = registered(name, cluster, state);
    let (time, result) = timed(|| {
        let result = run_plan(cluster, plan);
        wait_for_release(plan);
        result
    });
    drop(guard);
    match result? {
        result if result == shape.expected() => Ok(time),
        result => Err(format!("the result {result} is wrong").into()),
    }
}

fn row(kind: Kind, shape: &Shape, samples: &Samples<Duration>, all: &[Samples<Duration>]) -> Row {
    let each = |times: &[Duration]| micros_a_task(times, shape.tasks());
    let own = each(&samples.samples);
    let none = of(all, NONE).map(each).unwrap_or_default();
    let added = median(own.iter().zip(&none).map(|(own, none)| own - none));
    let bound = match samples.name {
        PAIR | CLOSURES => Some(0.1),
        ASK => Some(10.0),
        // The others are only told.
        _ => None,
    };
    let promise = format!("{NAME}: {}, `{}` adds", kind.name(), samples.name);
    let target = bound.map(|bound| Target::at_most(promise, added, bound, "µs a task"));
    Row {
        bench: NAME,
        shape: kind.name().to_owned(),
        subject: samples.name.to_owned(),
        cost: Some(Cost::new(&own, shape.tasks())),
        rounds: own.len(),
        figures: BTreeMap::from([("us_added", added)]),
        targets: target.into_iter().collect(),
    }
}

fn text(rows: &[Row]) -> String {
    let cell = |row: &Row| {
        let decimals = if row.subject == ASK { 2 } else { 3 };
        Some(format!("{:+.decimals$} ({:.decimals$})", row.figure("us_added"), row.us_per_task()?))
    };
    format!("### Callbacks: µs added to a task (µs a task)\n\n{}", pivot(rows, cell))
}
