//! [`Queue`]: which of many calls are in the hands of the workers at once.
//!
//! Every run that goes on costs its cluster something all the time, so a program that makes ten thousand
//! calls in a loop hands them over bit by bit. This cannot stop everything: whatever a call waits for was
//! asked for before it, and a call that comes before all that are in the workers' hands never queues. What
//! tasks and actors ask for does not queue at all, and is not counted here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::MutexGuard;

use crate::fork::PerProcess;

/// So many calls are in the hands of the workers.
const MOST: usize = 64;

/// Calls by the number in which they were asked for.
pub(crate) struct Queue<C>(PerProcess<State<C>>);

struct State<C> {
    /// Those in the hands of the workers.
    begun: BTreeSet<u64>,
    queued: BTreeMap<u64, C>,
}

impl<C> Default for State<C> {
    fn default() -> Self {
        Self { begun: BTreeSet::new(), queued: BTreeMap::new() }
    }
}

impl<C> Queue<C> {
    pub(crate) const fn new() -> Self {
        Self(PerProcess::new())
    }

    fn lock(&self) -> MutexGuard<'_, State<C>> {
        self.0.lock()
    }

    /// Answers the call if it may begin, and keeps it otherwise.
    pub(crate) fn admit(&self, number: u64, call: C) -> Option<C> {
        let mut state = self.lock();
        let is_first = state.begun.first().is_none_or(|first| number < *first);
        if is_first || state.begun.len() < MOST {
            state.begun.insert(number);
            return Some(call);
        }
        state.queued.insert(number, call);
        None
    }

    /// A call is over: answers the next one to begin.
    pub(crate) fn is_over(&self, number: u64) -> Option<(u64, C)> {
        let mut state = self.lock();
        state.begun.remove(&number);
        if state.begun.len() >= MOST {
            return None;
        }
        let (next, call) = state.queued.pop_first()?;
        state.begun.insert(next);
        Some((next, call))
    }
}
