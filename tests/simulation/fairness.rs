//! A small run does not wait for the large ones beside it.
//!
//! While several runs go on, a worker stays with each of them for one turn. So whatever a run needs of
//! the workers, it gets it at the latest in so many rounds of turns as it needs turns for itself.

use crate::rng::Rng;
use crate::scenario::{Scenario, Submission};
use crate::shapes::{Lengths, Odds, Shape, blueprint};
use crate::world::World;

/// How long a worker stays with a run while others wait, in nanoseconds.
const TURN: u64 = 1_000_000;

/// How long a worker does not look at the clock at most, but for the task that it is in.
const BETWEEN_LOOKS: u64 = 40_000;

/// Large runs, and last a small one in the middle of them.
fn small_beside_large(seed: u64) -> Scenario {
    let mut rng = Rng::new(seed);
    let odds = Odds { asynchronous: rng.pick(&[0, 0, 10]), decorated: 10, ..Odds::default() };
    let large = rng.count(1, 10);
    let mut submissions: Vec<Submission> = (0..large)
        .map(|_| {
            let shortest = rng.magnitude(20_000, 1_000_000);
            let lengths = Lengths { shortest, longest: shortest * 2 };
            let shape = rng.pick(&[Shape::Independent, Shape::Fan, Shape::Layers, Shape::Chains]);
            let graph = blueprint(&mut rng, shape, 1000, odds, lengths);
            Submission::plain(&mut rng, 0, graph)
        })
        .collect();
    let lengths = Lengths { shortest: 100, longest: 100_000 };
    let (shape, size) = (rng.pick(&Shape::ALL), rng.count(1, 30));
    let graph = blueprint(&mut rng, shape, size, odds, lengths);
    let at = rng.between(0, 1_000_000);
    submissions.push(Submission::plain(&mut rng, at, graph));
    let workers = rng.count(1, 8);
    Scenario { steps_a_check: 50, ..Scenario::plain(rng.number(), workers, submissions) }
}

/// When the last run of a world has to be over at the latest.
fn share(scenario: &Scenario) -> u64 {
    let nodes = scenario.submissions.iter().flat_map(|submission| &submission.blueprint.nodes);
    let longest = nodes.map(|node| node.script.duration).max().unwrap_or(0);
    let round = scenario.submissions.len() as u64 * (TURN + BETWEEN_LOOKS + longest);
    let small = scenario.submissions.last().expect("there is a small run");
    let nodes = small.blueprint.nodes.iter();
    let awaited = nodes.filter(|node| node.script.awaited.is_some()).count() as u64;
    // What follows on an asynchronous task is taken when a worker finds it there for the second time.
    let rounds = 1 + small.work() / TURN + 2 * awaited;
    small.at + small.work() + rounds * round + 4 * scenario.message
}

#[test]
fn a_small_run_beside_large_ones_ends_in_its_share() {
    let mut overtook = 0;
    for seed in 0..60 {
        let scenario = small_beside_large(seed);
        let history = World::new(&scenario).run();
        let small = scenario.submissions.len() - 1;
        let ends: Vec<u64> = history.ends.values().map(|(end, _)| *end).collect();
        let (end, latest) = (ends[small], share(&scenario));
        assert!(end <= latest, "seed {seed}: the small run ended at {end} ns, not by {latest} ns");
        overtook += usize::from(ends[..small].iter().all(|large| *large > latest));
    }
    assert!(overtook >= 20, "in only {overtook} worlds the large runs took longer");
}
