//! Graphs as a user writes them, evaluated without any scheduler.

use super::*;
use crate::value::{List, Value};
use crate::{graph, keys};

fn inc(x: i64) -> i64 {
    x + 1
}

fn add(x: i64, y: i64) -> i64 {
    x + y
}

#[expect(clippy::needless_pass_by_value, reason = "a list as one argument is what is tested")]
fn total(items: Vec<i64>) -> i64 {
    items.iter().sum()
}

/// Runs a plan in its static order, as one worker without hooks would.
fn evaluate(plan: &Plan) -> Results {
    let mut values: Vec<Value> = Vec::new();
    for task in plan.tasks() {
        let outcome = plan.call(task, |_, dependency| Input::Shared(&values[dependency.index()]));
        let Outcome::Ready(value) = outcome.unwrap() else { unreachable!("no task is async") };
        values.push(value);
    }
    plan.gather(|task| values[task.index()].clone())
}

fn get(graph: Graph, outputs: impl Into<Outputs>) -> Results {
    evaluate(&Plan::new(graph, outputs).unwrap())
}

fn number(graph: Graph, outputs: impl Into<Outputs>) -> i64 {
    get(graph, outputs).into_data().unwrap()
}

#[test]
fn every_kind_of_argument_evaluates() {
    let mut graph = graph! {
        "one" => 1,
        "text" => lit("manta".to_owned()),
        "other" => "one",
        "again" => "other",
        "y" => (inc, "again"),
        ("z", 0) => (add, "y", (inc, (inc, 10))),
        5 => (total, ["one", "y"]),
        "list" => ["one", "y"],
        "nested" => (total, vec![Arg::Key("one".into()), lit(2_i64)]),
    };
    let node = graph.add((inc, ("z", 0)));
    graph.insert("more", (add, node, Value::new(100_i64)));
    assert_eq!(graph.key(node).to_string(), format!("inc-{}", 9));
    let plan =
        Plan::new(graph, keys!["y", ("z", 0), [5, "list", "text"], "more", "nested"]).unwrap();
    let results = evaluate(&plan).into_list();
    assert_eq!(results[0].get::<i64>(), Some(&2));
    assert_eq!(results[1].get::<i64>(), Some(&14));
    let nested = results[2].clone().into_list();
    assert_eq!(nested[0].get::<i64>(), Some(&3));
    assert_eq!(nested[1].clone().into_data::<Vec<i64>>().unwrap(), [1, 2]);
    assert_eq!(nested[2].get::<String>().unwrap(), "manta");
    assert_eq!(results[3].get::<i64>(), Some(&115));
    assert_eq!(results[4].get::<i64>(), Some(&3));
}

#[test]
fn empty_graphs_and_graphs_of_literals_have_plans_without_tasks() {
    let plan = Plan::new(Graph::new(), Vec::<Key>::new()).unwrap();
    assert!(plan.is_empty());
    assert!(evaluate(&plan).into_list().is_empty());
    assert_eq!(number(graph! { "x" => 1, "y" => "x" }, "y"), 1);
}

#[test]
fn a_missing_key_names_who_needs_it() {
    let graph = graph! { "y" => (inc, "x") };
    let error = Plan::new(graph, "y").unwrap_err();
    assert_eq!(error, GraphError::MissingKey { key: "x".into(), needed_by: Some("y".into()) });
    let error = Plan::new(graph! { "a" => "b" }, "a").unwrap_err();
    assert_eq!(error, GraphError::MissingKey { key: "b".into(), needed_by: Some("a".into()) });
    let error = Plan::new(graph! { "a" => 1 }, "c").unwrap_err();
    assert_eq!(error, GraphError::MissingKey { key: "c".into(), needed_by: None });
}

#[test]
fn a_cycle_prints_its_path_even_where_nobody_looks() {
    let graph = graph! {
        "a" => (inc, "c"), "b" => (inc, "a"), "c" => (inc, "b"), "behind" => (inc, "a"), "ok" => 1,
        "fine" => (inc, "ok"),
    };
    let error = Plan::new(graph, "fine").unwrap_err();
    let GraphError::Cycle(path) = &error else { panic!("{error}") };
    assert_eq!(path.len(), 4);
    assert_eq!(path.first(), path.last());
    let itself = Plan::new(graph! { "a" => (inc, "a") }, "a").unwrap_err();
    assert_eq!(itself, GraphError::Cycle(vec!["a".into(), "a".into()]));
    let aliases = Plan::new(graph! { "x" => "a", "a" => "b", "b" => "a" }, "x").unwrap_err();
    assert!(matches!(aliases, GraphError::Cycle(path) if path.len() == 3));
}

#[test]
fn a_key_given_twice_is_refused() {
    let error = Plan::new(graph! { "x" => 1, "x" => 2 }, "x").unwrap_err();
    assert_eq!(error, GraphError::DuplicateKey("x".into()));
    let mut graph = Graph::new();
    let node = graph.add((inc, 1));
    let key = graph.key(node).to_string();
    graph.insert(key.clone(), 3);
    assert_eq!(graph.validate().unwrap_err(), GraphError::DuplicateKey(key.into()));
}

#[test]
fn an_automatic_key_is_found_by_its_text() {
    let mut graph = Graph::new();
    let node = graph.add((inc, 1));
    let key = graph.key(node).to_string();
    graph.insert("y", (inc, key.as_str()));
    assert_eq!(graph.len(), 2);
    assert_eq!(number(graph, "y"), 3);
}

#[test]
fn a_node_of_another_graph_is_refused() {
    let mut one = Graph::new();
    let node = one.add(1);
    let mut two = Graph::new();
    two.insert("y", (inc, node));
    assert_eq!(two.validate().unwrap_err(), GraphError::ForeignNode("y".into()));
    assert!(Plan::new(graph! { "x" => 1 }, node).is_err());
}

#[test]
fn only_what_is_wanted_is_planned() {
    let graph = graph! {
        "a" => (inc, 1), "b" => (inc, "a"), "c" => (inc, "a"), "d" => (add, "b", "c"),
    };
    let plan = Plan::new(graph, "b").unwrap();
    assert_eq!(plan.tasks().map(|t| plan.key(t).to_string()).collect::<Vec<_>>(), ["a", "b"]);
    assert!(plan.is_chained(TaskId(0)) && !plan.is_chained(TaskId(1)));
}

#[test]
fn an_input_used_twice_counts_twice() {
    let plan = Plan::new(graph! { "x" => (inc, 1), "y" => (add, "x", "x") }, "y").unwrap();
    assert_eq!(plan.dependencies(TaskId(1)), [TaskId(0), TaskId(0)]);
    assert_eq!(plan.dependents(TaskId(0)), [TaskId(1), TaskId(1)]);
    assert!(!plan.is_chained(TaskId(0)));
}

#[test]
fn wrong_calls_say_what_is_wrong() {
    let call = |graph: Graph| {
        let plan = Plan::new(graph, "y").unwrap();
        plan.call(TaskId(0), |_, _| unreachable!("no dependencies")).unwrap_err().to_string()
    };
    assert_eq!(call(graph! { "y" => (inc, 1, 2) }), "`inc` takes 1 argument, not 2");
    assert_eq!(
        call(graph! { "y" => (inc, lit("one".to_owned())) }),
        "argument 1 of `inc` must be i64, found alloc::string::String"
    );
    assert!(call(graph! { "y" => (total, [1.5]) }).contains("argument 1 of `total`"));
}

#[test]
fn deep_nesting_does_not_recurse() {
    let mut task = Task::new(Func::new(inc), [lit(0_i64)]);
    for _ in 1..100_000 {
        task = Task::new(Func::new(inc), [Arg::Task(task)]);
    }
    let mut list = Arg::List(Args::default());
    for _ in 0..100_000 {
        list = Arg::List([list].into_iter().collect());
    }
    assert_eq!(format!("{list:?}"), "List(1 arguments)");
    let mut graph = Graph::new();
    graph.insert("deep", task);
    graph.insert("list", list);
    assert_eq!(number(graph, "deep"), 100_000);
}

#[test]
fn a_list_value_shares_its_elements() {
    let results = get(graph! { "x" => (inc, 1), "l" => ["x", "x"] }, "l");
    assert_eq!(results.get::<List>().unwrap().0.len(), 2);
}

#[test]
fn large_shapes_are_planned() {
    let mut chain = Graph::new();
    chain.insert(0, 0);
    for i in 1..=100_000 {
        chain.insert(i, (inc, Arg::Key((i - 1).into())));
    }
    assert_eq!(number(chain, 100_000), 100_000);

    let mut fan = Graph::new();
    fan.insert("x", (inc, 0));
    let parts: Vec<Node> = (0..100_000).map(|_| fan.add((inc, "x"))).collect();
    fan.insert("sum", (total, parts));
    assert_eq!(number(fan, "sum"), 200_000);
}
