//! [`Order`]: the buffers that could leave memory, in the order of an eviction policy.
//!
//! A policy may be a user's. One that panics is replaced, one that answers nonsense is not believed; what
//! becomes of a buffer is not decided here.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

use super::buffer::Buffer;
use crate::engine::Kept;
use crate::spill::{EvictionPolicy, Item, LruPolicy};

/// The buffers that could leave.
pub(super) struct Order {
    policy: Box<dyn EvictionPolicy>,
    /// The buffers in `policy`, by number.
    candidates: HashMap<u64, Candidate>,
}

/// A buffer that could leave.
struct Candidate {
    buffer: Weak<Buffer>,
    /// When the value had been used last, by the store's count of uses, as far as the policy knows.
    used: u64,
    item: Item,
}

impl Order {
    pub(super) fn new(policy: Box<dyn EvictionPolicy>) -> Self {
        Self { policy, candidates: HashMap::new() }
    }

    /// How many there are, those that were released and not forgotten yet included.
    pub(super) fn len(&self) -> usize {
        self.candidates.len()
    }

    pub(super) fn insert(&mut self, buffer: &Arc<Buffer>) {
        let (id, used) = (buffer.id(), buffer.used());
        let item = Item { bytes: buffer.bytes(), cost: buffer.cost() };
        let candidate = Candidate { buffer: Arc::downgrade(buffer), used, item };
        self.candidates.insert(id, candidate);
        self.ask(|policy| policy.insert(id, item));
    }

    /// Takes out the one that is to leave first, and when it had been used last as far as the policy
    /// knows.
    pub(super) fn pop(&mut self) -> Option<(Weak<Buffer>, u64)> {
        // What the policy makes up does not count.
        for _ in 0..=self.candidates.len() {
            let id = match self.ask(|policy| policy.pop()) {
                Some(answer) => answer?,
                None => continue,
            };
            if let Some(Candidate { buffer, used, .. }) = self.candidates.remove(&id) {
                return Some((buffer, used));
            }
        }
        None
    }

    /// Buffers are released without a word, so now and then somebody looks who is left.
    pub(super) fn forget_released(&mut self) {
        let is_gone = |candidate: &Candidate| candidate.buffer.strong_count() == 0;
        let gone = self.candidates.iter().filter(|(_, candidate)| is_gone(candidate));
        let mut gone: Vec<u64> = gone.map(|(id, _)| *id).collect();
        gone.sort_unstable();
        for id in gone {
            self.candidates.remove(&id);
            self.ask(|policy| policy.remove(id));
        }
    }

    /// Asks the policy; `None` if it panicked and has been replaced.
    fn ask<R>(&mut self, question: impl FnOnce(&mut dyn EvictionPolicy) -> R) -> Option<R> {
        let policy = &mut *self.policy;
        if let Ok(answer) = catch_unwind(AssertUnwindSafe(|| question(policy))).map_err(forget) {
            return Some(answer);
        }
        log::error!("the eviction policy panicked; from now on what was used last leaves last");
        let broken = std::mem::replace(&mut self.policy, Box::new(LruPolicy::new()));
        catch_unwind(AssertUnwindSafe(|| drop(broken))).unwrap_or_else(forget);
        let mut all: Vec<_> =
            self.candidates.iter().map(|(id, known)| (known.used, *id, known.item)).collect();
        all.sort_unstable_by_key(|(used, id, _)| (*used, *id));
        for (_, id, item) in all {
            self.policy.insert(id, item);
        }
        None
    }
}

/// Dropping what was thrown could panic once more.
fn forget(panic: Box<dyn std::any::Any + Send>) {
    std::mem::forget(panic);
}
