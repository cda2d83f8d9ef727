//! [`Chooser`]: where the tasks of a key prefix are called, in a run that leaves that open.
//!
//! Functions of another language may hold a lock while they run (an interpreter's), and then threads only
//! take turns. What is watched: how long tasks take, and how often somebody who knocks at the lock while
//! one of them runs has to wait for it. A prefix whose tasks would gain more from running beside each other
//! than their journey to another process costs is sent there. Reads no clock, and knows no lock.

use std::fmt::Write;
use std::time::Duration;

use hashbrown::HashMap;

/// Where tasks are called, by key prefix, with what that was learned from.
#[derive(Debug, Default)]
pub struct Chooser {
    prefixes: HashMap<String, Observed>,
}

/// What is known of the tasks of one prefix.
#[derive(Debug, Default)]
struct Observed {
    /// What a task takes; the last ones count most.
    time: Duration,
    /// How many tasks were measured.
    tasks: u64,
    /// How often somebody has knocked while one of them ran, and how often he had to wait.
    knocks: u32,
    held: u32,
    verdict: Verdict,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Verdict {
    /// In the threads, as nothing speaks against it so far.
    #[default]
    Open,
    /// In processes: each task gains so much.
    Elsewhere { gain: Duration },
    /// In the threads, because this came of sending them elsewhere.
    Refused(Box<str>),
}

/// Whoever has to wait so long for the lock has found it held: it is taken away from its holder after five
/// milliseconds, and given up for a moment in between by those who do not need it.
const HELD: Duration = Duration::from_millis(1);

/// So many knocks are needed to know.
const KNOCKS: u32 = 3;

/// What a call costs more in another process: packing, the way there and back, unpacking.
const JOURNEY: Duration = Duration::from_micros(200);

/// What starting the processes costs, as far as all tasks together must be worth it.
const START: Duration = Duration::from_millis(150);

impl Chooser {
    /// A task took so long in a thread.
    pub fn took(&mut self, prefix: &str, time: Duration) {
        let observed = self.observed(prefix);
        observed.time = match observed.tasks {
            0 => time,
            _ => observed.time * 3 / 4 + time / 4,
        };
        observed.tasks += 1;
    }

    /// Somebody has knocked while a task of this prefix ran, and had to wait so long.
    pub fn knocked(&mut self, prefix: &str, waited: Duration) {
        let observed = self.observed(prefix);
        observed.knocks += 1;
        observed.held += u32::from(waited >= HELD);
    }

    /// Tasks of this prefix cannot be called in processes, for this reason.
    pub fn refuses(&mut self, prefix: &str, reason: &str) {
        self.observed(prefix).verdict = Verdict::Refused(reason.into());
    }

    fn observed(&mut self, prefix: &str) -> &mut Observed {
        self.prefixes.entry_ref(prefix).or_default()
    }

    /// Decides about a prefix of which so many tasks are left, if `workers` would call them beside each
    /// other; answers whether they are sent to processes from now on, and were not before.
    pub fn decide(&mut self, prefix: &str, left: usize, workers: usize, is_warm: bool) -> bool {
        let observed = self.observed(prefix);
        let is_known = observed.tasks > 0 && observed.knocks >= KNOCKS;
        if observed.verdict != Verdict::Open || !is_known || workers < 2 {
            return false;
        }
        // While the lock is held the others wait: that is what is gained, for all workers but one.
        let alone = observed.time * observed.held / observed.knocks;
        let others = u32::try_from(workers - 1).unwrap_or(u32::MAX);
        let gained = alone / others.saturating_add(1) * others;
        let gain = gained.saturating_sub(JOURNEY);
        let all = gain.saturating_mul(u32::try_from(left).unwrap_or(u32::MAX));
        let pays = !gain.is_zero() && gain >= observed.time / 5 && (is_warm || all >= START);
        if pays {
            observed.verdict = Verdict::Elsewhere { gain };
        }
        pays
    }

    /// True if the tasks of this prefix are called in processes.
    pub fn is_elsewhere(&self, prefix: &str) -> bool {
        let observed = self.prefixes.get(prefix);
        observed.is_some_and(|observed| matches!(observed.verdict, Verdict::Elsewhere { .. }))
    }

    /// True if nothing more can be learned about a prefix.
    pub fn is_decided(&self, prefix: &str) -> bool {
        self.prefixes.get(prefix).is_some_and(|observed| observed.verdict != Verdict::Open)
    }

    /// Where the tasks of a prefix are called and why, in words; none if nothing is known of them.
    pub fn explain(&self, prefix: &str) -> Option<String> {
        let observed = self.prefixes.get(prefix)?;
        let Observed { time, tasks, knocks, held, verdict } = observed;
        let mut text = format!("tasks {prefix:?} are called in ");
        let written = match verdict {
            Verdict::Open => write!(text, "threads"),
            Verdict::Elsewhere { gain } => {
                write!(text, "worker processes, which saves about {gain:.1?} a task")
            }
            Verdict::Refused(reason) => write!(text, "threads, as processes cannot: {reason}"),
        };
        let measured = write!(
            text,
            "; a task took {time:.1?} in a thread ({tasks} measured), and the interpreter's lock was found held \
             at {held} of {knocks} looks"
        );
        // Writing into a string never fails.
        written.and(measured).ok()?;
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(time: Duration, held: &[bool]) -> Chooser {
        let mut chooser = Chooser::default();
        chooser.took("work", time);
        for held in held {
            let waited = if *held { Duration::from_millis(5) } else { Duration::from_micros(20) };
            chooser.knocked("work", waited);
        }
        chooser
    }

    const LONG: Duration = Duration::from_millis(27);

    #[test]
    fn tasks_that_hold_the_lock_for_long_go_to_processes_and_say_why() {
        let mut chooser = watched(LONG, &[true, true, true]);
        assert!(!chooser.is_elsewhere("work"));
        assert!(chooser.decide("work", 100, 2, false));
        assert!(chooser.is_elsewhere("work") && !chooser.is_elsewhere("other"));
        assert!(!chooser.decide("work", 100, 2, false), "it is said once");
        assert_eq!(
            chooser.explain("work").unwrap(),
            "tasks \"work\" are called in worker processes, which saves about 13.3ms a task; a task took \
             27.0ms in a thread (1 measured), and the interpreter's lock was found held at 3 of 3 looks"
        );
    }

    #[test]
    fn tasks_that_give_the_lock_back_stay() {
        let mut chooser = watched(LONG, &[false, true, false, false]);
        assert!(!chooser.decide("work", 100, 2, false));
        let mut free = watched(LONG, &[false, false, false]);
        assert!(!free.decide("work", 100, 2, true));
        let mut unmeasured = Chooser::default();
        (0..9).for_each(|_| unmeasured.knocked("work", HELD));
        assert!(!unmeasured.decide("work", 100, 2, true));
    }

    #[test]
    fn short_tasks_few_tasks_and_tasks_of_one_worker_stay() {
        let mut short = watched(Duration::from_micros(300), &[true, true, true]);
        assert!(!short.decide("work", 10_000, 2, true));
        let mut few = watched(LONG, &[true, true, true]);
        assert!(!few.decide("work", 3, 2, false));
        assert!(few.decide("work", 3, 2, true), "unless the processes are there anyway");
        let mut alone = watched(LONG, &[true, true, true]);
        assert!(!alone.decide("work", 100, 1, true));
    }

    #[test]
    fn nothing_is_decided_after_a_look_or_two() {
        let mut chooser = watched(LONG, &[true, true]);
        assert!(!chooser.decide("work", 100, 2, true));
    }

    #[test]
    fn what_processes_cannot_do_stays_for_good() {
        let mut chooser = watched(LONG, &[true, true, true]);
        chooser.refuses("work", "it cannot be pickled");
        assert!(!chooser.decide("work", 100, 2, true));
        assert!(
            chooser.explain("work").unwrap().contains("threads, as processes cannot: it cannot")
        );
    }
}
