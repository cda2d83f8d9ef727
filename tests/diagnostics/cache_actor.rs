//! `SimpleCacheActor` by itself: bounds, order of use, counts.

use mobula::diagnostics::cache::{Clear, Get, Missed, Used};
use mobula::{CacheStats, Cluster, Key, SimpleCacheActor, StateRef, Value};

use crate::helpers::{cluster, held, put, start, stats};
use crate::watchdog::watched;

/// Runs a test on a cache.
fn on(actor: SimpleCacheActor, test: impl FnOnce(&Cache) + Send + 'static) {
    watched(move || {
        let cluster = cluster(1);
        let cache = start(&cluster, actor);
        test(&Cache { cache, _cluster: cluster });
    });
}

struct Cache {
    cache: StateRef<SimpleCacheActor>,
    _cluster: Cluster,
}

impl Cache {
    /// Puts a value that counts `bytes` bytes.
    fn put(&self, key: impl Into<Key>, bytes: usize) {
        put(&self.cache, key, Value::with_bytes((), bytes));
    }

    fn get(&self, key: impl Into<Key>) -> Option<Value> {
        self.cache.ask(Get(key.into())).expect("the cache is there")
    }

    fn held<K: Into<Key>>(&self, keys: impl IntoIterator<Item = K>) -> Vec<bool> {
        held(&self.cache, keys)
    }

    fn stats(&self) -> CacheStats {
        stats(&self.cache)
    }
}

#[test]
fn the_least_recently_used_makes_room_by_entries() {
    on(SimpleCacheActor::with_entries(2), |cache| {
        cache.put("a", 100);
        cache.put("b", 100);
        assert!(cache.get("a").is_some());
        cache.put("c", 100);
        assert_eq!(cache.held(["a", "b", "c"]), [true, false, true]);
        let stats = cache.stats();
        assert_eq!((stats.puts, stats.evictions, stats.entries), (3, 1, 2));
        assert_eq!(stats.bytes, 200);
    });
}

#[test]
fn the_least_recently_used_make_room_by_bytes() {
    on(SimpleCacheActor::with_bytes(3_000), |cache| {
        for key in ["a", "b", "c"] {
            cache.put(key, 1_000);
        }
        assert_eq!(cache.stats().bytes, 3_000);
        assert!(cache.get("a").is_some());
        cache.put("d", 2_000);
        assert_eq!(cache.held(["a", "b", "c", "d"]), [true, false, false, true]);
        let stats = cache.stats();
        assert_eq!((stats.evictions, stats.entries, stats.bytes), (2, 2, 3_000));
    });
}

#[test]
fn both_bounds_hold() {
    on(SimpleCacheActor::with_entries(3).and_bytes(2_000), |cache| {
        for number in 0..10 {
            cache.put(number, 100);
        }
        assert_eq!(cache.stats().entries, 3);
        cache.put("large", 1_900);
        assert_eq!(
            cache.held([Key::from(7), Key::from(9), Key::from("large")]),
            [false, true, true]
        );
        assert_eq!(cache.stats().bytes, 2_000);
    });
}

#[test]
fn a_value_larger_than_the_bound_is_refused() {
    on(SimpleCacheActor::with_bytes(1_000), |cache| {
        cache.put("a", 600);
        cache.put("b", 1_001);
        assert_eq!(cache.held(["a", "b"]), [true, false]);
        let stats = cache.stats();
        assert_eq!((stats.refused, stats.evictions, stats.puts), (1, 0, 1));

        // A new value of "a" that is refused leaves no old one behind.
        cache.put("a", 2_000);
        assert_eq!(cache.held(["a"]), [false]);
        let stats = cache.stats();
        assert_eq!((stats.refused, stats.entries, stats.bytes), (2, 0, 0));

        cache.put("b", 1_000);
        assert_eq!(cache.held(["b"]), [true], "a value of the bound itself fits");
    });
}

#[test]
fn a_cache_without_room_refuses_all() {
    on(SimpleCacheActor::with_entries(0), |cache| {
        cache.put("a", 0);
        assert_eq!(cache.held(["a"]), [false]);
        assert_eq!((cache.stats().refused, cache.stats().entries), (1, 0));
    });
}

#[test]
fn small_values_are_bounded_by_bytes_too() {
    on(SimpleCacheActor::with_bytes(640), |cache| {
        for number in 0..1_000 {
            cache.put(number, 0);
        }
        assert_eq!((cache.stats().entries, cache.stats().bytes), (10, 640));
    });
}

#[test]
fn a_new_value_replaces_the_old_one() {
    on(SimpleCacheActor::with_bytes(1_000), |cache| {
        cache.put("a", 900);
        cache.put("a", 300);
        cache.put("b", 700);
        let stats = cache.stats();
        assert_eq!((stats.entries, stats.bytes, stats.evictions, stats.puts), (2, 1_000, 0, 3));
    });
}

#[test]
fn a_lookup_counts_nothing_and_changes_no_order() {
    on(SimpleCacheActor::with_entries(2), |cache| {
        cache.put("a", 1);
        cache.put("b", 1);
        assert_eq!(cache.held(["a", "x"]), [true, false]);
        assert_eq!((cache.stats().hits, cache.stats().misses), (0, 0));
        cache.put("c", 1);
        assert_eq!(cache.held(["a", "b", "c"]), [false, true, true]);

        // What was used counts, and stays.
        cache.cache.tell(Used(vec!["b".into()])).unwrap();
        cache.cache.tell(Missed(3)).unwrap();
        cache.put("d", 1);
        assert_eq!(cache.held(["b", "c", "d"]), [true, false, true]);
        assert_eq!((cache.stats().hits, cache.stats().misses), (1, 3));
    });
}

#[test]
fn clearing_keeps_the_counts() {
    on(SimpleCacheActor::unbounded(), |cache| {
        cache.put("a", 1);
        assert!(cache.get("a").is_some() && cache.get("b").is_none());
        cache.cache.tell(Clear).unwrap();
        assert!(cache.get("a").is_none());
        let stats = cache.stats();
        assert_eq!((stats.hits, stats.misses, stats.puts, stats.evictions), (1, 2, 1, 0));
        assert_eq!((stats.entries, stats.bytes), (0, 0));
    });
}

/// The cache does what a plain list does that is searched from end to end.
#[test]
fn it_agrees_with_a_plain_list() {
    const ENTRIES: usize = 8;
    const BYTES: usize = 2_000;
    on(SimpleCacheActor::with_entries(ENTRIES).and_bytes(BYTES), |cache| {
        // Keys and bytes, the most recently used last.
        let mut list: Vec<(i64, usize)> = Vec::new();
        let mut seed = 1_u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        let (mut hits, mut evictions) = (0, 0);
        for _ in 0..2_000 {
            let key = i64::try_from(random(16)).unwrap();
            let at = list.iter().position(|(other, _)| *other == key);
            if random(2) == 0 {
                assert_eq!(cache.get(key).is_some(), at.is_some());
                if let Some(at) = at {
                    let used = list.remove(at);
                    list.push(used);
                    hits += 1;
                }
                continue;
            }
            let bytes = 64 + usize::try_from(random(600)).unwrap();
            cache.put(key, bytes);
            list.retain(|(other, _)| *other != key);
            list.push((key, bytes));
            while list.len() > ENTRIES || list.iter().map(|(_, bytes)| bytes).sum::<usize>() > BYTES
            {
                list.remove(0);
                evictions += 1;
            }
        }
        let held = cache.held(0..16_i64);
        let expected: Vec<bool> =
            (0..16).map(|key| list.iter().any(|(other, _)| *other == key)).collect();
        assert_eq!(held, expected);
        let stats = cache.stats();
        assert_eq!((stats.hits, stats.evictions), (hits, evictions));
        assert_eq!(stats.entries, list.len());
        assert_eq!(stats.bytes, list.iter().map(|(_, bytes)| bytes).sum::<usize>());
    });
}
