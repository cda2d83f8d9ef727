//! Worlds by their seeds.

use std::env;
use std::panic::catch_unwind;

use crate::history::{Counts, History};
use crate::scenario::Scenario;
use crate::world::World;

/// How many worlds there are if nobody asks for more.
const WORLDS: u64 = 500;

/// Lets a world happen twice.
fn history_of(seed: u64) -> History {
    let history = World::new(&Scenario::random(seed)).run();
    let again = World::new(&Scenario::random(seed)).run();
    assert!(history == again, "law: the same seed makes the same history");
    history
}

fn try_seeds(seeds: impl Iterator<Item = u64>) -> Counts {
    let mut counts = Counts::default();
    for seed in seeds {
        let Ok(history) = catch_unwind(|| history_of(seed)) else {
            panic!(
                "seed {seed} breaks a law (see above); try it again with\n    \
                 MOBULA_SEED={seed} cargo test --test simulation"
            )
        };
        counts.add(&history.counts);
    }
    counts
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a number, not {text:?}")))
}

#[test]
fn random_worlds_keep_the_laws() {
    if let Some(seed) = number("MOBULA_SEED") {
        println!("{:#?}", try_seeds([seed].into_iter()));
        return;
    }
    let worlds = number("MOBULA_SEEDS").unwrap_or(WORLDS);
    let missing = try_seeds(0..worlds).missing();
    assert!(worlds < WORLDS || missing.is_empty(), "nothing was seen of: {missing:?}");
}

#[test]
fn seeds_that_ever_broke_a_law_keep_them() {
    let lines = include_str!("seeds.txt").lines().filter(|line| !line.starts_with('#'));
    try_seeds(lines.map(|line| line.parse().expect("a line holds a seed")));
}
