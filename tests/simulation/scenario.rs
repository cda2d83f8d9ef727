//! [`Scenario`]: everything that is decided before a world begins.
//!
//! A scenario says who works, what is submitted when, and what goes wrong when. It does not say what
//! comes of it, and it takes no small decisions: the world takes those on its way, by the same seed.

use std::collections::BTreeMap;
use std::sync::Arc;

use mobula::engine::{Limits, WorkerId};
use mobula::{OnError, Plan};

use crate::plan::{Blueprint, Script};
use crate::rng::Rng;
use crate::shapes::{Lengths, Odds, Shape, blueprint};

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000_000;

/// The beginning of a world. Times are in nanoseconds.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    /// When each worker joins.
    pub(crate) joins: Vec<u64>,
    pub(crate) losses: Vec<(u64, WorkerId)>,
    /// For how long the place of a lost worker stays empty at most; `None`: for ever.
    pub(crate) absence: Option<u64>,
    /// True if a call leaves its inputs where they are, as calls in other processes do.
    pub(crate) keeps_inputs: bool,
    /// How long a message takes at most.
    pub(crate) message: u64,
    /// How long an idle worker sleeps until it looks around again, at first and at most.
    pub(crate) nap: (u64, u64),
    pub(crate) submissions: Vec<Submission>,
    /// How many steps lie between two looks at the whole of a run.
    pub(crate) steps_a_check: u64,
    /// What the values may take, and what their way to disk and back is like.
    pub(crate) bounds: Option<Bounds>,
}

/// Bounded memory, and the disk behind it.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    pub(crate) limits: Limits,
    /// How long a write and a read take at most.
    pub(crate) write: u64,
    pub(crate) read: u64,
    /// True if any value leaves first, and not the oldest one.
    pub(crate) shuffled: bool,
    /// From when until when writes fail.
    pub(crate) disk_full: Option<(u64, u64)>,
    /// How long nothing is written after a write that failed: long enough that a worker looks around
    /// meanwhile, as in a cluster. Else a disk that fails for ever could keep everybody waiting.
    pub(crate) suspension: u64,
    /// So many of a hundred values cannot be written, or not be read back.
    pub(crate) unspillable: u64,
    pub(crate) unreadable: u64,
}

impl Bounds {
    /// Memory with such a limit before a disk that does its work.
    pub(crate) fn of(limit: u64) -> Self {
        let levels =
            Limits { limit, target: limit / 10 * 6, spill: limit / 10 * 7, pause: limit / 10 * 8 };
        Self {
            limits: levels,
            write: 50 * MICROSECOND,
            read: 50 * MICROSECOND,
            shuffled: false,
            disk_full: None,
            suspension: 15 * MILLISECOND,
            unspillable: 0,
            unreadable: 0,
        }
    }

    fn random(rng: &mut Rng, horizon: u64, longest_pause: u64) -> Self {
        let limit = rng.magnitude(64 << 10, 64 << 20);
        let times = [1, 20 * MICROSECOND, 500 * MICROSECOND, 20 * MILLISECOND];
        let full = rng.between(0, horizon);
        let full = rng.pick(&[
            None,
            None,
            None,
            Some((0, u64::MAX)),
            Some((full, u64::MAX)),
            Some((full / 2, full)),
        ]);
        Self {
            write: rng.pick(&times),
            read: rng.pick(&times),
            shuffled: rng.chance(50),
            disk_full: full,
            suspension: longest_pause + rng.pick(&[0, 10 * MILLISECOND]),
            unspillable: rng.pick(&[0, 0, 10, 50, 100]),
            unreadable: rng.pick(&[0, 0, 0, 0, 2, 20]),
            ..Self::of(limit)
        }
    }
}

/// A run, and what its caller does.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) at: u64,
    pub(crate) blueprint: Blueprint,
    pub(crate) plan: Arc<Plan>,
    /// The values of nodes that are known when the run starts.
    pub(crate) answers: BTreeMap<usize, i64>,
    /// Whether the run can be asked if a task has ended.
    /// When the caller cancels, as often as it does.
    pub(crate) cancels: Vec<u64>,
    /// When a hook of the whole run fails.
    pub(crate) hook_fails: Option<u64>,
    /// What a task that failed for good means to the others.
    pub(crate) on_error: OnError,
    /// How long an attempt of a task may take.
    pub(crate) task_limit: Option<u64>,
    /// When the run is over its own limit.
    pub(crate) overdue: Option<u64>,
}

impl Submission {
    /// A run in which nothing unusual happens.
    pub(crate) fn plain(rng: &mut Rng, at: u64, blueprint: Blueprint) -> Self {
        Self {
            at,
            plan: blueprint.plan(rng),
            blueprint,
            answers: BTreeMap::new(),
            cancels: Vec::new(),
            hook_fails: None,
            on_error: OnError::Raise,
            task_limit: None,
            overdue: None,
        }
    }

    /// What all calls take together.
    pub(crate) fn work(&self) -> u64 {
        let scripts = self.blueprint.nodes.iter().map(|node| &node.script);
        scripts.map(|script| script.duration + script.awaited.unwrap_or(0)).sum()
    }

    /// What the longest call takes.
    pub(crate) fn longest(&self) -> u64 {
        let scripts = self.blueprint.nodes.iter().map(|node| &node.script);
        scripts.map(|script| script.duration).max().unwrap_or(0)
    }

    /// True if a task that is needed fails for good, whoever runs it.
    pub(crate) fn needs_what_fails(&self) -> bool {
        let mut needed = self.blueprint.nodes.iter().zip(self.blueprint.needed(&self.answers));
        needed.any(|(node, needed)| needed && node.script.fails > node.script.retries)
    }

    /// True if each task is called once, by a worker, and nobody interferes.
    pub(crate) fn is_plain(&self) -> bool {
        let plain = |script: &Script| script.fails == 0 && script.awaited.is_none();
        self.cancels.is_empty()
            && self.hook_fails.is_none()
            && self.task_limit.is_none()
            && self.overdue.is_none()
            && self.blueprint.nodes.iter().all(|node| plain(&node.script))
    }
}

impl Scenario {
    /// A world without faults, in which every message takes a few microseconds.
    pub(crate) fn plain(seed: u64, workers: usize, submissions: Vec<Submission>) -> Self {
        Self {
            seed,
            joins: vec![0; workers],
            losses: Vec::new(),
            absence: None,
            keeps_inputs: false,
            message: 5 * MICROSECOND,
            nap: (250 * MICROSECOND, 10 * MILLISECOND),
            submissions,
            steps_a_check: 1,
            bounds: None,
        }
    }

    /// Any world.
    pub(crate) fn random(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let workers = match rng.index(10) {
            0 | 1 => 1,
            2..=6 => rng.count(2, 4),
            7 | 8 => rng.count(5, 16),
            _ => rng.count(17, 64),
        };
        let runs = match rng.index(10) {
            0..=3 => 1,
            4..=7 => rng.count(2, 5),
            8 => rng.count(6, 15),
            _ => rng.count(16, 50),
        };
        let spread = rng.pick(&[1, 10 * MICROSECOND, MILLISECOND, 50 * MILLISECOND]);
        let most = rng.pick(&[8, 30, 30, 150, 500]) / runs.isqrt();
        let odds = odds(&mut rng);
        let answers = if rng.chance(30) { rng.pick(&[3, 20, 60]) } else { 0 };
        let submissions = (0..runs)
            .map(|_| {
                let at = rng.between(0, spread);
                let lengths = lengths(&mut rng);
                let (shape, size) = (rng.pick(&Shape::ALL), rng.count(0, most.max(2)));
                let blueprint = blueprint(&mut rng, shape, size, odds, lengths);
                let mut submission = Submission::plain(&mut rng, at, blueprint);
                for (at, node) in submission.blueprint.nodes.iter().enumerate() {
                    if node.kind.is_task() && rng.chance(answers) {
                        submission.answers.insert(at, rng.small());
                    }
                }
                submission
            })
            .collect();
        let mut scenario = Self {
            joins: (0..workers).map(|_| rng.between(0, spread) * rng.between(0, 1)).collect(),
            keeps_inputs: rng.chance(30),
            message: rng.pick(&[1, 5 * MICROSECOND, 100 * MICROSECOND, 5 * MILLISECOND]),
            nap: (rng.pick(&[20, 250]) * MICROSECOND, 10 * MILLISECOND),
            ..Self::plain(rng.number(), workers, submissions)
        };
        scenario.trouble(&mut rng);
        // Drawn last, so a seed stays the world that it was before runs could outlive failures.
        for submission in &mut scenario.submissions {
            submission.on_error = rng.pick(&[OnError::Raise, OnError::Skip, OnError::Collect]);
        }
        let (limits, horizon) = (rng.pick(&[0, 0, 30, 100]), scenario.horizon());
        for submission in &mut scenario.submissions {
            let most = 2 * submission.longest();
            submission.task_limit =
                rng.chance(limits).then(|| rng.between(most / 16 + 1, most + 1));
            let at = submission.at + rng.between(0, horizon);
            submission.overdue = rng.chance(limits / 5).then_some(at);
        }
        let pause = scenario.nap.1 + 2 * scenario.message;
        scenario.bounds = rng.chance(75).then(|| Bounds::random(&mut rng, horizon, pause));
        scenario.bounds = scenario.bounds.filter(|_| odds.heavy > 0);
        scenario
    }

    /// When everything would be done if all workers worked all the time.
    fn horizon(&self) -> u64 {
        let work: u64 = self.submissions.iter().map(Submission::work).sum();
        let last = self.submissions.iter().map(|submission| submission.at).max();
        last.unwrap_or(0) + work / self.joins.len() as u64 + 20 * MICROSECOND
    }

    /// Adds losses of workers, cancels and hooks that fail, to some worlds.
    fn trouble(&mut self, rng: &mut Rng) {
        let horizon = self.horizon();
        if rng.chance(35) {
            let returns = self.joins.len() == 1 || rng.chance(80);
            self.absence = returns.then(|| rng.pick(&[1, 50 * MICROSECOND, 5 * MILLISECOND]));
            // Without replacements the first worker stays.
            let first = usize::from(!returns);
            for _ in 0..rng.pick(&[1, 2, 4, 20]) {
                let worker = rng.count(first, self.joins.len() - 1);
                let worker = u32::try_from(worker).expect("there are few workers");
                self.losses.push((rng.between(0, horizon), WorkerId(worker)));
            }
        }
        let (cancels, hooks) = (rng.pick(&[0, 0, 0, 20, 50]), rng.pick(&[0, 0, 0, 0, 0, 10]));
        for submission in &mut self.submissions {
            while submission.cancels.len() < 3 && rng.chance(cancels) {
                submission.cancels.push(submission.at + rng.between(0, horizon));
            }
            if rng.chance(hooks) {
                submission.hook_fails = Some(submission.at + rng.between(0, horizon));
            }
        }
    }

    /// True if nobody is lost, late or cancels, and each task is called once.
    pub(crate) fn is_plain(&self) -> bool {
        self.losses.is_empty()
            && self.bounds.is_none()
            && self.submissions.iter().all(Submission::is_plain)
    }
}

fn odds(rng: &mut Rng) -> Odds {
    let mut some = |percent, choices: &[u64]| {
        let choice = rng.pick(choices);
        if rng.chance(percent) { choice } else { 0 }
    };
    Odds {
        fails: some(40, &[1, 5, 20, 50]),
        retries: some(80, &[50, 100, 100]),
        asynchronous: some(30, &[5, 30, 100]),
        answered: some(15, &[5, 50]),
        heavy: some(40, &[20, 100]),
        decorated: some(60, &[3, 10, 40]),
    }
}

fn lengths(rng: &mut Rng) -> Lengths {
    let shortest = rng.pick(&[20, 500, 10 * MICROSECOND, 200 * MICROSECOND, 2 * MILLISECOND]);
    Lengths { shortest, longest: shortest * rng.pick(&[1, 2, 4, 100]) }
}
