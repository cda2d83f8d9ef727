//! [`EvictionPolicy`]: which value leaves memory first.
//!
//! A policy sees numbers, sizes and costs, no values. It reads no clock and decides nothing but the
//! order; the store asks it, and tells it only of values that may go.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::time::Duration;

use lru::LruCache;

/// What a policy is told of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// What the value takes in memory.
    pub bytes: u64,
    /// The time it took to compute.
    pub cost: Duration,
}

/// The order in which values leave memory. Each is known by a number.
///
/// The store calls it on one thread. The same calls must give the same answers: use no clock and no
/// random numbers, and do not let the order of a hash map show.
pub trait EvictionPolicy: Send {
    /// A value came into memory; under a number that is already there it replaces the other.
    fn insert(&mut self, id: u64, item: Item);

    /// A value was used. An unknown number is ignored.
    fn touch(&mut self, id: u64);

    /// A value is gone, or must not be chosen. An unknown number is ignored.
    fn remove(&mut self, id: u64);

    /// Takes out the value that shall go first.
    fn pop(&mut self) -> Option<u64>;

    /// How many values there are to choose from.
    fn len(&self) -> usize;

    /// True if there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Which policy a cluster uses.
#[derive(Clone, Copy, Debug, Default)]
pub enum Eviction {
    /// What was not used for the longest time goes first: [`LruPolicy`].
    #[default]
    Lru,
    /// What is cheapest to compute again for its size goes first: [`CostPolicy`].
    Cost,
    /// A policy of yours, made by this function.
    Custom(fn() -> Box<dyn EvictionPolicy>),
}

impl Eviction {
    /// A new policy of this kind.
    pub fn policy(&self) -> Box<dyn EvictionPolicy> {
        match self {
            Self::Lru => Box::new(LruPolicy::new()),
            Self::Cost => Box::new(CostPolicy::new()),
            Self::Custom(make) => make(),
        }
    }
}

/// What was not used for the longest time goes first.
///
/// # Examples
///
/// ```
/// use mobula::spill::{EvictionPolicy, Item, LruPolicy};
/// use std::time::Duration;
///
/// let item = Item { bytes: 1, cost: Duration::ZERO };
/// let mut policy = LruPolicy::new();
/// policy.insert(1, item);
/// policy.insert(2, item);
/// policy.touch(1);
/// assert_eq!(policy.pop(), Some(2));
/// ```
pub struct LruPolicy(LruCache<u64, ()>);

impl LruPolicy {
    /// A policy without values.
    pub fn new() -> Self {
        Self(LruCache::unbounded())
    }
}

impl Default for LruPolicy {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for LruPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LruPolicy").field("len", &self.0.len()).finish()
    }
}

impl EvictionPolicy for LruPolicy {
    fn insert(&mut self, id: u64, _item: Item) {
        self.0.put(id, ());
    }

    fn touch(&mut self, id: u64) {
        self.0.promote(&id);
    }

    fn remove(&mut self, id: u64) {
        self.0.pop(&id);
    }

    fn pop(&mut self) -> Option<u64> {
        self.0.pop_lru().map(|(id, ())| id)
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

/// What is cheapest to compute again for its size goes first, and what is not used grows old.
///
/// This is `GreedyDual-Size` (Cao and Irani, *Cost-Aware WWW Proxy Caching Algorithms*, USENIX 1997): a
/// value's rank is its cost per byte on top of the rank of what was last taken out, given anew at each
/// use. So an expensive value outlives cheap ones for a while, not for ever.
///
/// # Examples
///
/// ```
/// use mobula::spill::{CostPolicy, EvictionPolicy, Item};
/// use std::time::Duration;
///
/// let mut policy = CostPolicy::new();
/// policy.insert(1, Item { bytes: 1000, cost: Duration::from_secs(9) });
/// policy.insert(2, Item { bytes: 1000, cost: Duration::from_secs(1) });
/// assert_eq!(policy.pop(), Some(2));
/// ```
#[derive(Debug, Default)]
pub struct CostPolicy {
    /// The rank and the worth of each value.
    items: HashMap<u64, (Rank, f64)>,
    /// Rank and number of each value; the first goes first.
    order: BTreeSet<(Rank, u64)>,
    /// The rank of what was last taken out: what the worth of a value is put on top of.
    age: f64,
    /// How often a rank was given; among equals the older one goes first.
    given: u64,
}

#[derive(Clone, Copy, Debug)]
struct Rank {
    height: f64,
    given: u64,
}

impl CostPolicy {
    /// A policy without values.
    pub fn new() -> Self {
        Self::default()
    }

    fn place(&mut self, id: u64, worth: f64) {
        self.given += 1;
        let rank = Rank { height: self.age + worth, given: self.given };
        self.items.insert(id, (rank, worth));
        self.order.insert((rank, id));
    }

    fn take_out(&mut self, id: u64) -> Option<f64> {
        let (rank, worth) = self.items.remove(&id)?;
        self.order.remove(&(rank, id));
        Some(worth)
    }
}

impl EvictionPolicy for CostPolicy {
    fn insert(&mut self, id: u64, item: Item) {
        self.take_out(id);
        #[expect(clippy::cast_precision_loss, reason = "a rank need not be exact")]
        let bytes = item.bytes.max(1) as f64;
        self.place(id, item.cost.as_secs_f64() / bytes);
    }

    fn touch(&mut self, id: u64) {
        if let Some(worth) = self.take_out(id) {
            self.place(id, worth);
        }
    }

    fn remove(&mut self, id: u64) {
        self.take_out(id);
    }

    fn pop(&mut self) -> Option<u64> {
        let (rank, id) = self.order.pop_first()?;
        self.items.remove(&id);
        // With nothing left to compare with, start over, so that sums stay small and exact.
        self.age = if self.order.is_empty() { 0.0 } else { rank.height };
        Some(id)
    }

    fn len(&self) -> usize {
        self.items.len()
    }
}

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.height.total_cmp(&other.height).then(self.given.cmp(&other.given))
    }
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Rank {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Rank {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{CostPolicy, Eviction, EvictionPolicy, Item, LruPolicy};

    fn item(bytes: u64, millis: u64) -> Item {
        Item { bytes, cost: Duration::from_millis(millis) }
    }

    fn all(policy: &mut dyn EvictionPolicy) -> Vec<u64> {
        std::iter::from_fn(|| policy.pop()).collect()
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut policy = LruPolicy::new();
        for id in [1, 2, 3, 4] {
            policy.insert(id, item(1, id));
        }
        policy.touch(1);
        policy.remove(3);
        policy.touch(99);
        policy.remove(99);
        policy.insert(2, item(1, 1));
        assert_eq!(policy.len(), 3);
        assert_eq!(all(&mut policy), [4, 1, 2]);
    }

    #[test]
    fn the_cheapest_per_byte_goes_first() {
        let mut policy = CostPolicy::new();
        policy.insert(1, item(1000, 1));
        policy.insert(2, item(1, 1));
        policy.insert(3, item(10, 1));
        policy.insert(4, item(0, 1000));
        policy.touch(99);
        policy.remove(99);
        assert_eq!(all(&mut policy), [1, 3, 2, 4]);
        assert!(policy.is_empty());
    }

    #[test]
    fn among_equals_the_one_used_before_goes_first() {
        let mut policy = CostPolicy::new();
        for id in [1, 2, 3] {
            policy.insert(id, item(8, 5));
        }
        policy.touch(1);
        assert_eq!(all(&mut policy), [2, 3, 1]);
    }

    #[test]
    fn an_expensive_value_grows_old() {
        let mut policy = CostPolicy::new();
        policy.insert(0, item(1, 10));
        policy.insert(1, item(1, 1));
        // Each newcomer takes the place of the cheap one before it, on top of what that one had.
        let gone = (2..100).position(|id| {
            policy.insert(id, item(1, 1));
            policy.pop() == Some(0)
        });
        assert!(gone.is_some_and(|count| (5..20).contains(&count)), "{gone:?}");
    }

    #[test]
    fn a_custom_policy_is_made_anew() {
        let eviction = Eviction::Custom(|| Box::new(CostPolicy::new()));
        let mut one = eviction.policy();
        one.insert(1, item(1, 1));
        assert!(eviction.policy().is_empty());
        assert!(Eviction::default().policy().is_empty());
        assert!(Eviction::Cost.policy().is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_goes_in_comes_out_once(steps in prop::collection::vec((0..4, 0_u64..8), 0..100)) {
            for eviction in [Eviction::Lru, Eviction::Cost] {
                let mut policy = eviction.policy();
                let mut model = std::collections::BTreeSet::new();
                for &(step, id) in &steps {
                    match step {
                        0 => { policy.insert(id, item(id, 7 % (id + 1))); model.insert(id); }
                        1 => policy.touch(id),
                        2 => { policy.remove(id); model.remove(&id); }
                        _ => {
                            let popped = policy.pop();
                            prop_assert_eq!(popped.is_none(), model.is_empty());
                            prop_assert!(popped.is_none_or(|id| model.remove(&id)));
                        }
                    }
                    prop_assert_eq!(policy.len(), model.len());
                }
                let mut left = all(policy.as_mut());
                left.sort_unstable();
                prop_assert_eq!(left, model.into_iter().collect::<Vec<_>>());
            }
        }
    }
}
