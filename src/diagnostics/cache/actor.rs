//! [`SimpleCacheActor`]: keys and values, the least recently used of them given up for new ones.
//!
//! It keeps what it is told to keep; what is worth keeping is its callers' decision. It holds pointers
//! to values, not copies, and it writes nothing to disk.

use actix::{Actor, Context, Handler, Message, MessageResult};
use lru::LruCache;

use crate::graph::Key;
use crate::value::Value;

/// A state actor that holds values by key, bounded by entries, by bytes or by both.
///
/// When a bound is passed, the values that were not asked for the longest are evicted. Start it with
/// [`Client::start_state`](crate::Client::start_state), put a
/// [`CacheCallback`](super::CacheCallback) over it, or send it [`Get`] and [`Put`] from hooks of your
/// own.
///
/// # Examples
///
/// ```
/// use mobula::diagnostics::cache::{Get, Put, ReadStats};
/// use mobula::{Cluster, Key, SimpleCacheActor, Value};
///
/// let cluster = Cluster::builder().workers(1).start()?;
/// let cache = cluster.start_state(SimpleCacheActor::with_entries(2))?;
/// for (key, value) in [("a", 1_i64), ("b", 2), ("c", 3)] {
///     cache.tell(Put { key: key.into(), value: value.into() })?;
/// }
/// assert!(cache.ask(Get("a".into()))?.is_none(), "the oldest one made room");
/// assert_eq!(cache.ask(Get("c".into()))?.unwrap().downcast_ref::<i64>(), Some(&3));
///
/// let stats = cache.ask(ReadStats)?;
/// assert_eq!((stats.hits, stats.misses, stats.evictions, stats.entries), (1, 1, 1, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SimpleCacheActor {
    /// By key: the value; and the order of use. The bounds are kept here, because the crate knows
    /// nothing of bytes.
    values: LruCache<Key, Value>,
    most_entries: usize,
    most_bytes: usize,
    /// Counted by the handlers; `entries` and `bytes` always agree with `values`.
    stats: CacheStats,
}

/// What a [`SimpleCacheActor`] holds, and how it has fared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// How many values were answered and used.
    pub hits: u64,
    /// How many values were not there when they were needed.
    pub misses: u64,
    /// How many values were taken in.
    pub puts: u64,
    /// How many values were given up because a bound was passed.
    pub evictions: u64,
    /// How many values were not taken in because they alone would pass a bound.
    pub refused: u64,
    /// How many values are held now.
    pub entries: usize,
    /// What the values that are held count: see [`SimpleCacheActor::with_bytes`].
    pub bytes: usize,
}

impl SimpleCacheActor {
    /// A cache without bounds, like the one in Dask-on-Ray's guide. It holds whatever it is given until
    /// [`Clear`].
    pub fn unbounded() -> Self {
        Self {
            values: LruCache::unbounded(),
            most_entries: usize::MAX,
            most_bytes: usize::MAX,
            stats: CacheStats::default(),
        }
    }

    /// A cache of at most `entries` values.
    pub fn with_entries(entries: usize) -> Self {
        Self::unbounded().and_entries(entries)
    }

    /// A cache whose values take at most `bytes` bytes together.
    ///
    /// A value counts its [`Value::bytes`], and at least 64, which is about what its place in the cache
    /// takes. A value that alone is larger than the bound is refused.
    pub fn with_bytes(bytes: usize) -> Self {
        Self::unbounded().and_bytes(bytes)
    }

    /// The same cache, bounded by entries, too.
    #[must_use]
    pub fn and_entries(mut self, entries: usize) -> Self {
        self.most_entries = entries;
        self
    }

    /// The same cache, bounded by bytes, too; see [`with_bytes`](Self::with_bytes).
    #[must_use]
    pub fn and_bytes(mut self, bytes: usize) -> Self {
        self.most_bytes = bytes;
        self
    }

    fn put(&mut self, key: Key, value: Value) {
        let bytes = counted_bytes(&value);
        if self.most_entries == 0 || bytes > self.most_bytes {
            self.stats.refused += 1;
            // An older value of the same key is not its value any more.
            let old = self.values.pop(&key);
            return self.removed(old.as_ref());
        }
        let old = self.values.put(key, value);
        self.removed(old.as_ref());
        self.stats.puts += 1;
        self.stats.entries += 1;
        self.stats.bytes += bytes;
        // The value that came last goes last, and alone it fits, so this ends before it.
        while self.stats.entries > self.most_entries || self.stats.bytes > self.most_bytes {
            let Some((_, evicted)) = self.values.pop_lru() else { return };
            self.removed(Some(&evicted));
            self.stats.evictions += 1;
        }
    }

    fn removed(&mut self, value: Option<&Value>) {
        if let Some(value) = value {
            self.stats.entries -= 1;
            self.stats.bytes -= counted_bytes(value);
        }
    }

    fn get(&mut self, key: &Key) -> Option<Value> {
        let value = self.values.get(key).cloned();
        self.stats.hits += u64::from(value.is_some());
        value
    }
}

/// What a value counts.
fn counted_bytes(value: &Value) -> usize {
    /// Key, value, two links of the list and a place in the table; without it, a bound on bytes would
    /// let any number of small values in.
    const PLACE: usize = 64;
    value.bytes().max(PLACE)
}

impl std::fmt::Debug for SimpleCacheActor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimpleCacheActor").field("stats", &self.stats).finish_non_exhaustive()
    }
}

impl Actor for SimpleCacheActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        // No bound: what a run has put is there before anybody asks after the run.
        context.set_mailbox_capacity(0);
    }
}

/// Asks for the value of a key, which is then the most recently used one. Counts a hit or a miss.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Option<Value>")]
pub struct Get(pub Key);

impl Handler<Get> for SimpleCacheActor {
    type Result = Option<Value>;

    fn handle(&mut self, Get(key): Get, _: &mut Self::Context) -> Option<Value> {
        let value = self.get(&key);
        self.stats.misses += u64::from(value.is_none());
        value
    }
}

/// Holds a value under a key from now on, instead of an older one.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Put {
    /// The key.
    pub key: Key,
    /// Its value.
    pub value: Value,
}

impl Handler<Put> for SimpleCacheActor {
    type Result = ();

    fn handle(&mut self, Put { key, value }: Put, _: &mut Self::Context) {
        self.put(key, value);
    }
}

/// Asks for many values at once, in the order of the keys. Nobody knows yet which of them will be
/// used, so this counts nothing and changes no order: tell it later with [`Used`] and [`Missed`].
#[derive(Clone, Debug, Message)]
#[rtype(result = "Vec<Option<Value>>")]
pub struct Lookup(pub Vec<Key>);

impl Handler<Lookup> for SimpleCacheActor {
    type Result = Vec<Option<Value>>;

    fn handle(&mut self, Lookup(keys): Lookup, _: &mut Self::Context) -> Self::Result {
        keys.iter().map(|key| self.values.peek(key).cloned()).collect()
    }
}

/// These answers to a [`Lookup`] were used: each counts as a hit and is recently used, the last one
/// most.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Used(pub Vec<Key>);

impl Handler<Used> for SimpleCacheActor {
    type Result = ();

    fn handle(&mut self, Used(keys): Used, _: &mut Self::Context) {
        for key in &keys {
            self.values.promote(key);
        }
        self.stats.hits += keys.len() as u64;
    }
}

/// So many keys of a [`Lookup`] were not answered, and had to be computed: counts misses.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Missed(pub u64);

impl Handler<Missed> for SimpleCacheActor {
    type Result = ();

    fn handle(&mut self, Missed(count): Missed, _: &mut Self::Context) {
        self.stats.misses += count;
    }
}

/// As [`Get`], but a key that is not there is no miss yet: the task may still not run.
#[derive(Debug, Message)]
#[rtype(result = "Option<Value>")]
pub(super) struct Answer(pub(super) Key);

impl Handler<Answer> for SimpleCacheActor {
    type Result = Option<Value>;

    fn handle(&mut self, Answer(key): Answer, _: &mut Self::Context) -> Option<Value> {
        self.get(&key)
    }
}

/// Asks for the [`CacheStats`].
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "CacheStats")]
pub struct ReadStats;

impl Handler<ReadStats> for SimpleCacheActor {
    type Result = MessageResult<ReadStats>;

    fn handle(&mut self, _: ReadStats, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.stats)
    }
}

/// Gives all values up. The counts of hits, misses and the like go on.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Clear;

impl Handler<Clear> for SimpleCacheActor {
    type Result = ();

    fn handle(&mut self, _: Clear, _: &mut Self::Context) {
        self.values.clear();
        (self.stats.entries, self.stats.bytes) = (0, 0);
    }
}
