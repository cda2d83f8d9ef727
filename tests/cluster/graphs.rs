//! What graphs evaluate to: shapes of results, literals, aliases, lists, keys of every kind.

use std::sync::Arc;

use mobula::{Arg, Func, Graph, Key, Opaque, Outputs, Plan, Results, Task, graph, keys, lit};

use crate::functions::{add, cluster, data, held, inc, total};
use crate::watchdog::watched;

/// A result as text: numbers, and lists in brackets.
fn shape(results: &Results) -> String {
    match results {
        Results::Value(value) => {
            value.clone().take::<i64>().map_or("?".to_owned(), |x| x.to_string())
        }
        Results::List(items) => {
            format!("[{}]", items.iter().map(shape).collect::<Vec<_>>().join(" "))
        }
    }
}

#[test]
fn results_have_the_shape_that_was_asked_for() {
    watched(|| {
        let cluster = cluster(2);
        let graph = || graph! { "x" => 1, "y" => (inc, "x"), "z" => (add, "x", "y") };
        let shape_of = |outputs: Outputs| shape(&cluster.get_blocking(graph(), outputs).unwrap());
        assert_eq!(shape_of("z".into()), "3");
        assert_eq!(shape_of(keys!["z", ["x", "y"]]), "[3 [1 2]]");
        assert_eq!(shape_of(keys![[["z"]], [], "z", ["y", ["y", "z"]]]), "[[[3]] [] 3 [2 [2 3]]]");
        assert_eq!(shape_of(["x", "x", "z"].into()), "[1 1 3]");
        assert_eq!(held(&cluster), 0);
    });
}

#[test]
fn empty_graphs_and_graphs_of_literals_run_no_task() {
    watched(|| {
        let cluster = cluster(1);
        assert_eq!(shape(&cluster.get_blocking(Graph::new(), keys![]).unwrap()), "[]");
        assert_eq!(shape(&cluster.get_blocking(graph! { "x" => 1 }, keys![]).unwrap()), "[]");
        let literals =
            graph! { "x" => 1, "y" => "x", "z" => "y", "text" => lit("manta".to_owned()) };
        let results = cluster.get_blocking(literals, keys!["z", "x", "text"]).unwrap().into_list();
        assert_eq!((shape(&results[0]), shape(&results[1])), ("1".to_owned(), "1".to_owned()));
        assert_eq!(results[2].get::<String>().unwrap(), "manta");
    });
}

#[test]
fn aliases_stand_for_what_they_name() {
    watched(|| {
        let cluster = cluster(2);
        let graph = graph! {
            "x" => (inc, 1), "also x" => "x", "x again" => "also x", "sum" => (add, "x", "x again"),
        };
        let results = cluster.get_blocking(graph, ["sum", "x again", "also x"]).unwrap();
        assert_eq!(shape(&results), "[4 2 2]");
    });
}

#[test]
fn lists_are_arguments_and_values() {
    watched(|| {
        let cluster = cluster(2);
        let nested = |rows: Vec<Vec<i64>>| {
            rows.iter().map(|row| i64::try_from(row.len()).unwrap()).sum::<i64>()
        };
        let graph = graph! {
            "x" => (inc, 0),
            "y" => (inc, "x"),
            "both" => ["x", "y"],
            "sum" => (total, ["x", "y", "x"]),
            "sum of both" => (total, "both"),
            "cells" => (nested, [["x", "y"], ["y", "y"]]),
            "none" => (total, Vec::<i64>::new()),
        };
        let wanted = ["sum", "sum of both", "cells", "none"];
        let plan = Arc::new(Plan::new(graph, keys!["both", wanted]).unwrap());
        let results = cluster.run(plan).wait().unwrap().into_list();
        assert_eq!(results[0].clone().into_data::<Vec<i64>>().unwrap(), [1, 2]);
        assert_eq!(shape(&results[1]), "[4 3 4 0]");
    });
}

#[test]
fn keys_are_strings_integers_and_tuples() {
    watched(|| {
        let cluster = cluster(2);
        let graph = graph! {
            7 => 1,
            ("x", 0) => (inc, Arg::Key(7.into())),
            ("x", 1) => (add, ("x", 0), ("x", 0)),
            ("x", 0, "deep") => (inc, ("x", 1)),
        };
        assert_eq!(data::<i64>(cluster.get_blocking(graph, ("x", 0, "deep")).unwrap()), 5);
        let mut integers = Graph::new();
        let mut last: Key = 0.into();
        integers.insert(last.clone(), (inc, 0));
        for number in 1..100 {
            integers.insert(number, (inc, last));
            last = number.into();
        }
        assert_eq!(data::<i64>(cluster.get_blocking(integers, last).unwrap()), 100);
    });
}

#[test]
fn none_and_errors_are_values_like_others() {
    watched(|| {
        let cluster = cluster(2);
        let find = |found: bool| -> Option<i64> { found.then_some(5) };
        let is_none = |found: &Option<i64>| found.is_none();
        let divide = |x: i64| Opaque((x != 0).then(|| 12 / x).ok_or("by zero".to_owned()));
        let is_error = |result: &Result<i64, String>| result.is_err();
        let graph = graph! {
            "unit" => (|| (),),
            "after unit" => (|_unit: ()| 1_i64, "unit"),
            "nothing" => (find, false),
            "none" => (is_none, "nothing"),
            "failed" => (divide, 0),
            "error" => (is_error, "failed"),
        };
        let wanted = ["after unit", "none", "error", "failed", "nothing"];
        let results = cluster.get_blocking(graph, wanted).unwrap().into_list();
        assert_eq!(results[0].get::<i64>(), Some(&1));
        assert_eq!(results[1].get::<bool>(), Some(&true));
        assert_eq!(results[2].get::<bool>(), Some(&true));
        assert_eq!(results[3].get::<Result<i64, String>>(), Some(&Err("by zero".to_owned())));
        assert_eq!(results[4].get::<Option<i64>>(), Some(&None));
    });
}

#[test]
fn tasks_nest_in_arguments_to_any_depth() {
    watched(|| {
        let cluster = cluster(2);
        let graph =
            graph! { "x" => (inc, 1), "z" => (add, (add, "x", (inc, "x")), (total, ["x", "x"])) };
        assert_eq!(data::<i64>(cluster.get_blocking(graph, "z").unwrap()), 9);

        let mut deep = Task::new(Func::new(inc), [Arg::Key("x".into())]);
        for _ in 0..50_000 {
            deep = Task::new(Func::new(inc), [deep]);
        }
        let mut graph = graph! { "x" => (inc, 0) };
        graph.insert("deep", deep);
        assert_eq!(data::<i64>(cluster.get_blocking(graph, "deep").unwrap()), 50_002);
    });
}

#[test]
fn data_that_only_one_task_needs_is_moved_into_it() {
    watched(|| {
        let cluster = cluster(1);
        let make = || vec![1_i64; 1000];
        let place = |items: &[i64]| items.as_ptr() as usize;
        let push = |mut items: Vec<i64>| {
            items[0] = 2;
            items
        };
        let graph = graph! {
            "items" => (make,), "more" => (push, "items"), "most" => (push, "more"),
        };
        let most = cluster.get_blocking(graph, "most").unwrap().into_data::<Vec<i64>>().unwrap();
        assert_eq!(most[..2], [2, 1]);
        let graph = graph! { "items" => (make,), "a" => (place, "items"), "b" => (place, "items") };
        let places = cluster.get_blocking(graph, ["a", "b"]).unwrap().into_list();
        assert_eq!(places[0].get::<usize>(), places[1].get::<usize>());
    });
}

#[test]
fn only_what_is_wanted_runs() {
    watched(|| {
        let cluster = cluster(2);
        let never = |_: i64| -> i64 { panic!("nobody wants this") };
        let graph = graph! { "x" => (inc, 1), "y" => (inc, "x"), "unwanted" => (never, "y") };
        assert_eq!(data::<i64>(cluster.get_blocking(graph, "y").unwrap()), 3);
    });
}

/// Numbers from a seed; the same seed, the same graph.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        u32::try_from(self.0 >> 33).expect("31 bits are left") % bound
    }
}

#[expect(clippy::needless_pass_by_value, reason = "a task that takes a list by value is meant")]
fn mix(items: Vec<i64>) -> i64 {
    items.iter().fold(1, |sum, item| (sum * 31 + item) % 1_000_003)
}

#[test]
fn random_graphs_equal_plain_evaluation() {
    watched(|| {
        let clusters = [cluster(1), cluster(2), cluster(4)];
        for seed in 0..20 {
            let mut chance = Chance(seed);
            let (mut graph, mut sums) = (Graph::new(), Vec::<i64>::new());
            for number in 0..500_u32 {
                let count = if number == 0 { 0 } else { chance.below(4) };
                let inputs: Vec<u32> = (0..count).map(|_| chance.below(number)).collect();
                let keys = inputs.iter().map(|input| Key::from(("x", *input)));
                graph.insert(("x", number), (mix, Arg::List(keys.collect())));
                sums.push(mix(inputs.iter().map(|input| sums[*input as usize]).collect()));
            }
            let keys: Vec<Key> = (0..500_u32).map(|number| ("x", number).into()).collect();
            let plan = Arc::new(Plan::new(graph, keys).unwrap());
            for pool in &clusters {
                let results: Vec<i64> = data(pool.run(Arc::clone(&plan)).wait().unwrap());
                assert_eq!(results, sums, "seed {seed}, {} workers", pool.workers());
                assert_eq!(held(pool), 0);
            }
        }
    });
}
