//! The time limits of tasks: who has the right to a task whose call takes too long.

use std::time::Duration;

use mobula::engine::{Pins, Policy, Ticket, WorkerId};
use mobula::{Outcome, TaskOptions, Value};

use crate::plans::{Bench, plan};

const LIMIT: Duration = Duration::from_secs(10);

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A chain of three tasks with a limit each.
fn bench() -> Bench {
    let tasks = TaskOptions::new().time_limit(LIMIT);
    Bench::new(plan([&[], &[0], &[1]]), 2).under(Policy { tasks, ..Policy::default() })
}

/// What whoever watches takes away at this time, and when it looks again.
fn watch(bench: &Bench, now: Duration) -> (Vec<(WorkerId, Ticket)>, Option<Duration>) {
    let mut overdue = Vec::new();
    let next = bench.run.take_overdue(now, &mut overdue);
    (overdue, next)
}

fn call(bench: &Bench, inputs: Vec<Value>, task: mobula::TaskId) -> Value {
    match bench.run.call_with(task, inputs).expect("the call is good") {
        Outcome::Ready(value) => value,
        Outcome::Later(_) => unreachable!("no task is asynchronous"),
    }
}

#[test]
fn a_call_in_time_keeps_its_ticket() {
    let bench = bench();
    let (run, worker) = (&bench.run, WorkerId(0));
    assert!(run.needs_care());
    let first = bench.next(0).unwrap();
    let task = first.task();
    run.start(worker, &first);
    let inputs = run.inputs(&first, &mut Pins::default());
    let claim = run.enter(worker, first, at(1));
    let (overdue, next) = watch(&bench, at(4));
    assert!(overdue.is_empty());
    // The call is overdue at 11 s; another one that starts now would be at 14 s.
    assert_eq!(next, Some(at(11)));
    let value = call(&bench, inputs, task);
    let ticket = run.leave(worker, claim).expect("it is in time");
    assert!(watch(&bench, at(100)).0.is_empty());
    assert!(run.complete(worker, ticket, value).next.is_some());
}

#[test]
fn a_call_over_its_limit_loses_its_ticket_once_and_its_inputs_stay() {
    let bench = bench();
    let (run, stuck, other) = (&bench.run, WorkerId(0), WorkerId(1));
    let second = bench.do_task(0, bench.next(0).unwrap()).next.unwrap();
    let task = second.task();
    run.start(stuck, &second);
    let inputs = run.inputs(&second, &mut Pins::default());
    let claim = run.enter(stuck, second, at(1));
    assert!(run.is_busy(stuck).is_some());
    let (mut overdue, next) = watch(&bench, at(11));
    assert_eq!(next, Some(at(21)));
    let (worker, ticket) = overdue.pop().unwrap();
    assert_eq!((worker, ticket.task(), overdue.len()), (stuck, task, 0));
    assert!(watch(&bench, at(30)).0.is_empty());
    assert!(run.take_over(stuck).is_none() && run.is_busy(stuck).is_none());

    // The task runs again elsewhere and lets go of its input, while the stuck call still has its own.
    assert!(run.can_run_again(&ticket));
    run.start(other, &ticket);
    let again = run.inputs(&ticket, &mut Pins::default());
    let second_claim = run.enter(other, ticket, at(31));
    let value = call(&bench, again, task);
    let ticket = run.leave(other, second_claim).unwrap();
    let next = run.complete(other, ticket, value).next.unwrap();
    assert_eq!(bench.values(), 1);
    let late = call(&bench, inputs, task);
    assert_eq!(late.downcast_ref::<i64>(), Some(&2));
    assert!(run.leave(stuck, claim).is_none());
    assert!(bench.do_task(1, next).ended);
    assert_eq!(watch(&bench, at(40)).1, None, "nothing can be overdue in a run that is over");
}

#[test]
fn a_worker_that_dies_in_a_call_leaves_its_task_behind() {
    let bench = bench();
    let first = bench.next(0).unwrap();
    let task = first.task();
    bench.run.start(WorkerId(0), &first);
    let claim = bench.run.enter(WorkerId(0), first, at(1));
    let ticket = bench.run.take_over(WorkerId(0)).unwrap();
    assert_eq!(ticket.task(), task);
    assert!(watch(&bench, at(100)).0.is_empty());
    assert!(bench.run.leave(WorkerId(0), claim).is_none());
}

#[test]
fn a_task_of_its_own_mind_has_its_own_limit() {
    let mut graph = mobula::graph! { "slow" => (|| 1_i64,) };
    let node = graph.insert("quick", (|| 2_i64,));
    graph.set_options(node, TaskOptions::new().time_limit(at(2)));
    let plan = std::sync::Arc::new(mobula::Plan::new(graph, ["slow", "quick"]).unwrap());
    let (slow, quick) = (plan.task(&"slow".into()).unwrap(), plan.task(&"quick".into()).unwrap());
    let bench = Bench::new(plan, 1);
    let limits = (bench.run.time_limit(slow), bench.run.time_limit(quick));
    assert_eq!(limits, (None, Some(at(2))));
    let tasks = TaskOptions::new().time_limit(LIMIT).retries(3);
    let Bench { run, .. } = bench.under(Policy { tasks, ..Policy::default() });
    assert_eq!((run.time_limit(slow), run.time_limit(quick)), (Some(LIMIT), Some(at(2))));
    assert_eq!((run.retries(slow), run.retries(quick)), (3, 3));
    assert_eq!(run.shortest_limit(), Some(at(2)));
}
