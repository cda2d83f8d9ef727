//! When a worker looks at the clock, and for how long it stays with one run. Reads no clock itself.

use std::time::Duration;

/// How far apart a worker's looks at the clock should be: far enough to cost nothing, near enough to
/// hear of other work in time.
const BETWEEN_LOOKS: Duration = Duration::from_micros(20);

/// The most tasks between two looks: if a long task follows many short ones, the clock is late by
/// no more than these.
const MOST_TASKS: u32 = 64;

/// How long a worker stays with a run while other runs wait.
const TURN: Duration = Duration::from_millis(1);

/// Counts the tasks of a worker between two looks at the clock.
///
/// A look costs as much as half a short task, so there is one for many short tasks or for each long
/// one; how many is learned from the time that the last ones took.
#[derive(Debug)]
pub struct Pace {
    /// Tasks since the last look.
    tasks: u32,
    /// How many tasks to run until the next look.
    until_look: u32,
    last_look: Duration,
    turn_began: Duration,
}

impl Pace {
    /// A pace for a turn that begins now. Nothing is known yet, so the first look follows the first task.
    pub fn new(now: Duration) -> Self {
        Self { tasks: 0, until_look: 1, last_look: now, turn_began: now }
    }

    /// Counts a task. Answers whether it is time for a look at the clock.
    #[inline]
    pub fn count(&mut self) -> bool {
        self.tasks += 1;
        self.tasks >= self.until_look
    }

    /// Takes a look's time in: how many tasks ran since the last look, and how long they took.
    pub fn look(&mut self, now: Duration) -> (u32, Duration) {
        let (tasks, elapsed) = (self.tasks, now.saturating_sub(self.last_look));
        let fits = if elapsed < BETWEEN_LOOKS / 2 {
            self.until_look * 2
        } else {
            let each = elapsed / tasks.max(1);
            let fits = BETWEEN_LOOKS.as_nanos() / each.as_nanos().max(1);
            u32::try_from(fits).unwrap_or(MOST_TASKS)
        };
        self.until_look = fits.clamp(1, MOST_TASKS);
        self.tasks = 0;
        self.last_look = now;
        (tasks, elapsed)
    }

    /// True if the turn is over, as of the last look; then the other runs come first.
    pub fn turn_is_over(&self) -> bool {
        self.last_look.saturating_sub(self.turn_began) >= TURN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn micros(count: u64) -> Duration {
        Duration::from_micros(count)
    }

    /// Runs tasks that each take `each` until `looks` looks were taken; answers the tasks a look.
    fn tasks_a_look(pace: &mut Pace, now: &mut Duration, each: Duration, looks: usize) -> u32 {
        let mut last = 0;
        for _ in 0..looks {
            while !pace.count() {
                *now += each;
            }
            *now += each;
            last = pace.look(*now).0;
        }
        last
    }

    #[test]
    fn short_tasks_share_a_look_and_long_tasks_have_their_own() {
        let (mut pace, mut now) = (Pace::new(Duration::ZERO), Duration::ZERO);
        assert_eq!(tasks_a_look(&mut pace, &mut now, Duration::from_nanos(50), 20), MOST_TASKS);
        assert_eq!(tasks_a_look(&mut pace, &mut now, micros(500), 2), 1);
        assert_eq!(tasks_a_look(&mut pace, &mut now, micros(5), 10), 4);
    }

    #[test]
    fn a_turn_is_over_after_a_millisecond() {
        let mut pace = Pace::new(micros(100));
        pace.look(micros(1000));
        assert!(!pace.turn_is_over());
        pace.look(micros(1100));
        assert!(pace.turn_is_over());
    }
}
