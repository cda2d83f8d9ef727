//! [`MonitorActor`]: looks ten times a second at what has happened, and tells those who want to know.
//!
//! It has an arbiter of its own, with the least urgent thread of the program: it may write files and draw on
//! terminals, and takes no time from tasks. It decides nothing about runs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, MessageResult};
use futures::channel::mpsc::Sender;

use super::blocks::Block;
use super::handle::{LiveGraph, Update};
use super::journal::JournalFile;
use super::model::{Look, Model};
use super::recording::Recorder;
use super::snapshot::Snapshot;
use super::sources::Sources;
use super::system::{stand_back, unix_time};
use crate::actors::callbacks::DoAside;
use crate::actors::contained_panic_message;
use crate::actors::events::{Caught, Listener};
use crate::engine::RunId;

/// How far apart looks are.
const TICK: Duration = Duration::from_millis(100);

/// How far apart updates are when nothing happens.
const IDLE: Duration = Duration::from_secs(1);

/// Counting takes one of so many parts of the time: a run of millions of tasks is not counted at each look.
const COUNTING_SHARE: u32 = 50;

/// The last snapshot, for those who do not want to wait.
pub(super) type Latest = Arc<Mutex<Arc<Snapshot>>>;

/// Looks at a cluster.
pub(super) struct MonitorActor {
    sources: Sources,
    /// What it hears with, until it ends.
    listener: Option<Listener>,
    /// What it has heard at the last look.
    caught: Caught,
    model: Model,
    latest: Latest,
    subscribers: Vec<Subscriber>,
    sinks: Vec<(u64, Sink)>,
    /// When the tasks were counted last, and how long that took.
    counted: (Duration, Duration),
    /// When the last update went out.
    updated: Duration,
    /// True if something has happened since, or workers are in tasks.
    is_lively: bool,
}

struct Subscriber {
    sender: Sender<Arc<Update>>,
    /// True if it was too slow for the last update, or has just come.
    missed: bool,
}

/// Who records.
pub(super) enum Sink {
    /// A file.
    Journal(JournalFile),
    /// Memory, which outlives the cluster.
    Recorder(Arc<Mutex<Recorder>>),
    /// Whoever wants each snapshot: something that draws.
    Watch(Watcher),
}

/// Code of a user's that wants each snapshot.
pub(super) type Watcher = Box<dyn FnMut(&Snapshot) + Send>;

impl MonitorActor {
    pub(super) fn new(sources: Sources, latest: Latest) -> Self {
        let listener = Some(sources.events.stream().listen());
        Self {
            sources,
            listener,
            caught: Caught::default(),
            model: Model::default(),
            latest,
            subscribers: Vec::new(),
            sinks: Vec::new(),
            counted: Default::default(),
            updated: Duration::ZERO,
            is_lively: true,
        }
    }

    /// Looks what has happened. Counts the tasks anew if that is due, or if it must be.
    fn look(&mut self, must_count: bool) -> Look {
        let look = self.sources.look();
        let runs = self.sources.runs();
        let stream = self.sources.events.stream();
        if let Some(listener) = &self.listener {
            stream.catch(listener, &mut self.caught);
        }
        let caught = &mut self.caught;
        let now = self.sources.events.now();
        self.is_lively |= !look.inside.is_empty()
            || !look.awaited.is_empty()
            || !caught.notes.is_empty()
            || caught.has_tasks();
        self.model.take_in(caught, now);
        for active in runs.iter().filter(|active| active.run.is_running()) {
            if !self.model.knows(active.run.id()) {
                // It began before anybody listened.
                self.model.meet(active.began(), now);
            }
        }
        let (at, cost) = self.counted;
        if must_count || now.saturating_sub(at) >= cost * COUNTING_SHARE {
            #[expect(clippy::disallowed_methods, reason = "counting must not take much time")]
            let began = Instant::now();
            self.model.count(now, &look, true);
            self.counted = (now, began.elapsed());
        } else {
            self.model.count(now, &look, false);
        }
        let inside = look.inside.iter().map(|(worker, (run, task))| (*worker, *run, *task));
        self.model.telling.inside(now, inside.collect());
        look
    }

    /// Looks, and tells everybody.
    fn tick(&mut self) {
        let look = self.look(false);
        self.publish(&look, false);
    }

    /// Looks until the times of all tasks of runs that are over have come.
    fn settle(&mut self) {
        /// They come when their worker next looks at the clock.
        const LOOKS: u32 = 100;
        let mut look = self.look(true);
        for _ in 0..LOOKS {
            if !self.model.is_waiting() {
                break;
            }
            std::thread::park_timeout(Duration::from_micros(500));
            look = self.look(false);
        }
        self.publish(&look, true);
    }

    fn publish(&mut self, look: &Look, all_ends: bool) {
        let now = self.sources.events.now();
        // A run's end is told once the times of its tasks are there.
        self.model.tell_ends(all_ends, now, look.workers);
        let is_due = self.is_lively || now.saturating_sub(self.updated) >= IDLE;
        if is_due {
            self.model.telling.memory(now, look.memory);
        }
        self.record();
        let plans = std::mem::take(&mut self.model.plans_let_go);
        if !plans.is_empty() {
            // If the registry is gone, the cluster ends, and they are dropped here.
            self.sources.aside.do_send(DoAside(Box::new(move || drop(plans))));
        }
        let mut snapshot = self.model.snapshot(now, look);
        snapshot.unix_time = unix_time();
        let snapshot = Arc::new(snapshot);
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&snapshot);
        let blocks: Arc<[Block]> = self.model.take_blocks().into();
        self.subscribers.retain(|subscriber| !subscriber.sender.is_closed());
        if !is_due && !self.subscribers.iter().any(|subscriber| subscriber.missed) {
            return;
        }
        if is_due {
            (self.updated, self.is_lively) = (now, false);
            self.sinks.retain_mut(|(_, sink)| match sink {
                Sink::Watch(watch) => is_shown(watch, &snapshot),
                Sink::Journal(_) | Sink::Recorder(_) => true,
            });
        }
        let update = Arc::new(Update { snapshot, blocks });
        for subscriber in &mut self.subscribers {
            if is_due || subscriber.missed {
                // A slow reader misses what happened in between, but hears of the end.
                subscriber.missed = subscriber.sender.try_send(Arc::clone(&update)).is_err();
            }
        }
    }

    fn record(&mut self) {
        let records = self.model.telling.take();
        for (_, sink) in &mut self.sinks {
            match sink {
                Sink::Journal(file) => {
                    file.write_all(&records);
                }
                Sink::Recorder(recorder) => {
                    let mut recorder = recorder.lock().unwrap_or_else(PoisonError::into_inner);
                    for record in &records {
                        recorder.add(record.clone());
                    }
                }
                Sink::Watch(_) => {}
            }
        }
    }

    /// Records are made while somebody wants them.
    fn see_who_records(&mut self) {
        let records = |(_, sink): &(u64, Sink)| !matches!(sink, Sink::Watch(_));
        self.model.telling.is_wanted = self.sinks.iter().any(records);
    }
}

/// Shows a snapshot to who watches; false if that panicked, and it is shown none any more.
fn is_shown(watch: &mut Watcher, snapshot: &Snapshot) -> bool {
    let shown = catch_unwind(AssertUnwindSafe(|| watch(snapshot)));
    let shown = shown.map_err(contained_panic_message);
    if let Err(message) = &shown {
        log::error!("who watches a cluster panicked, and is shown nothing any more: {message}");
    }
    shown.is_ok()
}

impl Actor for MonitorActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(0); // Questions are never refused.
        stand_back();
        context.run_interval(TICK, |monitor, _| monitor.tick());
    }
}

impl Drop for MonitorActor {
    fn drop(&mut self) {
        // Whoever began to record hears of all until here.
        self.settle();
        if let Some(listener) = self.listener.take() {
            self.sources.events.stream().listen_no_more(listener);
        }
    }
}

/// Nobody looks any more.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Leave;

impl Handler<Leave> for MonitorActor {
    type Result = ();

    fn handle(&mut self, _: Leave, context: &mut Self::Context) {
        context.stop();
    }
}

/// Look now.
#[derive(Message)]
#[rtype(result = "Arc<Snapshot>")]
pub(super) struct LookNow;

impl Handler<LookNow> for MonitorActor {
    type Result = MessageResult<LookNow>;

    fn handle(&mut self, _: LookNow, _: &mut Self::Context) -> Self::Result {
        self.settle();
        MessageResult(Arc::clone(&self.latest.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Send updates there.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Subscribe(pub(super) Sender<Arc<Update>>);

impl Handler<Subscribe> for MonitorActor {
    type Result = ();

    fn handle(&mut self, Subscribe(sender): Subscribe, _: &mut Self::Context) {
        // The first one comes with the next look, whatever happens.
        self.subscribers.push(Subscriber { sender, missed: true });
    }
}

/// Record there from now on.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct AddSink {
    /// The number under which the sink can be had back.
    pub(super) number: u64,
    pub(super) sink: Sink,
}

impl Handler<AddSink> for MonitorActor {
    type Result = ();

    fn handle(&mut self, AddSink { number, mut sink }: AddSink, _: &mut Self::Context) {
        // What happened before is told to those only who were there.
        self.settle();
        let latest = Arc::clone(&self.latest.lock().unwrap_or_else(PoisonError::into_inner));
        if let Sink::Watch(watch) = &mut sink {
            // What is there now is what it compares with.
            if is_shown(watch, &latest) {
                self.sinks.push((number, sink));
            }
            return;
        }
        let now = self.sources.events.now();
        self.model.telling.is_wanted = true;
        self.model.telling.introduce(now, unix_time());
        let look = self.sources.look();
        self.model.introduce(now, &look);
        let records = self.model.telling.take();
        match &mut sink {
            Sink::Journal(file) => {
                file.write_all(&records);
            }
            Sink::Recorder(recorder) => {
                let mut recorder = recorder.lock().unwrap_or_else(PoisonError::into_inner);
                for record in records {
                    recorder.add(record);
                }
            }
            Sink::Watch(_) => {}
        }
        self.sinks.push((number, sink));
    }
}

/// Record there no more, and give the sink back with all that has happened until now.
#[derive(Message)]
#[rtype(result = "Option<Sink>")]
pub(super) struct TakeSink(pub(super) u64);

impl Handler<TakeSink> for MonitorActor {
    type Result = MessageResult<TakeSink>;

    fn handle(&mut self, TakeSink(number): TakeSink, _: &mut Self::Context) -> Self::Result {
        self.settle();
        let at = self.sinks.iter().position(|(other, _)| *other == number);
        let sink = at.map(|at| self.sinks.remove(at).1);
        self.see_who_records();
        MessageResult(sink)
    }
}

/// Asks for the graph of a run.
#[derive(Message)]
#[rtype(result = "Option<LiveGraph>")]
pub(super) struct ReadGraph(pub(super) RunId);

impl Handler<ReadGraph> for MonitorActor {
    type Result = MessageResult<ReadGraph>;

    fn handle(&mut self, ReadGraph(run): ReadGraph, _: &mut Self::Context) -> Self::Result {
        self.look(false);
        let graph = self.model.graph(run);
        MessageResult(graph.map(|(run, states)| LiveGraph { run, states }))
    }
}
