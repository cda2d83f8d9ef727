//! [`Account`]: how one run gets on, counted from its tally and from what workers tell.
//!
//! The counts are read off the run's own counters, so they are right whatever was lost on the way; times and
//! bytes are added up from what workers have put down.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::recording::{RecordedGraph, RecordedRun};
use super::snapshot::{
    Counts, HookSnapshot, PREFIXES_SHOWN, PrefixSnapshot, RunSnapshot, RunStatus,
};
use crate::actors::events::HookTimes;
use crate::engine::{RunId, Standing, Tally, TaskId};
use crate::graph::{Plan, Prefixes};

/// Over how long a rate is taken.
const RATE_OVER: Duration = Duration::from_secs(3);

/// The graph of a run of so many tasks is kept when it is over.
const SMALL_GRAPH: usize = 2_000;

/// How one run gets on.
pub(super) struct Account {
    pub(super) id: RunId,
    pub(super) began: Duration,
    /// Until the run is over.
    pub(super) plan: Option<Arc<Plan>>,
    pub(super) tally: Tally,
    hooks: Option<Arc<HookTimes>>,
    /// The key prefixes of its tasks.
    pub(super) groups: Arc<Prefixes>,
    /// By prefix.
    prefixes: Vec<OfPrefix>,
    /// The prefixes that snapshots tell of, in order.
    shown: Vec<u32>,
    /// How it ended, if it has.
    pub(super) over: Option<Over>,
    /// Tasks whose times are known, and tasks whose times are lost.
    pub(super) seen: u64,
    pub(super) unseen: u64,
    /// True if somebody has listened from its beginning.
    pub(super) is_whole: bool,
    /// The tasks that workers were in when somebody looked last, and when each was first seen so.
    running: BTreeMap<TaskId, Duration>,
    /// How many of its futures were being awaited then.
    awaited: u64,
    /// The tasks that hooks have answered for, as far as that was told.
    answered: Vec<u32>,
    /// How many tasks had ended at which time, lately.
    lately: VecDeque<(Duration, u64)>,
    /// The graph, once somebody wanted it.
    graph: Option<Arc<RecordedRun>>,
    /// How it stood at its end, once that was told.
    last: Option<RunSnapshot>,
}

/// How a run ended.
pub(super) struct Over {
    pub(super) at: Duration,
    pub(super) status: RunStatus,
    pub(super) error: Option<String>,
    /// The task that ended it, which its tally does not show.
    pub(super) task: Option<TaskId>,
    /// True once its end was told to all who record.
    pub(super) is_told: bool,
}

#[derive(Clone, Copy, Default)]
struct OfPrefix {
    counts: Counts,
    /// Of how many tasks the time is known, and how long they took.
    timed: u64,
    time: Duration,
    bytes: u64,
}

impl Account {
    pub(super) fn new(
        id: RunId,
        began: Duration,
        plan: Arc<Plan>,
        tally: Tally,
        hooks: Option<Arc<HookTimes>>,
        is_whole: bool,
    ) -> Self {
        let groups = Arc::clone(plan.prefixes());
        Self {
            id,
            began,
            tally,
            hooks,
            prefixes: vec![OfPrefix::default(); groups.names.len()],
            shown: largest(&groups),
            groups,
            over: None,
            seen: 0,
            unseen: 0,
            is_whole,
            running: BTreeMap::new(),
            awaited: 0,
            answered: Vec::new(),
            lately: VecDeque::new(),
            graph: None,
            last: None,
            plan: Some(plan),
        }
    }

    /// The tasks that hooks have answered for, as of the last count that was asked for the new ones.
    pub(super) fn answered(&self) -> &[u32] {
        &self.answered
    }

    /// The tasks that hooks have answered for since this was asked last.
    pub(super) fn newly_answered(&mut self) -> Vec<u32> {
        if self.counts().cached <= self.answered.len() as u64 {
            return Vec::new();
        }
        let tasks = (0..).zip(self.tally.standings());
        let answered = tasks.filter(|(_, standing)| *standing == Standing::Answered);
        let answered: Vec<u32> = answered.map(|(task, _)| task).collect();
        // Both are in order.
        let mut known = self.answered.iter().peekable();
        let is_new = |task: &u32| {
            while known.next_if(|known| *known < task).is_some() {}
            known.peek() != Some(&task)
        };
        let new = answered.iter().copied().filter(is_new).collect();
        self.answered = answered;
        new
    }

    /// So many tasks with one prefix have taken so long each, and made values of so many bytes in all.
    pub(super) fn took(&mut self, prefix: u32, tasks: u32, time: Duration, bytes: u64) {
        if let Some(of) = self.prefixes.get_mut(prefix as usize) {
            of.timed += u64::from(tasks);
            of.time += time * tasks;
            of.bytes = of.bytes.saturating_add(bytes);
        }
    }

    /// True once somebody has counted the tasks.
    pub(super) fn is_counted(&self) -> bool {
        !self.lately.is_empty() || self.last.is_some()
    }

    /// A task is tried again.
    pub(super) fn retried(&mut self, task: TaskId) {
        let prefix = self.groups.place(task) as usize;
        if let Some(of) = self.prefixes.get_mut(prefix) {
            of.counts.retried += 1;
        }
    }

    /// These are the tasks that workers are in, and so many futures are being awaited.
    pub(super) fn is_in(
        &mut self,
        running: impl Iterator<Item = TaskId>,
        awaited: u64,
        now: Duration,
    ) {
        let since = |task: &TaskId| self.running.get(task).copied().unwrap_or(now);
        let running = running.map(|task| (task, since(&task))).collect();
        (self.running, self.awaited) = (running, awaited);
    }

    /// Counts the tasks anew.
    pub(super) fn count(&mut self, now: Duration) {
        for of in &mut self.prefixes {
            of.counts = Counts { retried: of.counts.retried, ..Counts::default() };
        }
        for (standing, prefix) in self.tally.standings().zip(&self.groups.of) {
            let counts = &mut self.prefixes[*prefix as usize].counts;
            match standing {
                Standing::Open => counts.waiting += 1,
                Standing::Done => counts.done += 1,
                Standing::Answered => counts.cached += 1,
                Standing::Failed => counts.failed += 1,
                Standing::Poisoned => counts.skipped += 1,
                Standing::NotNeeded => continue,
            }
            counts.total += 1;
        }
        for task in self.running.keys() {
            // It may have ended since somebody looked.
            if self.over.is_none() && self.tally.standing(*task) == Standing::Open {
                let counts = &mut self.prefixes[self.groups.place(*task) as usize].counts;
                if counts.waiting > 0 {
                    counts.waiting -= 1;
                    counts.running += 1;
                }
            }
        }
        if let Some(task) = self.over.as_ref().and_then(|over| over.task)
            && self.tally.standing(task) == Standing::Open
        {
            let prefix = self.groups.place(task) as usize;
            let counts = &mut self.prefixes[prefix].counts;
            counts.waiting = counts.waiting.saturating_sub(1);
            counts.failed += 1;
        }
        let ended = self.counts().ended();
        self.lately.push_back((now, ended));
        while self.lately.len() > 2 && now.saturating_sub(self.lately[1].0) >= RATE_OVER {
            self.lately.pop_front();
        }
    }

    /// How all of its tasks stand.
    pub(super) fn counts(&self) -> Counts {
        if let Some(last) = &self.last {
            return last.counts;
        }
        let mut sum = Counts::default();
        for of in &self.prefixes {
            sum += of.counts;
        }
        // Which tasks these are, nobody knows.
        let awaited = if self.over.is_none() { self.awaited.min(sum.waiting) } else { 0 };
        sum.waiting -= awaited;
        sum.running += awaited;
        sum
    }

    /// True if the times of all tasks are there that have ended, or will never come.
    pub(super) fn is_complete(&self) -> bool {
        self.last.is_some() || !self.is_whole || self.seen + self.unseen >= self.counts().done
    }

    #[expect(clippy::cast_precision_loss, reason = "for people to read")]
    fn rate(&self, now: Duration) -> f64 {
        let until = self.over.as_ref().map_or(now, |over| over.at);
        let (Some(first), Some(last)) = (self.lately.front(), self.lately.back()) else {
            return 0.0;
        };
        let (from, before) =
            if self.over.is_some() || self.lately.len() < 2 { (self.began, 0) } else { *first };
        let over = until.saturating_sub(from).as_secs_f64();
        if over > 0.0 { (last.1.saturating_sub(before)) as f64 / over } else { 0.0 }
    }

    /// How long the rest will take: each task that has not ended as long as the others with its prefix did on
    /// average, or as all did where none of its prefix has ended; and no less than one with its prefix that a
    /// worker is in has taken already. As many go on at once as do now: futures that are awaited take no worker.
    #[expect(clippy::cast_precision_loss, reason = "for people to read")]
    fn seconds_left(&self, now: Duration, workers: usize) -> Option<f64> {
        if self.over.is_some() {
            return Some(0.0);
        }
        let (timed, time) = self
            .prefixes
            .iter()
            .fold((0, 0.0), |(timed, time), of| (timed + of.timed, time + of.time.as_secs_f64()));
        if timed == 0 {
            return None;
        }
        let mean_of_all = time / timed as f64;
        let mut longest = vec![0.0_f64; self.prefixes.len()];
        for (task, since) in &self.running {
            let taken = &mut longest[self.groups.place(*task) as usize];
            *taken = taken.max(now.saturating_sub(*since).as_secs_f64());
        }
        let left = self.prefixes.iter().zip(longest).map(|(of, longest)| {
            let open = (of.counts.waiting + of.counts.running) as f64;
            let known = of.timed > 0;
            let mean = if known { of.time.as_secs_f64() / of.timed as f64 } else { mean_of_all };
            open * mean.max(longest)
        });
        let at_once = (self.running.len() as u64 + self.awaited).max(workers as u64).max(1);
        Some(left.sum::<f64>() / at_once as f64)
    }

    pub(super) fn hook_times(&self) -> Vec<HookSnapshot> {
        let times = self.hooks.iter().flat_map(|hooks| hooks.read());
        times
            .map(|(callback, calls, time)| HookSnapshot {
                callback: callback.to_owned(),
                calls,
                seconds: time.as_secs_f64(),
            })
            .collect()
    }

    /// The end of the run was told: keeps how it stood, and of a large run nothing else.
    pub(super) fn close(&mut self, now: Duration, workers: usize) {
        self.last = Some(self.snapshot(now, workers));
        self.lately = VecDeque::new();
        self.prefixes = Vec::new();
        self.shown = Vec::new();
        if self.tally.len() > SMALL_GRAPH {
            (self.graph, self.tally) = (None, Tally::default());
            self.groups = Arc::default();
            self.answered = Vec::new();
        }
    }

    /// How the run stands.
    pub(super) fn snapshot(&self, now: Duration, workers: usize) -> RunSnapshot {
        if let Some(last) = &self.last {
            return last.clone();
        }
        let of_prefix = |place: &u32| {
            let (name, of) = (&self.groups.names[*place as usize], &self.prefixes[*place as usize]);
            PrefixSnapshot {
                name: name.to_string(),
                place: *place,
                counts: of.counts,
                timed: of.timed,
                task_seconds: of.time.as_secs_f64(),
                bytes: of.bytes,
            }
        };
        let over = self.over.as_ref();
        RunSnapshot {
            id: self.id.0,
            status: over.map_or(RunStatus::Running, |over| over.status),
            began: self.began.as_secs_f64(),
            ended: over.map(|over| over.at.as_secs_f64()),
            counts: self.counts(),
            prefixes: self.shown.iter().map(of_prefix).collect(),
            more_prefixes: (self.prefixes.len() - self.shown.len()) as u64,
            rate: self.rate(now),
            seconds_left: self.seconds_left(now, workers),
            bytes: self.prefixes.iter().fold(0, |sum, of| of.bytes.saturating_add(sum)),
            task_seconds: self.prefixes.iter().map(|of| of.time.as_secs_f64()).sum(),
            hooks: self.hook_times(),
            error: over.and_then(|over| over.error.clone()),
        }
    }

    /// The graph of the run, as long as it is known.
    pub(super) fn graph(&mut self) -> Option<Arc<RecordedRun>> {
        if self.graph.is_none() {
            let plan = self.plan.as_ref()?;
            let mut graph = RecordedGraph {
                keys: plan.tasks().map(|task| plan.key(task).to_string()).collect(),
                prefixes: self.groups.of.clone(),
                prefix_names: self.groups.names.iter().map(ToString::to_string).collect(),
                needs_starts: vec![0],
                ..RecordedGraph::default()
            };
            for task in plan.tasks() {
                graph.needs.extend(needs_of(plan, task));
                graph.needs_starts.push(u32::try_from(graph.needs.len()).unwrap_or(u32::MAX));
            }
            let (id, began, graph) = (self.id.0, nanoseconds(self.began), Arc::new(graph));
            let run = RecordedRun { id, began, graph, ..RecordedRun::default() };
            self.graph = Some(Arc::new(run));
        }
        self.graph.clone()
    }

    /// How each task stands, as a number: 0 waiting, 1 running, 2 done, 3 cached, 4 failed, 5 skipped, 6 not
    /// needed.
    pub(super) fn states(&self) -> Vec<u8> {
        let states = self.tally.standings().map(|standing| match standing {
            Standing::Open => 0,
            Standing::Done => 2,
            Standing::Answered => 3,
            Standing::Failed => 4,
            Standing::Poisoned => 5,
            Standing::NotNeeded => 6,
        });
        let mut states: Vec<u8> = states.collect();
        let failed = self.over.as_ref().and_then(|over| over.task).map(|task| (task, 4));
        let running = self.running.keys().map(|task| (*task, 1)).filter(|_| self.over.is_none());
        for (task, state) in running.chain(failed) {
            if let Some(open) = states.get_mut(task.index()).filter(|state| **state == 0) {
                *open = state;
            }
        }
        states
    }

    /// The run is over: gives its plan up, after the graph was made if it is small.
    pub(super) fn let_plan_go(&mut self) -> Option<Arc<Plan>> {
        if self.tally.len() <= SMALL_GRAPH {
            self.graph();
        }
        self.plan.take()
    }
}

/// The tasks that a task needs, each once.
pub(super) fn needs_of(plan: &Plan, task: TaskId) -> Vec<u32> {
    let mut needs: Vec<u32> = plan.dependencies(task).iter().map(|need| need.0).collect();
    needs.sort_unstable();
    needs.dedup();
    needs
}

/// The prefixes with the most tasks, as many as are shown, in their order.
fn largest(groups: &Prefixes) -> Vec<u32> {
    let prefixes = groups.names.len();
    let mut places: Vec<u32> = (0..).take(prefixes).collect();
    if prefixes > PREFIXES_SHOWN {
        let mut sizes = vec![0_u32; prefixes];
        for prefix in &groups.of {
            sizes[*prefix as usize] += 1;
        }
        places.sort_by_key(|place| Reverse(sizes[*place as usize]));
        places.truncate(PREFIXES_SHOWN);
        places.sort_unstable();
    }
    places
}

/// A time in the unit of records of tasks.
pub(super) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
