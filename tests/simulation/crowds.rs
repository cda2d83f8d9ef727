//! Named worlds: more workers and more runs at once than chance comes up with.

use mobula::engine::RunOutcome;

use crate::rng::Rng;
use crate::scenario::{Scenario, Submission};
use crate::shapes::{Lengths, Odds, Shape, blueprint};
use crate::world::World;

/// One run of a shape, without faults, of tasks that all take the same time.
fn one_run(shape: Shape, tasks: usize, length: u64, workers: usize) -> Scenario {
    let mut rng = Rng::new(0);
    let run = steady(&mut rng, 0, shape, tasks, length);
    Scenario { steps_a_check: 20_000, ..Scenario::plain(0, workers, vec![run]) }
}

fn steady(rng: &mut Rng, at: u64, shape: Shape, tasks: usize, length: u64) -> Submission {
    let lengths = Lengths { shortest: length, longest: length };
    let graph = blueprint(rng, shape, tasks, Odds::default(), lengths);
    Submission::plain(rng, at, graph)
}

#[test]
fn thousands_of_workers_share_one_run() {
    for shape in [Shape::Independent, Shape::Fan, Shape::Tree] {
        let history = World::new(&one_run(shape, 20_000, 100_000, 2000)).run();
        assert_eq!(history.counts.done, 1);
        let workers = history.workers_that_started();
        assert!(workers >= 1000, "{shape:?}: only {workers} of 2000 workers had something to do");
    }
}

#[test]
fn what_is_too_short_to_be_shared_stays_with_one_worker() {
    // Two tasks of 50 ns at a time: nobody is fetched for that.
    let history = World::new(&one_run(Shape::Ladder, 300, 50, 1000)).run();
    assert_eq!(history.workers_that_started(), 1);
}

#[test]
fn every_third_of_fifty_runs_fails_alone() {
    let mut rng = Rng::new(3);
    let submissions = (0..50).map(|number| {
        let mut run = steady(&mut rng, number * 1000, Shape::Layers, 60, 100_000);
        if number % 3 == 0 {
            let any = rng.index(run.blueprint.nodes.len());
            run.blueprint.nodes[any].script.fails = 1;
        }
        run
    });
    let scenario = Scenario::plain(7, 4, submissions.collect());
    let history = World::new(&scenario).run();
    for (run, (_, outcome)) in &history.ends {
        let needed = scenario.submissions[*run].needs_what_fails();
        assert_eq!(*outcome != RunOutcome::Done, needed, "run {run}: {outcome:?}");
    }
    assert!(history.counts.failed >= 10 && history.counts.done >= 30);
}
