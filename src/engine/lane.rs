//! A worker's share of a run: the ready tasks that it is to run, which others may take from it.
//!
//! The lane answers what to take next (the task with the best priority) and what to give away (the
//! worse half). It is guarded by a lock that is free nearly always: a task that follows directly from
//! the one before never enters a lane, and others look only at the published numbers until taking pays.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::TaskId;
use super::padded::Padded;

/// Nobody's task: greater than every task's number.
pub(super) const NO_TASK: u32 = u32::MAX;

/// One worker's ready tasks of one run.
#[derive(Debug)]
pub(super) struct Lane {
    ready: Mutex<Ready>,
    /// How many tasks `ready` holds; written under the lock.
    available: AtomicU32,
    /// The best task in `ready`; written under the lock.
    best: AtomicU32,
    /// Written by the owner alone, read by those who may want to take from it.
    pub(super) pulse: Padded<Pulse>,
}

/// Signs of life of a lane's owner.
#[derive(Debug)]
pub(super) struct Pulse {
    /// How many tasks the owner has started.
    pub(super) started: AtomicU32,
    /// The task that the owner is in, or `NO_TASK`.
    pub(super) running: AtomicU32,
    /// The room in memory that this task was given, in pages.
    pub(super) reserved: AtomicU32,
}

#[derive(Debug, Default)]
struct Ready {
    tasks: BinaryHeap<Reverse<u32>>,
    /// Places in the run's list of roots that the owner has claimed.
    roots: Range<u32>,
}

/// What a lane gave away.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Gift {
    Roots(Range<u32>),
    Tasks(Vec<u32>),
}

impl Lane {
    pub(super) fn new() -> Self {
        Self {
            ready: Mutex::default(),
            available: AtomicU32::new(0),
            best: AtomicU32::new(NO_TASK),
            pulse: Padded(Pulse {
                started: AtomicU32::new(0),
                running: AtomicU32::new(NO_TASK),
                reserved: AtomicU32::new(0),
            }),
        }
    }

    /// How many tasks lie here. It may be out of date when it is read.
    #[inline]
    pub(super) fn available(&self) -> u32 {
        self.available.load(Ordering::Relaxed)
    }

    /// The best task that lies here, or `NO_TASK`. It may be out of date when it is read.
    #[inline]
    pub(super) fn best(&self) -> u32 {
        self.best.load(Ordering::Relaxed)
    }

    /// Puts ready tasks in.
    pub(super) fn push(&self, tasks: impl IntoIterator<Item = TaskId>, roots: &[TaskId]) {
        let mut ready = self.lock();
        ready.tasks.extend(tasks.into_iter().map(|task| Reverse(task.0)));
        self.publish(&ready, roots);
    }

    /// Takes the best task out.
    #[inline]
    pub(super) fn pop(&self, roots: &[TaskId]) -> Option<TaskId> {
        if self.available() == 0 {
            return None;
        }
        let mut ready = self.lock();
        let task = ready.pop(roots);
        self.publish(&ready, roots);
        task
    }

    /// Takes the best of `task` and the tasks in the lane; the other stays.
    #[inline]
    pub(super) fn exchange(&self, task: TaskId, roots: &[TaskId]) -> TaskId {
        let mut ready = self.lock();
        // Somebody may have taken the better ones since the caller looked.
        if ready.best(roots) > task.0 {
            return task;
        }
        let best = ready.pop(roots).unwrap_or(task);
        ready.tasks.push(Reverse(task.0));
        self.publish(&ready, roots);
        best
    }

    /// Takes over a range of roots that was claimed for this lane, and takes the first one out.
    pub(super) fn claim(&self, mut range: Range<u32>, roots: &[TaskId]) -> Option<TaskId> {
        let first = range.next()?;
        if range.is_empty() {
            return Some(roots[first as usize]);
        }
        let mut ready = self.lock();
        if ready.roots.is_empty() {
            ready.roots = range;
        } else {
            let tasks = range.map(|place| Reverse(roots[place as usize].0));
            ready.tasks.extend(tasks);
        }
        self.publish(&ready, roots);
        Some(roots[first as usize])
    }

    /// Gives the worse half away: what the owner would come to last.
    pub(super) fn give(&self, roots: &[TaskId]) -> Option<Gift> {
        let mut ready = self.lock();
        let gift = ready.give();
        self.publish(&ready, roots);
        gift
    }

    /// Takes over what another lane gave and takes the best task of it out.
    pub(super) fn receive(&self, gift: Gift, roots: &[TaskId]) -> Option<TaskId> {
        match gift {
            Gift::Roots(range) => self.claim(range, roots),
            Gift::Tasks(tasks) => {
                let mut ready = self.lock();
                ready.tasks.extend(tasks.into_iter().map(Reverse));
                let task = ready.pop(roots);
                self.publish(&ready, roots);
                task
            }
        }
    }

    /// True if the task lies here.
    pub(super) fn contains(&self, task: TaskId, roots: &[TaskId]) -> bool {
        let ready = self.lock();
        let claimed = &roots[ready.roots.start as usize..ready.roots.end as usize];
        claimed.binary_search(&task).is_ok()
            || ready.tasks.iter().any(|Reverse(other)| *other == task.0)
    }

    /// True if the published numbers are those of the content.
    pub(super) fn is_consistent(&self, roots: &[TaskId]) -> bool {
        let ready = self.lock();
        self.available() as usize == ready.len() && self.best() == ready.best(roots)
    }

    fn publish(&self, ready: &Ready, roots: &[TaskId]) {
        self.available.store(u32::try_from(ready.len()).unwrap_or(NO_TASK), Ordering::Relaxed);
        self.best.store(ready.best(roots), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Ready> {
        // No code of a user runs under the lock; were it poisoned, the content would still be whole.
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ready {
    fn len(&self) -> usize {
        self.tasks.len() + self.roots.len()
    }

    fn best(&self, roots: &[TaskId]) -> u32 {
        let task = self.tasks.peek().map_or(NO_TASK, |Reverse(task)| *task);
        self.first_root(roots).min(task)
    }

    fn first_root(&self, roots: &[TaskId]) -> u32 {
        if self.roots.is_empty() { NO_TASK } else { roots[self.roots.start as usize].0 }
    }

    fn pop(&mut self, roots: &[TaskId]) -> Option<TaskId> {
        let root = self.first_root(roots);
        match self.tasks.peek() {
            Some(Reverse(task)) if *task < root => {
                self.tasks.pop().map(|Reverse(task)| TaskId(task))
            }
            _ => self.roots.next().map(|place| roots[place as usize]),
        }
    }

    fn give(&mut self) -> Option<Gift> {
        if self.roots.len() > self.tasks.len() {
            let middle = self.roots.start + u32::try_from(self.roots.len() / 2).unwrap_or(0);
            let given = middle..self.roots.end;
            self.roots.end = middle;
            return Some(Gift::Roots(given));
        }
        if self.tasks.is_empty() {
            return None;
        }
        // The array behind a heap ends with its leaves, which are mostly the worse ones.
        let mut all = std::mem::take(&mut self.tasks).into_vec();
        let given = all.split_off(all.len() / 2);
        self.tasks = all.into();
        Some(Gift::Tasks(given.into_iter().map(|Reverse(task)| task).collect()))
    }
}

/// Decides whether taking from somebody else's lane pays.
///
/// Taking moves a lock, counters and values between processors, a few microseconds' worth; so a lane
/// whose owner will be through with it sooner is left alone. An owner that has started nothing since
/// the watch began is in a long task, and then every waiting task is worth taking.
pub(super) fn taking_pays(available: u32, task_time: Option<Duration>, stalled: Duration) -> bool {
    const COST: Duration = Duration::from_micros(4);
    match task_time {
        _ if available == 0 => false,
        None => true,
        Some(time) => time.saturating_mul(available) >= COST || stalled >= COST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(numbers: &[u32]) -> Vec<TaskId> {
        numbers.iter().copied().map(TaskId).collect()
    }

    #[test]
    fn the_best_of_tasks_and_roots_comes_first() {
        let roots = ids(&[0, 2, 9]);
        let lane = Lane::new();
        assert_eq!(lane.claim(0..3, &roots), Some(TaskId(0)));
        lane.push(ids(&[5, 1]), &roots);
        assert_eq!((lane.available(), lane.best()), (4, 1));
        let popped: Vec<_> = std::iter::from_fn(|| lane.pop(&roots)).collect();
        assert_eq!(popped, ids(&[1, 2, 5, 9]));
        assert!(lane.is_consistent(&roots));
    }

    #[test]
    fn an_exchange_keeps_the_worse_task() {
        let lane = Lane::new();
        lane.push(ids(&[3, 8]), &[]);
        assert_eq!(lane.exchange(TaskId(5), &[]), TaskId(3));
        assert_eq!(lane.exchange(TaskId(4), &[]), TaskId(4));
        assert_eq!(std::iter::from_fn(|| lane.pop(&[])).collect::<Vec<_>>(), ids(&[5, 8]));
    }

    #[test]
    fn the_worse_half_is_given_away() {
        let roots = ids(&[0, 1, 2, 3, 4]);
        let lane = Lane::new();
        lane.claim(0..5, &roots);
        assert_eq!(lane.give(&roots), Some(Gift::Roots(3..5)));
        let other = Lane::new();
        other.push(ids(&[1, 2, 3, 4]), &roots);
        let Some(Gift::Tasks(given)) = other.give(&roots) else { panic!("nothing was given") };
        assert_eq!(given.len(), 2);
        assert_eq!(other.best(), 1);
        assert_eq!(lane.receive(Gift::Tasks(given), &roots), Some(TaskId(1)));
        assert!(lane.is_consistent(&roots) && other.is_consistent(&roots));
    }

    #[test]
    fn a_single_task_can_be_given_and_nothing_cannot() {
        let lane = Lane::new();
        assert_eq!(lane.give(&[]), None);
        lane.push(ids(&[7]), &[]);
        assert_eq!(lane.give(&[]), Some(Gift::Tasks(vec![7])));
    }

    #[test]
    fn taking_pays_for_long_work_and_from_a_stalled_owner() {
        let (short, long) = (Some(Duration::from_nanos(50)), Some(Duration::from_micros(20)));
        assert!(!taking_pays(0, long, Duration::MAX));
        assert!(!taking_pays(3, short, Duration::ZERO));
        assert!(taking_pays(100, short, Duration::ZERO));
        assert!(taking_pays(1, long, Duration::ZERO));
        assert!(taking_pays(1, short, Duration::from_micros(5)));
        assert!(taking_pays(1, None, Duration::ZERO));
    }
}
