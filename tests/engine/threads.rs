//! Real threads race for the tasks of small runs.
//!
//! The simulation lets one step happen after the other. What can go wrong between the halves of a step
//! shows only here: a task that is taken twice, or by nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mobula::engine::{Pins, Resources, Run, RunId, Status, Ticket, Watch, WorkerId};
use mobula::{Outcome, Plan};

use crate::plans::{gather, independent, plain_resources, plan_for, plan_of};

const THREADS: usize = 3;

/// After so many looks for something to do, a run stands still.
const PATIENCE: u64 = 3_000_000;

/// A run and how often each of its tasks has started.
struct Race {
    run: Arc<Run>,
    starts: Vec<AtomicUsize>,
}

impl Race {
    fn new(number: usize, plan: &Arc<Plan>, resources: &Resources) -> Self {
        let plan = Arc::clone(plan);
        let starts = plan.tasks().map(|_| AtomicUsize::new(0)).collect();
        let run = Arc::new(Run::new(RunId(number as u64), plan, resources, Vec::new()));
        Self { run, starts }
    }

    /// Works on the run until it is over. Answers whether it ended as it should.
    fn work(&self, worker: WorkerId) -> bool {
        let mut watch = Watch::default();
        // Nobody's time: it only goes on.
        let mut looks = 1;
        while self.run.is_running() {
            let now = Duration::from_micros(looks);
            let own = self.run.next(worker);
            let mut next = own.or_else(|| self.run.take_from_others(worker, &mut watch, now));
            while let Some(ticket) = next {
                next = self.step(worker, ticket);
            }
            if looks == PATIENCE {
                // The others need not look any longer.
                self.run.end(Status::Failed);
            }
            looks += 1;
            std::thread::yield_now();
        }
        self.run.status() == Status::Done
    }

    fn step(&self, worker: WorkerId, ticket: Ticket) -> Option<Ticket> {
        self.starts[ticket.task().index()].fetch_add(1, Ordering::Relaxed);
        self.run.start(worker, &ticket);
        match self.run.call(worker, &ticket, false, &mut Pins::default()).expect("the call is good")
        {
            Outcome::Ready(value) => self.run.complete(worker, ticket, value).next,
            Outcome::Later(_) => unreachable!("no task is asynchronous"),
        }
    }
}

/// Lets threads race through many runs of a plan.
fn race(plan: &Arc<Plan>, rounds: usize) {
    let resources = plain_resources(THREADS);
    let races: Vec<Race> = (0..rounds).map(|number| Race::new(number, plan, &resources)).collect();
    std::thread::scope(|scope| {
        for worker in 0..THREADS {
            let worker = WorkerId(u32::try_from(worker).expect("there are few"));
            let races = &races;
            scope.spawn(move || races.iter().all(|race| race.work(worker)));
        }
    });
    let mut results = Vec::new();
    for Race { run, starts } in &races {
        let starts: Vec<usize> = starts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        assert_eq!(starts, vec![1; starts.len()], "every task of {run:?} starts once");
        assert_eq!(run.status(), Status::Done, "{run:?} stands still");
        results.push(gather(run).into_data::<Vec<i64>>().expect("numbers are wanted"));
        run.check_invariants();
    }
    assert!(results.iter().all(|result| *result == results[0]), "the same plan, the same results");
    assert_eq!(
        resources.memory.ledger().holdings().values,
        0,
        "everything was gathered or released"
    );
}

#[test]
fn roots_are_claimed_once() {
    race(&independent(7), 3000);
}

#[test]
fn what_several_threads_make_ready_runs_once() {
    let ladder = [&[][..], &[], &[0, 1], &[0, 1], &[2, 3], &[2, 3], &[4, 5], &[4, 5]];
    race(&plan_for(ladder, [6_i64, 7]), 3000);
}

#[test]
fn roots_and_what_becomes_ready_do_not_get_in_each_others_way() {
    let merges = [&[][..], &[], &[0, 1], &[], &[], &[3, 4], &[2, 5], &[], &[], &[7, 8], &[6, 9]];
    race(&plan_for(merges, [10_i64]), 3000);
}

#[test]
fn what_becomes_ready_gives_way_to_roots_that_others_claim_too() {
    // Each root is read by a neighbour's task and by one that comes late in the order, so a worker that
    // makes a late one ready goes for the next root first, as all others do.
    const ROOTS: i64 = 11;
    let mut inputs = vec![Vec::new(); 11];
    inputs.extend((0..ROOTS).map(|root| vec![root, root]));
    inputs.extend((1..ROOTS).map(|root| vec![root - 1, root]));
    let (late, pairs) = (ROOTS..2 * ROOTS, 2 * ROOTS..3 * ROOTS - 1);
    let sums = [pairs.end, pairs.end + 1];
    inputs.extend([late.collect(), pairs.collect(), sums.to_vec()]);
    let plan = plan_of(&inputs, [sums[1] + 1]);
    for _ in 0..10 {
        race(&plan, 5000);
    }
}
