//! What is wrong with a graph or a call is told before or when it runs, by name.

use mobula::{
    Arg, CallError, Cause, Error, Func, Graph, GraphError, Key, Task, delayed, graph, keys, lit,
};

use crate::functions::{add, cluster, data, inc, total};
use crate::watchdog::watched;

#[track_caller]
fn error(graph: Graph, wanted: &str) -> Error {
    cluster(1).get_blocking(graph, wanted).expect_err("the graph is wrong")
}

#[test]
fn a_cycle_is_printed() {
    watched(|| {
        let graph = graph! { "a" => (inc, "c"), "b" => (inc, "a"), "c" => (add, "b", 1), "d" => 1 };
        let error = error(graph, "d");
        let Some(GraphError::Cycle(path)) = error.as_graph_error() else { panic!("{error}") };
        assert_eq!(path.len(), 4);
        assert_eq!(path.first(), path.last());
        for edge in ["'a' -> 'c'", "'c' -> 'b'", "'b' -> 'a'"] {
            let shown = error.to_string();
            let twice = format!("{shown} -> {}", shown.rsplit(": ").next().unwrap());
            assert!(twice.contains(edge), "{shown}");
        }
    });
}

#[test]
fn a_cycle_of_names_and_a_task_that_needs_itself_are_cycles() {
    watched(|| {
        let names = error(graph! { "a" => "b", "b" => "a" }, "a");
        assert!(matches!(names.as_graph_error(), Some(GraphError::Cycle(path)) if path.len() == 3));
        let itself = error(graph! { "a" => (inc, "a") }, "a");
        assert!(itself.to_string().ends_with("'a' -> 'a'"), "{itself}");
    });
}

#[test]
fn a_missing_key_is_named_with_who_needs_it() {
    watched(|| {
        let missing = error(graph! { "y" => (add, "x", 1), "z" => (inc, 1) }, "z");
        assert_eq!(missing.key().unwrap(), &Key::from("x"));
        let told = missing.to_string();
        assert!(told.contains("'x'") && told.contains("task 'y' needs it"), "{told}");
        let unknown = error(graph! { "y" => (inc, 1) }, "z");
        assert!(unknown.to_string().contains("the caller needs it"), "{unknown}");
    });
}

#[test]
fn a_key_that_is_given_twice_is_named() {
    watched(|| {
        let twice = error(graph! { "y" => (inc, 1), ("x", 0) => 1, ("x", 0) => (inc, 2) }, "y");
        assert_eq!(twice.as_graph_error(), Some(&GraphError::DuplicateKey(("x", 0).into())));
        let x = delayed(inc).call(1).with_key("x");
        let sum = delayed(add).call((&x, delayed(inc).call(2).with_key("x")));
        let twice = cluster(1).compute_blocking(&sum).unwrap_err();
        assert_eq!(twice.key().unwrap(), &Key::from("x"));
    });
}

#[test]
fn a_node_of_another_graph_is_refused() {
    watched(|| {
        let stranger = Graph::new().add((inc, 1));
        let mut graph = Graph::new();
        graph.insert("own", (inc, 1));
        graph.insert("y", (inc, stranger));
        let foreign = error(graph, "own");
        assert_eq!(foreign.as_graph_error(), Some(&GraphError::ForeignNode("y".into())));
    });
}

#[test]
fn a_wrong_type_names_task_argument_and_both_types() {
    watched(|| {
        let graph = graph! { "text" => (|| "one".to_owned(),), "z" => (add, 1, "text") };
        let error = error(graph, "z");
        assert!(error.is_wrong_type() && !error.is_task_error());
        assert_eq!(error.key().unwrap(), &Key::from("z"));
        let told = "task 'z' cannot be called: argument 2 of `add` must be i64, \
                    found alloc::string::String";
        assert_eq!(error.to_string(), told);
    });
}

#[test]
fn a_wrong_number_of_arguments_names_the_function() {
    watched(|| {
        let two = Task::new(Func::new(inc), [lit(1_i64), lit(2_i64)]);
        let none = Task::new(Func::new(inc), Vec::<Arg>::new());
        for (task, found) in [(two, 2), (none, 0)] {
            let mut graph = Graph::new();
            graph.insert("y", task);
            let error = error(graph, "y");
            assert!(error.is_wrong_arity());
            let told = format!("task 'y' cannot be called: `inc` takes 1 argument, not {found}");
            assert_eq!(error.to_string(), told);
        }
    });
}

#[test]
fn a_list_with_a_wrong_element_is_a_wrong_type() {
    watched(|| {
        let graph = graph! { "x" => (|| true,), "sum" => (total, ["x", "x"]) };
        let error = error(graph, "sum");
        assert!(error.is_wrong_type(), "{error}");
        assert_eq!(error.key().unwrap(), &Key::from("sum"));
    });
}

#[test]
fn an_async_function_cannot_be_nested() {
    watched(|| {
        let later = |x: i64| async move { x };
        let error = error(graph! { "y" => (inc, (later, 1)) }, "y");
        let cause = &error.as_failure().unwrap().cause;
        let nested =
            matches!(cause, Cause::Call(e) if matches!(**e, CallError::NestedAsync { .. }));
        assert!(nested, "{error}");
        assert!(error.to_string().contains("give it a key of its own"), "{error}");
    });
}

#[test]
fn a_result_of_another_type_than_the_caller_takes_is_told() {
    watched(|| {
        let cluster = cluster(1);
        let wrong = mobula::Delayed::<String>::from_ref(cluster.put("x", 1_i64));
        let error = cluster.compute_blocking(&wrong).unwrap_err();
        assert!(error.is_wrong_type());
        assert!(error.to_string().contains("is of type i64, not alloc::string::String"), "{error}");
    });
}

#[test]
fn after_a_mistake_the_cluster_goes_on() {
    watched(|| {
        let cluster = cluster(1);
        cluster.get_blocking(graph! { "a" => (inc, "a") }, "a").unwrap_err();
        cluster.get_blocking(graph! { "a" => (inc, lit(String::new())) }, keys!["a"]).unwrap_err();
        assert_eq!(data::<i64>(cluster.get_blocking(graph! { "a" => (inc, 1) }, "a").unwrap()), 2);
    });
}

#[test]
fn a_cluster_needs_a_sensible_number_of_workers() {
    watched(|| {
        for workers in [0, 1 << 20] {
            let error = mobula::Cluster::builder().workers(workers).start().unwrap_err();
            assert!(error.to_string().contains(&format!("{workers} workers")), "{error}");
        }
    });
}

#[test]
fn a_cluster_needs_a_stack_that_can_be_had() {
    watched(|| {
        let error = mobula::Cluster::builder().workers(1).stack_size(1 << 60).start().unwrap_err();
        assert!(error.to_string().starts_with("the cluster cannot start"), "{error}");
    });
}
