//! Which value moves first: the policies of the crate, one of the user's, and ones that misbehave.

use mobula::spill::Item;
use mobula::{Eviction, EvictionPolicy, ObjectRef, graph};

use crate::site::{BLOCK, Site, block, site_with};
use crate::watchdog::{until, watched};

/// Ten blocks are just too many: the target is at 9.6 of them.
fn site(eviction: Eviction) -> Site {
    site_with(1, 16 * BLOCK as u64, |builder| builder.eviction(eviction))
}

fn put(site: &Site, numbers: std::ops::Range<u64>) -> Vec<ObjectRef> {
    numbers.map(|number| site.put(("block", number), block(number))).collect()
}

/// Waits until values have moved, and tells which.
fn moved(site: &Site, refs: &[ObjectRef]) -> Vec<usize> {
    until(|| site.stats_blocking().unwrap().spilled_values > 0);
    let spilled = refs.iter().enumerate().filter(|(_, one)| one.is_spilled());
    spilled.map(|(at, _)| at).collect()
}

#[test]
fn what_was_not_used_for_the_longest_time_moves_first() {
    watched(|| {
        let site = site(Eviction::Lru);
        let mut refs = put(&site, 0..9);
        site.check_blocks(&refs[..4], 0..4);
        refs.extend(put(&site, 9..10));
        assert_eq!(moved(&site, &refs), [4]);
        site.check_blocks(&refs, 0..10);
        drop(refs);
        site.until_empty();
    });
}

#[test]
fn what_is_cheap_to_make_moves_first() {
    watched(|| {
        let site = site(Eviction::Cost);
        let mut refs = put(&site, 0..8);
        refs.extend(site.persist(graph! { "cheap" => (block, 8_u64) }, ["cheap"]).unwrap());
        site.gather_blocking(&refs[8..]).unwrap();
        refs.extend(put(&site, 9..10));
        // Nobody can make again what was put.
        assert_eq!(moved(&site, &refs), [8]);
        site.check_blocks(&refs, 0..10);
        drop(refs);
        site.until_empty();
    });
}

/// The last one to come goes first.
#[derive(Default)]
struct Last(Vec<u64>);

impl EvictionPolicy for Last {
    fn insert(&mut self, id: u64, _: Item) {
        self.remove(id);
        self.0.push(id);
    }

    fn touch(&mut self, _: u64) {}

    fn remove(&mut self, id: u64) {
        self.0.retain(|other| *other != id);
    }

    fn pop(&mut self) -> Option<u64> {
        self.0.pop()
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

#[test]
fn a_policy_of_the_user_decides() {
    watched(|| {
        let site = site(Eviction::Custom(|| Box::<Last>::default()));
        let refs = put(&site, 0..10);
        assert_eq!(moved(&site, &refs), [9]);
        site.check_blocks(&refs, 0..10);
        drop(refs);
        site.until_empty();
    });
}

/// Answers with numbers that it was never told, and forgets those it was.
#[derive(Default)]
struct Liar(u64);

impl EvictionPolicy for Liar {
    fn insert(&mut self, _: u64, _: Item) {}

    fn touch(&mut self, _: u64) {}

    fn remove(&mut self, _: u64) {}

    fn pop(&mut self) -> Option<u64> {
        self.0 += 1;
        Some(u64::MAX - self.0 % 3)
    }

    fn len(&self) -> usize {
        usize::MAX
    }
}

/// Panics when it has to decide.
#[derive(Default)]
struct Panics(Last);

impl EvictionPolicy for Panics {
    fn insert(&mut self, id: u64, item: Item) {
        self.0.insert(id, item);
    }

    fn touch(&mut self, _: u64) {}

    fn remove(&mut self, id: u64) {
        self.0.remove(id);
    }

    fn pop(&mut self) -> Option<u64> {
        panic!("on purpose: this policy cannot decide")
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

#[test]
fn a_policy_that_lies_stops_no_run() {
    watched(|| {
        let site = site(Eviction::Custom(|| Box::<Liar>::default()));
        let refs = site.persist_blocks(0..64);
        site.check_blocks(&refs, 0..64);
        assert_eq!(site.stats_blocking().unwrap().spilled_values, 0);
        drop(refs);
        site.until_empty();
    });
}

#[test]
fn a_policy_that_panics_is_replaced() {
    watched(|| {
        let site = site(Eviction::Custom(|| Box::<Panics>::default()));
        let refs = site.persist_blocks(0..64);
        site.check_blocks(&refs, 0..64);
        assert!(site.stats_blocking().unwrap().disk.written_values > 0);
        drop(refs);
        site.until_empty();
    });
}
