//! Values come, are used and go: what a run holds at each moment, and who gets what.

use std::sync::Arc;

use mobula::engine::Pins;
use mobula::engine::{Status, WorkerId};
use mobula::{
    Arg, CallError, Func, Function, Graph, Input, Outcome, Plan, Task, Value, graph, keys,
};

use crate::plans::{Bench, independent, plan, plan_for};

#[test]
fn a_value_goes_with_its_last_use() {
    let bench = Bench::new(plan([&[], &[0], &[1]]), 1);
    let mut next = bench.next(0);
    while let Some(ticket) = next {
        next = bench.do_task(0, ticket).next;
        assert_eq!(bench.values(), 1);
    }
    assert_eq!(bench.gather().into_data::<i64>().unwrap(), 3);
    assert_eq!(bench.values(), 0);
}

#[test]
fn a_value_stays_while_anybody_needs_it() {
    let bench = Bench::new(plan([&[], &[0], &[0], &[0], &[1, 2, 3]]), 1);
    let mut held = Vec::new();
    let mut next = bench.next(0);
    while let Some(ticket) = next {
        next = bench.do_task(0, ticket).next;
        held.push(bench.values());
    }
    assert_eq!(held, [1, 2, 3, 3, 1]);
}

#[test]
fn a_wanted_value_stays_until_it_is_gathered() {
    let bench = Bench::new(plan_for([&[], &[0], &[1]], keys![0, [2, 0]]), 1);
    bench.finish(0);
    assert_eq!(bench.values(), 2);
    let results = bench.gather();
    let values: Vec<_> = results.values().into_iter().map(|value| value.clone().take()).collect();
    assert_eq!(values.into_iter().collect::<Result<Vec<i64>, _>>().unwrap(), [1, 3, 1]);
    assert_eq!(bench.values(), 0);
}

#[test]
fn literals_are_gathered_and_not_held() {
    let graph = graph! { "x" => 1, "y" => (i64::abs, "x") };
    let bench = Bench::new(Arc::new(Plan::new(graph, ["x", "y"]).unwrap()), 1);
    bench.finish(0);
    assert_eq!(bench.values(), 1);
    assert_eq!(bench.gather().into_data::<Vec<i64>>().unwrap(), [1, 1]);
}

#[test]
#[should_panic(expected = "only a run that is done has results")]
fn a_run_that_goes_on_has_no_results() {
    Bench::new(independent(1), 1).gather();
}

#[test]
fn what_nobody_gathered_goes_with_the_run() {
    let bench = Bench::new(plan([&[], &[0], &[0], &[1, 2]]), 2);
    let source = bench.next(0).unwrap();
    let next = bench.do_task(0, source).next.unwrap();
    assert!(bench.run.end(Status::Cancelled));
    let late = bench.call(0, &next);
    bench.run.complete(WorkerId(0), next, late);
    assert_eq!(bench.values(), 2);
    let Bench { run, memory } = bench;
    drop(run);
    assert_eq!((memory.ledger().holdings().values, memory.ledger().holdings().bytes), (0, 0));
}

#[test]
fn bytes_are_counted_wherever_a_value_comes_and_goes() {
    let make = || vec![0_u8; 1000];
    let graph = graph! { "made" => (make,), "size" => (Vec::<u8>::len, "made") };
    let bench = Bench::new(Arc::new(Plan::new(graph, "size").unwrap()), 2);
    let ticket = bench.next(0).unwrap();
    let next = bench.do_task(0, ticket).next.unwrap();
    assert_eq!(bench.memory.ledger().holdings().bytes, 1024);
    bench.do_task(1, next);
    assert_eq!(bench.memory.ledger().holdings().bytes, 8);
}

/// Answers whether its input was given away with the call.
struct IsOwned;

impl Function for IsOwned {
    fn name(&self) -> &'static str {
        "is_owned"
    }

    fn arity(&self) -> Option<usize> {
        None
    }

    fn call(&self, inputs: &mut [Input<'_>]) -> Result<Outcome, CallError> {
        let owned = inputs.iter().all(|input| matches!(input, Input::Owned(_)));
        Ok(Outcome::Ready(Value::new(owned)))
    }
}

/// A source, and readers of it: so many times each.
fn readers(uses: &[usize]) -> Bench {
    let mut graph = Graph::new();
    graph.insert("source", Task::new(Func::new(|| 7_i64), [] as [Arg; 0]));
    let mut wanted = Vec::new();
    for (key, uses) in (0_i64..).zip(uses) {
        let inputs = (0..*uses).map(|_| Arg::Key("source".into()));
        graph.insert(key, Task::new(Func::from_function(IsOwned), inputs));
        wanted.push(key);
    }
    Bench::new(Arc::new(Plan::new(graph, wanted).expect("the plan is good")), 1)
}

#[test]
fn the_last_reader_gets_its_input_given() {
    let bench = readers(&[1, 1, 1]);
    bench.finish(0);
    assert_eq!(bench.gather().into_data::<Vec<bool>>().unwrap(), [false, false, true]);
}

#[test]
fn an_input_that_a_call_reads_twice_is_not_given_away() {
    let bench = readers(&[2]);
    bench.finish(0);
    assert_eq!(bench.gather().into_data::<Vec<bool>>().unwrap(), [false]);
    assert_eq!(bench.values(), 0);
}

#[test]
fn a_call_that_keeps_its_inputs_can_be_made_again() {
    let bench = readers(&[1]);
    let source = bench.next(0).unwrap();
    let reader = bench.do_task(0, source).next.unwrap();
    for _ in 0..2 {
        bench.run.start(WorkerId(0), &reader);
        let outcome = bench.run.call(WorkerId(0), &reader, true, &mut Pins::default()).unwrap();
        let Outcome::Ready(owned) = outcome else { unreachable!("it is not asynchronous") };
        assert_eq!(owned.downcast_ref(), Some(&false));
        assert_eq!(bench.values(), 1);
        assert!(bench.run.can_run_again(&reader));
    }
    bench.call(0, &reader);
    assert!(!bench.run.can_run_again(&reader), "now its input was given away");
    assert_eq!(bench.values(), 0);
}

#[test]
fn a_callback_may_answer_for_a_task_that_is_never_called() {
    let bench = Bench::new(plan([&[], &[0]]), 1);
    let source = bench.next(0).unwrap();
    let next = bench.do_task(0, source).next.unwrap();
    bench.run.start(WorkerId(0), &next);
    assert!(bench.run.complete(WorkerId(0), next, Value::new(50_i64)).ended);
    assert_eq!(bench.values(), 1, "the input that nobody read is gone as well");
    assert_eq!(bench.gather().into_data::<i64>().unwrap(), 50);
}

#[test]
fn a_call_with_a_wrong_argument_is_an_error_and_keeps_what_it_keeps() {
    let text = || "manta".to_owned();
    let double = |number: i64| number * 2;
    let graph = graph! { "text" => (text,), "y" => (double, "text") };
    let bench = Bench::new(Arc::new(Plan::new(graph, "y").unwrap()), 1);
    let text = bench.next(0).unwrap();
    let next = bench.do_task(0, text).next.unwrap();
    bench.run.start(WorkerId(0), &next);
    let error = bench.run.call(WorkerId(0), &next, true, &mut Pins::default()).unwrap_err();
    assert!(error.to_string().contains("must be i64, found alloc::string::String"), "{error}");
    assert!(bench.run.can_run_again(&next));
}
