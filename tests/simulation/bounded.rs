//! Bounded memory, seen from outside: how much is held at most, where all values are alike.

use crate::history::Counts;
use crate::rng::Rng;
use crate::scenario::{Bounds, Scenario, Submission};
use crate::shapes::{Lengths, Odds, Shape, blueprint};
use crate::world::World;

/// What each value weighs.
const SIZE: u64 = 64 << 10;

/// One run whose values all weigh the same, and which would need far more than it may have.
fn alike(seed: u64, shape: Shape, values: u64) -> Scenario {
    let mut rng = Rng::new(seed);
    let shortest = rng.magnitude(500, 1_000_000);
    let lengths = Lengths { shortest, longest: 4 * shortest };
    let tasks = rng.count(100, 300);
    let mut graph = blueprint(&mut rng, shape, tasks, Odds::default(), lengths);
    for node in graph.nodes.iter_mut().filter(|node| node.kind.is_task()) {
        node.script.bytes = usize::try_from(SIZE).expect("it is small");
    }
    let run = Submission::plain(&mut rng, 0, graph);
    let bounds = Bounds::of(values * SIZE * 5);
    let workers = rng.count(1, 6);
    Scenario { bounds: Some(bounds), ..Scenario::plain(seed, workers, vec![run]) }
}

#[test]
fn the_store_is_over_its_pause_level_by_the_first_wave_at_most() {
    let mut counts = Counts::default();
    for seed in 0..60 {
        for (shape, inputs) in [(Shape::Independent, 0), (Shape::Turned, 1)] {
            let scenario = alike(seed, shape, 1 + seed % 8);
            let limits = scenario.bounds.as_ref().expect("it is bounded").limits;
            let history = World::new(&scenario).run();
            let workers = scenario.joins.len() as u64;
            // Of the first tasks nobody knows what they make, and inputs have to come back.
            let waves = (workers - 1) * SIZE + workers * inputs * SIZE;
            let (most, peak) = (limits.pause + waves, history.peak);
            assert!(peak <= most, "seed {seed}: {peak} bytes were held, more than {most}");
            assert!(peak > limits.target, "seed {seed}: the limit was never felt");
            counts.add(&history.counts);
        }
    }
    assert!(counts.spilled > 1000 && counts.held_back > 100 && counts.restored > 100, "{counts:?}");
    assert_eq!((counts.failed_writes, counts.lost), (0, 0));
}

#[test]
fn one_value_after_the_other_is_made_where_not_even_one_has_room() {
    for seed in 0..20 {
        let mut scenario = alike(seed, Shape::Independent, 1);
        let limits = Bounds::of(SIZE / 2);
        scenario.bounds = Some(limits);
        let history = World::new(&scenario).run();
        let tasks = scenario.submissions[0].blueprint.nodes.len() as u64;
        let workers = scenario.joins.len() as u64;
        let alone = history.counts.ran_alone;
        assert!(alone >= tasks - workers, "seed {seed}: {alone} of {tasks} tasks ran alone");
        let most = (workers + 1) * SIZE;
        assert!(history.peak <= most, "seed {seed}: {} bytes were held", history.peak);
    }
}

#[test]
fn runs_end_before_a_disk_that_takes_nothing() {
    let mut counts = Counts::default();
    for seed in 0..20 {
        for shape in [Shape::Tree, Shape::Ladder, Shape::Independent] {
            let mut scenario = alike(seed, shape, 1 + seed % 3);
            let bounds = scenario.bounds.as_mut().expect("it is bounded");
            match seed % 2 {
                0 => bounds.disk_full = Some((0, u64::MAX)),
                _ => bounds.unspillable = 100,
            }
            let history = World::new(&scenario).run();
            counts.add(&history.counts);
        }
    }
    assert_eq!((counts.done, counts.spilled), (60, 0));
    assert!(counts.ran_alone > 100 && counts.failed_writes > 10, "{counts:?}");
}
