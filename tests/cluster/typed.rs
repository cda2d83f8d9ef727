//! The typed face: delayed functions, their arguments, and what is computed from them.

use std::fmt::{self, Display};

use mobula::{Data, Delayed, Shared, delayed};

use crate::functions::{add, cluster, held, inc, total};
use crate::watchdog::watched;

#[test]
fn functions_take_none_to_twelve_arguments() {
    watched(|| {
        let cluster = cluster(2);
        let x = delayed(inc).call(0);
        assert_eq!(cluster.compute_blocking(&delayed(|| 5_i64).call(())).unwrap(), 5);
        assert_eq!(cluster.compute_blocking(&delayed(add).call((&x, 2))).unwrap(), 3);
        let twelve =
            |a: i64,
             b: i64,
             c: i64,
             d: i64,
             e: i64,
             f: i64,
             g: i64,
             h: i64,
             i: i64,
             j: i64,
             k: i64,
             l: i64| { [a, b, c, d, e, f, g, h, i, j, k, l].iter().sum::<i64>() };
        let sum = delayed(twelve).call((&x, 2, &x, 4, &x, 6, &x, 8, &x, 10, &x, 12));
        assert_eq!(cluster.compute_blocking(&sum).unwrap(), 48);
    });
}

#[test]
fn arguments_are_taken_by_value_by_reference_and_shared() {
    watched(|| {
        let cluster = cluster(2);
        let text = delayed(|| "manta".to_owned()).call(());
        let owned = delayed(|text: String| text + "!").call(&text);
        let borrowed = delayed(|text: &String| text.len()).call(&text);
        let string = delayed(|text: &str| text.to_uppercase()).call(&text);
        let shared = delayed(|text: Shared<String>| text.len() * 2).call(&text);
        let all = cluster.compute_all_blocking((&owned, &borrowed, &string, &shared)).unwrap();
        assert_eq!(all, ("manta!".to_owned(), 5, "MANTA".to_owned(), 10));
        let given = delayed(|text: &str| text.len()).call("ray");
        assert_eq!(cluster.compute_blocking(&given).unwrap(), 3);
    });
}

#[test]
fn a_list_of_handles_is_one_argument() {
    watched(|| {
        let cluster = cluster(2);
        let parts: Vec<Delayed<i64>> = (0..1000).map(|x| delayed(inc).call(x)).collect();
        let by_value = delayed(total).call(&parts);
        let by_slice = delayed(|items: &[i64]| items.iter().sum::<i64>()).call(&parts);
        let shared =
            delayed(|items: Vec<Shared<i64>>| items.iter().map(|x| **x).sum::<i64>()).call(&parts);
        let few = delayed(total).call([&parts[0], &parts[1]].map(Delayed::clone));
        let sums = cluster.compute_all_blocking((&by_value, &by_slice, &shared, &few)).unwrap();
        assert_eq!(sums, (500_500, 500_500, 500_500, 3));
        assert_eq!(cluster.compute_all_blocking(&parts).unwrap(), (1..=1000).collect::<Vec<i64>>());
        assert_eq!(held(&cluster), 0);
    });
}

#[test]
fn fallible_and_asynchronous_functions_are_called_like_others() {
    watched(|| {
        let cluster = cluster(1);
        let parse = delayed(|text: &str| text.parse::<i64>());
        let twice = delayed(|x: i64| async move { x * 2 });
        let fallible = delayed(|x: i64| async move { i8::try_from(x).map(i64::from) });
        let sum = delayed(add).call((twice.call(parse.call("20")), fallible.call(2)));
        assert_eq!(cluster.compute_blocking(&sum).unwrap(), 42);
        assert!(cluster.compute_blocking(&parse.call("manta")).unwrap_err().is_task_error());
        let error = cluster.compute_blocking(&fallible.call(1000)).unwrap_err();
        assert!(error.task_error().unwrap().is::<std::num::TryFromIntError>(), "{error}");
    });
}

#[test]
fn a_handle_is_computed_once_in_a_run() {
    watched(|| {
        let cluster = cluster(2);
        let calls = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counted = std::sync::Arc::clone(&calls);
        let count = delayed(move |x: i64| {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            x
        });
        let x = count.call(7);
        let uses: Vec<Delayed<i64>> = (0..50).map(|y| delayed(add).call((&x, y))).collect();
        cluster.compute_all_blocking((&x, &x.clone(), &delayed(total).call(&uses))).unwrap();
        assert_eq!(calls.load(std::sync::atomic::Ordering::Relaxed), 1);
    });
}

#[test]
fn keys_come_from_names_or_from_the_caller() {
    watched(|| {
        let cluster = cluster(1);
        let inc = delayed(inc);
        assert_eq!(inc.call(1).key().prefix(), "inc");
        assert_eq!(inc.clone().named("load").call(1).key().prefix(), "load");
        let x = inc.call(1).with_key(("x", 0));
        assert_eq!(x.key().to_string(), "('x', 0)");
        assert_eq!(cluster.compute_blocking(&x).unwrap(), 2);
        let literal = Delayed::literal(5_i64).with_key("five");
        assert_eq!(cluster.compute_blocking(&inc.call(&literal)).unwrap(), 6);
        assert_eq!(cluster.compute_blocking(&literal).unwrap(), 5);
    });
}

/// A type of a user.
#[derive(Clone, Debug, PartialEq)]
struct Route {
    from: String,
    miles: u32,
}

impl Data for Route {
    fn heap_bytes(&self) -> usize {
        self.from.heap_bytes()
    }
}

impl Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.from, self.miles)
    }
}

#[test]
fn own_types_travel() {
    watched(|| {
        let cluster = cluster(1);
        let make = delayed(|miles: u32| Route { from: "EWR".to_owned(), miles });
        let route = make.call(8);
        let shown = delayed(|route: &Route| route.to_string()).call(&route);
        let further = delayed(|mut route: Route| {
            route.miles += 1;
            route
        });
        let all = cluster.compute_all_blocking((&shown, &further.call(&route), &route)).unwrap();
        let (eight, nine) = (
            Route { from: "EWR".to_owned(), miles: 8 },
            Route { from: "EWR".to_owned(), miles: 9 },
        );
        assert_eq!(all, ("EWR: 8".to_owned(), nine, eight));
    });
}

#[test]
fn a_long_chain_of_handles_is_built_run_and_dropped() {
    watched(|| {
        let cluster = cluster(2);
        let inc = delayed(inc);
        let last = (0..100_000).fold(inc.call(0), |last, _| inc.call(last));
        assert_eq!(cluster.compute_blocking(&last).unwrap(), 100_001);
    });
}

#[test]
fn handles_are_drawn() {
    watched(|| {
        let sum = delayed(add).call((delayed(inc).call(1).with_key("x"), 2)).with_key("sum");
        let dot = sum.to_dot().unwrap();
        assert!(dot.starts_with("digraph") && dot.contains("sum"), "{dot}");
        let path = std::env::temp_dir().join(format!("mobula-{}.dot", std::process::id()));
        sum.visualize(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), dot);
        std::fs::remove_file(&path).unwrap();
    });
}
