//! Fingerprints: what changes them, what does not, and what has none.

use std::collections::HashMap;

use proptest::prelude::*;

use super::Fingerprint;
use crate::graph::{Arg, Func, Graph, Key, Plan, Task, lit};
use crate::value::{List, Value};

fn inc(x: i64) -> i64 {
    x + 1
}

fn dec(x: i64) -> i64 {
    x - 1
}

fn add(x: i64, y: i64) -> i64 {
    x + y
}

fn take(_: Value) -> i64 {
    0
}

fn of(graph: Graph, key: impl Into<Key>) -> Option<Fingerprint> {
    let plan = Plan::new(graph, key.into()).unwrap();
    plan.fingerprint(plan.outputs()[0])
}

#[test]
fn what_a_value_depends_on_changes_it_and_nothing_else_does() {
    let plain = || crate::graph! { "x" => (inc, 1), "y" => (add, "x", 2), "z" => (inc, "y") };
    let print = of(plain(), "z").unwrap();
    assert_eq!(of(plain(), "z"), Some(print));

    let others = [
        crate::graph! { "x" => (inc, 3), "y" => (add, "x", 2), "z" => (inc, "y") },
        crate::graph! { "x" => (dec, 1), "y" => (add, "x", 2), "z" => (inc, "y") },
        crate::graph! { "x" => (inc, 1), "y" => (add, 2, "x"), "z" => (inc, "y") },
        crate::graph! { "x" => (inc, 1), "y" => (add, "x", 2_i64), "z" => (inc, "y") },
        crate::graph! { "w" => (inc, 1), "y" => (add, "w", 2), "z" => (inc, "y") },
        crate::graph! { "y" => (add, (inc, 1), 2), "z" => (inc, "y") },
    ];
    let mut seen = vec![print];
    for other in others {
        let other = of(other, "z").unwrap();
        assert!(!seen.contains(&other), "{seen:?}");
        seen.push(other);
    }

    let mut more = plain();
    more.insert("unrelated", (inc, "x"));
    assert_eq!(of(more, "z"), Some(print));
    let named = crate::graph! {
        "one" => 1, "x" => (inc, "alias"), "alias" => "one", "y" => (add, "x", 2), "z" => (inc, "y"),
    };
    assert_eq!(of(named, "z"), Some(print), "a literal is the same under a name");
}

#[test]
fn structure_counts() {
    let lists = [
        crate::graph! { "z" => (take, [[1, 2], [3, 4]]) },
        crate::graph! { "z" => (take, [vec![1, 2, 3], vec![4]]) },
        crate::graph! { "z" => (take, [1, 2, 3, 4]) },
        crate::graph! { "z" => [1, 2, 3, 4] },
        crate::graph! { "z" => (inc, (inc, 1)) },
        crate::graph! { "z" => (inc, (dec, 1)) },
    ];
    let prints: Vec<_> = lists.into_iter().map(|graph| of(graph, "z").unwrap()).collect();
    for (at, print) in prints.iter().enumerate() {
        assert!(!prints[..at].contains(print), "{at} is another one's: {prints:?}");
    }
}

#[test]
fn it_is_the_same_in_each_process() {
    // Whoever changes what is hashed changes `FORM`, and then this.
    let mut graph = Graph::new();
    let func = || Func::new(|_: Value| ()).identified_by("f");
    graph.insert(("x", 0), Task::new(func(), [lit(7_i64)]));
    graph.insert("y-1", Task::new(func(), [Arg::Key(("x", 0).into())]));
    let print = of(graph, "y-1").unwrap();
    if cfg!(target_endian = "little") {
        assert_eq!(print.to_string(), "465274d51a70025d9c37bcda630cc700");
    }
    assert_eq!(Fingerprint::parse(&print.to_string()), Some(print));
    for text in ["", "0", "+0000000000000000000000000000001", &"0".repeat(32), &"F".repeat(32)] {
        assert_eq!(Fingerprint::parse(text), None, "{text}");
    }
    assert_ne!(print.with("1"), print.with("2"));
}

#[test]
fn what_cannot_be_identified_has_none_and_nothing_behind_it() {
    let captured = 5;
    let state = move |x: i64| x + captured;
    let pointer: fn(i64) -> i64 = inc;
    let none = [
        crate::graph! { "x" => (state, 1), "z" => (inc, "x") },
        crate::graph! { "x" => (pointer, 1), "z" => (inc, "x") },
        crate::graph! { "x" => (take, (state, 1)), "z" => (inc, "x") },
        crate::graph! { "x" => (take, Value::with_bytes(1, 1)), "z" => (inc, "x") },
        crate::graph! { "x" => (take, lit(vec![HashMap::from([(1, 2)])])), "z" => (inc, "x") },
        crate::graph! { "x" => (take, lit(List(vec![Value::with_bytes(1, 1)]))), "z" => (inc, "x") },
    ];
    for graph in none {
        assert_eq!(of(graph, "z"), None);
    }
    let beside = crate::graph! { "x" => (state, 1), "y" => (inc, 1), "z" => (inc, "y") };
    assert!(of(beside, "z").is_some());
}

#[test]
fn what_says_what_it_is_has_one() {
    let print = |captured: i64| {
        let func = Func::new(move |x: i64| x + captured);
        let mut graph = Graph::new();
        let func = func.identified_by(format!("plus {captured}"));
        graph.insert("z", Task::new(func, [lit(1_i64)]));
        of(graph, "z").unwrap()
    };
    assert_eq!(print(1), print(1));
    assert_ne!(print(1), print(2));
    let list = |number: i64| lit(List(vec![Value::new(number), Value::new(List(vec![]))]));
    let print = |number| of(crate::graph! { "z" => (take, list(number)) }, "z").unwrap();
    assert_eq!(print(1), print(1));
    assert_ne!(print(1), print(2));
}

#[test]
fn closures_of_one_function_are_told_apart() {
    let one = Func::new(|x: i64| x + 1);
    let two = Func::new(|x: i64| x + 2);
    assert!(one.identity().is_some());
    assert_ne!(one.identity(), two.identity());
    let in_blocks = [
        {
            fn same_name() {}
            Func::new(same_name)
        },
        {
            fn same_name() {}
            Func::new(same_name)
        },
    ];
    assert_ne!(in_blocks[0].identity(), in_blocks[1].identity());
    assert_ne!(Func::new(Some::<i64>).identity(), Func::new(Ok::<i64, String>).identity());
}

#[test]
fn a_deep_chain_and_a_wide_fan_are_no_matter() {
    let mut graph = Graph::new();
    let first = graph.add((inc, 1));
    let last = (0..100_000).fold(first, |node, _| graph.add((inc, node)));
    let plan = Plan::new(graph, last).unwrap();
    assert!(plan.fingerprint(plan.outputs()[0]).is_some());

    let mut graph = Graph::new();
    let text = graph.insert("text", lit("manta".repeat(1 << 20)));
    let items: Vec<_> = (0..100_000).map(|_| graph.add((take, text))).collect();
    let sum = graph.add((take, items));
    let plan = Plan::new(graph, sum).unwrap();
    assert!(plan.fingerprint(plan.outputs()[0]).is_some(), "a literal is looked at once");
}

/// A graph in which task `i` needs the tasks named in `needs[i]` that come before it.
fn graph_in(order: &[usize], needs: &[Vec<usize>], changed: Option<usize>) -> Graph {
    let mut graph = Graph::new();
    for &task in order {
        let inputs = needs[task].iter().filter(|_| task > 0).map(|need| need % task.max(1));
        let mut args: Vec<Arg> = inputs.map(|need| Arg::Key(("t", need as u64).into())).collect();
        args.push(lit(changed == Some(task)));
        let list = Arg::List(args.into_iter().collect());
        graph.insert(("t", task as u64), Task::new(Func::new(take), [list]));
    }
    graph
}

fn prints(graph: Graph, tasks: usize) -> Vec<Option<Fingerprint>> {
    let keys: Vec<Key> = (0..tasks).map(|task| ("t", task as u64).into()).collect();
    let plan = Plan::new(graph, keys.clone()).unwrap();
    keys.iter().map(|key| plan.fingerprint(plan.task(key).unwrap())).collect()
}

proptest! {
    #[test]
    fn neither_order_nor_what_is_elsewhere_matters(
        needs in prop::collection::vec(prop::collection::vec(0_usize..40, 0..4), 1..40),
        seed in prop::collection::vec(any::<u32>(), 40),
        changed in 0_usize..40,
    ) {
        let (tasks, changed) = (needs.len(), changed % needs.len());
        let forward: Vec<usize> = (0..tasks).collect();
        let mut mixed = forward.clone();
        mixed.sort_by_key(|task| seed[*task]);
        let one = prints(graph_in(&forward, &needs, None), tasks);
        prop_assert!(one.iter().all(Option::is_some));
        prop_assert_eq!(&one, &prints(graph_in(&mixed, &needs, None), tasks));

        let other = prints(graph_in(&mixed, &needs, Some(changed)), tasks);
        let mut downstream = vec![false; tasks];
        for task in 0..tasks {
            let needed = || task > 0 && needs[task].iter().any(|need| downstream[need % task]);
            downstream[task] = task == changed || needed();
            prop_assert_eq!(one[task] != other[task], downstream[task]);
        }
    }
}
