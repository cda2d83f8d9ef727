//! The engine alone, on one thread, without actors and without tasks' functions.
//!
//! Two parts decide in Mobula, and both are driven here. [`Engine`] takes streams of events that were
//! made beforehand: its commands are made and thrown away. [`Run`] is what workers ask for each task:
//! what to start, and after its completion what to go on with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mobula::engine::{
    Engine, Event, Memory, OnError, Resources, Run, RunId, Running, TaskId, WorkerId,
};
use mobula::{Backoff, Plan, Value};

use crate::arguments::{Arguments, Extent};
use crate::figures::{median, number};
use crate::measure::timed;
use crate::peers::mobula::plan;
use crate::report::{Row, Section};
use crate::rounds::{Contender, Rounds, Samples, interleaved};
use crate::shapes::{Kind, Random, Scale, Shape};
use crate::subject::Failure;
use crate::table::grid;
use crate::target::Target;
use crate::work::Work;

/// The section's name.
pub(super) const NAME: &str = "engine";

/// The two parts.
pub(super) const SUBJECTS: [&str; 2] = [EVENTS, DECISIONS];

const EVENTS: &str = "events";
const DECISIONS: &str = "decisions";

/// What is promised, in millions a second.
const BOUND: f64 = 5.0;

/// How many workers there are in the streams.
const WORKERS: u32 = 8;

/// How many runs are live at once in the streams.
const LIVE: usize = 50;

/// What a go did, and how long it took.
struct Sample {
    /// Events that were handled, or tasks that were decided about.
    done: usize,
    time: Duration,
    /// The time of what comes before: building the state of a run.
    before: Duration,
}

/// The kinds of stream.
#[derive(Clone, Copy)]
enum Stream {
    /// Runs come and go, tasks fail and are tried again or fail for good, runs are cancelled, workers
    /// are lost and replaced: about 60, 30, 6 and 4 events of a hundred.
    Mixed,
    /// Runs come and end.
    Runs,
    /// Tasks fail and are tried again.
    Failures,
    /// Workers are lost in the middle of a task, and others join.
    Workers,
}

impl Stream {
    const ALL: [Self; 4] = [Self::Mixed, Self::Runs, Self::Failures, Self::Workers];

    fn name(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::Runs => "runs",
            Self::Failures => "failures",
            Self::Workers => "workers",
        }
    }
}

/// Measures the section.
pub(super) fn run(arguments: &Arguments) -> Section {
    println!("{NAME}");
    let rounds = Rounds { warm_up: 1, counted: arguments.rounds };
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    if arguments.wants_subject(EVENTS) {
        let count = match arguments.extent {
            Extent::Whole => 500_000,
            Extent::Quick => 100_000,
            Extent::Smoke => 1_000,
        };
        let contenders = Stream::ALL.into_iter().map(|stream| {
            let script = Script::write(stream, count);
            Contender::new(stream.name(), move || handle(&script))
        });
        let all = interleaved(contenders.collect(), rounds, &mut notes);
        rows.extend(all.iter().map(|samples| row(EVENTS, samples)));
    }
    if arguments.wants_subject(DECISIONS) {
        let scale = match arguments.extent {
            Extent::Whole => Scale::Full,
            Extent::Quick => Scale::Tenth,
            Extent::Smoke => Scale::Small,
        };
        let mut contenders = Vec::new();
        for kind in Kind::ALL.into_iter().filter(|&kind| arguments.wants_kind(kind)) {
            match plan(&Shape::new(kind, scale), Work::Trivial) {
                Ok(plan) => {
                    let plan = Arc::new(plan);
                    contenders.push(Contender::new(kind.name(), move || decide(&plan)));
                }
                Err(failure) => notes.push(format!("{NAME}, {}: {failure}", kind.name())),
            }
        }
        let all = interleaved(contenders, rounds, &mut notes);
        rows.extend(all.iter().map(|samples| row(DECISIONS, samples)));
    }
    Section { text: text(&rows), rows, notes }
}

/// Gives an engine all events; dropping them is part of it.
fn handle(script: &Script) -> Result<Sample, Failure> {
    let events = script.events.clone();
    let mut engine = Engine::new();
    let mut commands = Vec::new();
    for worker in (0..WORKERS).map(WorkerId) {
        engine.handle(Event::WorkerJoined { worker }, &mut commands);
    }
    let done = events.len();
    let (time, ()) = timed(|| {
        for event in events {
            commands.clear();
            engine.handle(event, &mut commands);
        }
    });
    if engine.runs().len() != script.live.len() {
        // Late events for runs that are over cost little, so they would flatter.
        return Err(format!("{} runs are live at the end", engine.runs().len()).into());
    }
    Ok(Sample { done, time, before: Duration::ZERO })
}

/// Takes a run from its first decision to its end, as one worker does whose tasks take no time.
fn decide(plan: &Arc<Plan>) -> Result<Sample, Failure> {
    let worker = WorkerId(0);
    let memory = Arc::new(Memory::new(1, None));
    let resources = Resources { workers: 1, memory, keeper: None };
    let (before, run) = timed(|| Run::new(RunId(1), Arc::clone(plan), &resources, Vec::new()));
    let (time, (done, ended)) = timed(|| {
        let (mut done, mut ended) = (0, false);
        let mut next = run.next(worker);
        while let Some(ticket) = next {
            run.start(worker, &ticket);
            let completion = run.complete(worker, ticket, Value::new(1_u64));
            done += 1;
            ended |= completion.ended;
            next = completion.next;
        }
        (done, ended)
    });
    if !ended || done != plan.len() {
        return Err(format!("the run stopped after {done} of {} tasks", plan.len()).into());
    }
    Ok(Sample { done, time, before })
}

/// Writes a stream of events that could happen: an event about a run comes while the run is live.
struct Script {
    events: Vec<Event>,
    random: Random,
    /// The runs that are not over.
    live: Vec<RunId>,
    last_run: u64,
    last_task: u32,
}

impl Script {
    fn write(stream: Stream, count: usize) -> Self {
        let mut script = Self {
            events: Vec::with_capacity(count + LIVE),
            random: Random(7),
            live: Vec::new(),
            last_run: 0,
            last_task: 0,
        };
        while script.live.len() < LIVE {
            script.submit();
        }
        while script.events.len() < count {
            match stream {
                Stream::Mixed => match script.random.below(98) {
                    0..60 => script.come_or_go(),
                    60..86 => script.fail(u32::MAX),
                    86..90 => script.fail_for_good(),
                    90..96 => script.cancel(),
                    _ => script.replace_worker(),
                },
                Stream::Runs => script.come_or_go(),
                Stream::Failures => script.fail(u32::MAX),
                Stream::Workers => script.replace_worker(),
            }
        }
        script
    }

    fn submit(&mut self) {
        self.last_run += 1;
        let run = RunId(self.last_run);
        self.live.push(run);
        let on_error = OnError::Raise;
        self.events.push(Event::RunSubmitted { run, tasks: 1000, roots: 10, on_error });
    }

    fn come_or_go(&mut self) {
        if self.live.len() < LIVE {
            self.submit();
        } else if let Some(run) = self.leave() {
            self.events.push(Event::RunEnded { run });
        }
    }

    fn cancel(&mut self) {
        if let Some(run) = self.leave() {
            self.events.push(Event::CancelRequested { run });
        }
    }

    fn fail_for_good(&mut self) {
        self.fail(0);
        if let Some(Event::TaskFailed { run, .. }) = self.events.last() {
            self.live.retain(|live| live != run);
        }
    }

    fn fail(&mut self, retries: u32) {
        if let Some(run) = self.some_run() {
            let (task, worker) = (self.task(), WorkerId(self.random.below(WORKERS)));
            let backoff = Backoff::NONE;
            let by_hook = false;
            self.events.push(Event::TaskFailed { run, task, worker, retries, backoff, by_hook });
        }
    }

    fn replace_worker(&mut self) {
        let worker = WorkerId(self.random.below(WORKERS));
        let task = self.task();
        let running = self.some_run().map(|run| Running { run, task, repeatable: true });
        self.events.push(Event::WorkerLost { worker, running: running.into_iter().collect() });
        self.events.push(Event::WorkerJoined { worker });
    }

    /// Another task each time: one that loses its worker again and again would end its run.
    fn task(&mut self) -> TaskId {
        self.last_task += 1;
        TaskId(self.last_task)
    }

    /// Any run that is live.
    fn some_run(&mut self) -> Option<RunId> {
        let live = u32::try_from(self.live.len()).ok().filter(|live| *live > 0)?;
        self.live.get(self.random.below(live) as usize).copied()
    }

    /// Takes one of the runs that are live off the list.
    fn leave(&mut self) -> Option<RunId> {
        let run = self.some_run()?;
        self.live.retain(|live| *live != run);
        Some(run)
    }
}

fn row(part: &'static str, samples: &Samples<Sample>) -> Row {
    let nanos = |sample: &Sample| sample.time.as_secs_f64() * 1e9 / number(sample.done);
    let each = median(samples.samples.iter().map(nanos));
    let before = |sample: &Sample| sample.before.as_secs_f64() * 1e9 / number(sample.done);
    let millions = 1e3 / each;
    let mut figures = BTreeMap::from([("ns_each", each), ("millions_per_second", millions)]);
    if part == DECISIONS {
        figures.insert("ns_before_each", median(samples.samples.iter().map(before)));
    }
    let promise = format!("{NAME}: {part}, {}", samples.name);
    Row {
        bench: NAME,
        shape: samples.name.to_owned(),
        subject: part.to_owned(),
        cost: None,
        rounds: samples.samples.len(),
        figures,
        targets: vec![Target::at_least(promise, millions, BOUND, "million a second")],
    }
}

fn text(rows: &[Row]) -> String {
    let lines: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let before = row.figures.get("ns_before_each");
            vec![
                format!("{}, {}", row.subject, row.shape),
                format!("{:.1}", row.figure("millions_per_second")),
                format!("{:.0}", row.figure("ns_each")),
                before.map_or_else(|| "–".to_owned(), |before| format!("{before:.0}")),
            ]
        })
        .collect();
    let headings = ["", "millions a second", "ns each", "ns each to build the run's state"];
    format!("### The engine alone, one thread\n\n{}", grid(&headings, &lines))
}
