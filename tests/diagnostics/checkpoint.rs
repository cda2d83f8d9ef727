//! `Checkpoint`: what is kept, what is found again, and by which fingerprint.

use std::fs;
use std::time::Duration;

use mobula::{
    BoxError, CallError, CallbackBuilder, Checkpoint, Cluster, Codec, Data, Func, Function, Graph,
    Input, Key, Opaque, Outcome, Task, Value, delayed, graph, lit,
};

use crate::helpers::{add, data, files, inc, keeping_all, process, two_branches};
use crate::watchdog::watched;

fn ran(checkpoint: &Checkpoint, graph: Graph, key: &str) -> Vec<String> {
    process::<i64>(checkpoint, graph, key).1
}

#[test]
fn the_second_process_reads_the_result_and_nothing_else() {
    watched(|| {
        let base = tempfile::tempdir().unwrap();
        let first = keeping_all(base.path());
        assert_eq!(ran(&first, two_branches(), "total").len(), 5);
        let summary = first.summary();
        assert_eq!((summary.hits, summary.written, summary.bytes_read), (0, 5, 0));
        assert_eq!(files(base.path()).len(), 5);

        let second = keeping_all(base.path());
        let (value, ran) = process::<i64>(&second, two_branches(), "total");
        assert_eq!((value, ran), (14, Vec::new()));
        let summary = second.summary();
        assert_eq!((summary.hits, summary.written), (1, 0));
        let mut sizes = files(base.path()).into_iter().map(|path| path.metadata().unwrap().len());
        assert!(sizes.any(|size| size == summary.bytes_read), "one file was read");
        assert_eq!(summary.by_prefix["total"].hits, 1);
        assert!(summary.to_string().starts_with("1 resumed"), "{summary}");

        // Where it is not there, what it needs is.
        let third = keeping_all(base.path());
        let cluster = Cluster::builder().workers(1).checkpoint(third.clone()).start().unwrap();
        let mut graph = two_branches();
        graph.insert("more", (add, "total", "left-root"));
        assert_eq!(data::<i64>(cluster.get_blocking(graph, "more").unwrap()), 15);
        assert_eq!((third.summary().hits, third.summary().written), (2, 1));
        assert_eq!(cluster.checkpoint().unwrap().directory(), base.path());
        drop(cluster);

        assert_eq!(third.clear(), 6);
        assert!(files(base.path()).is_empty());
    });
}

#[test]
fn other_callbacks_see_who_answered() {
    watched(|| {
        let base = tempfile::tempdir().unwrap();
        ran(&keeping_all(base.path()), two_branches(), "left");
        let cluster = Cluster::builder().workers(1).checkpoint(base.path()).start().unwrap();
        let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let note = std::sync::Arc::clone(&seen);
        let looking = CallbackBuilder::new().named("looking").graph_start_state(move |_, state| {
            let answered = state.answered().map(|(key, by)| format!("{key} by {by}"));
            note.lock().unwrap().extend(answered);
            Ok(())
        });
        let knowing = CallbackBuilder::new().named("knowing").lookup(|keys| {
            let known = |key: &str| (key == "right").then(|| Value::new(100_i64));
            Ok(keys.iter().map(|key| known(&key.as_str()?)).collect())
        });
        let request = cluster.with_callbacks([looking, knowing]);
        assert_eq!(data::<i64>(request.get_blocking(two_branches(), "total").unwrap()), 102);
        let mut seen = seen.lock().unwrap().clone();
        seen.sort();
        assert_eq!(seen, ["left by Checkpoint", "right by knowing"]);
    });
}

#[test]
fn what_changed_and_what_depends_on_it_runs_again() {
    fn dec(x: i64) -> i64 {
        x - 1
    }
    watched(|| {
        let base = tempfile::tempdir().unwrap();
        ran(&keeping_all(base.path()), two_branches(), "total");

        let literal = graph! {
            "left-root" => (inc, 0), "left" => (inc, "left-root"),
            "right-root" => (inc, 11), "right" => (inc, "right-root"),
            "total" => (add, "left", "right"),
        };
        let (value, tasks) = process::<i64>(&keeping_all(base.path()), literal, "total");
        assert_eq!(tasks, ["right", "right-root", "total"]);
        assert_eq!(value, 15);

        let function = graph! {
            "left-root" => (dec, 0), "left" => (inc, "left-root"),
            "right-root" => (inc, 10), "right" => (inc, "right-root"),
            "total" => (add, "left", "right"),
        };
        let (value, tasks) = process::<i64>(&keeping_all(base.path()), function, "total");
        assert_eq!(tasks, ["left", "left-root", "total"]);
        assert_eq!(value, 12);

        let version = || keeping_all(base.path()).version("2");
        assert_eq!(ran(&version(), two_branches(), "total").len(), 5);
        assert_eq!(ran(&version(), two_branches(), "total").len(), 0);
        assert_eq!(
            ran(&keeping_all(base.path()), two_branches(), "total").len(),
            0,
            "of the first one"
        );
    });
}

#[test]
fn what_cannot_be_recognized_runs_again() {
    watched(|| {
        let base = tempfile::tempdir().unwrap();
        let captured = 1;
        let graph = || {
            graph! {
                "a" => (inc, 1),
                "b" => (move |x: i64| x + captured, "a"),
                "c" => (inc, "b"),
            }
        };
        let first = keeping_all(base.path());
        ran(&first, graph(), "c");
        assert_eq!((first.summary().written, first.summary().skipped), (1, 2));
        assert_eq!(ran(&keeping_all(base.path()), graph(), "c"), ["b", "c"]);

        let named = || {
            let mut graph = graph! { "a" => (inc, 1) };
            let plus = Func::new(move |x: i64| x + captured).identified_by("plus 1");
            graph.insert("b", Task::new(plus, [mobula::Arg::Key("a".into())]));
            graph.insert("c", (inc, "b"));
            graph
        };
        assert_eq!(ran(&keeping_all(base.path()), named(), "c"), ["b", "c"]);
        assert_eq!(ran(&keeping_all(base.path()), named(), "c"), [""; 0]);
    });
}

/// It has no codec.
#[derive(Clone)]
struct Plain(i64);

impl Data for Plain {}

/// A function that somebody wrote by hand.
struct ByHand;

impl Function for ByHand {
    fn name(&self) -> &'static str {
        "by hand"
    }

    fn arity(&self) -> Option<usize> {
        None
    }

    fn call(&self, inputs: &mut [Input<'_>]) -> Result<Outcome, CallError> {
        Ok(Outcome::Ready(inputs[0].take()))
    }

    fn identity(&self) -> Option<std::borrow::Cow<'_, str>> {
        Some("by hand".into())
    }
}

#[test]
fn what_has_no_way_back_from_bytes_is_not_kept() {
    watched(|| {
        let base = tempfile::tempdir().unwrap();
        let graph = || {
            let mut graph = graph! {
                "plain" => (|| Plain(1),),
                "opaque" => (|plain: &Plain| Opaque(plain.0), "plain"),
                "untyped" => (|x: &i64| Value::new(*x), "opaque"),
            };
            let by_hand = Func::from_function(ByHand);
            graph.insert("by-hand", Task::new(by_hand, [mobula::Arg::Key("untyped".into())]));
            graph.insert("known", (inc, "by-hand"));
            graph
        };
        let first = keeping_all(base.path());
        ran(&first, graph(), "known");
        assert_eq!((first.summary().written, first.summary().skipped), (1, 4));
        assert_eq!(ran(&keeping_all(base.path()), graph(), "known"), [""; 0]);
    });
}

#[test]
fn async_and_fallible_functions_are_kept() {
    async fn load(x: i64) -> Result<Vec<String>, BoxError> {
        Ok(vec![x.to_string()])
    }
    fn parse(words: &[String]) -> Result<f64, std::num::ParseFloatError> {
        words[0].parse()
    }
    watched(|| {
        let base = tempfile::tempdir().unwrap();
        for (hits, written) in [(0, 2), (1, 0)] {
            let words = delayed(load).call(7).with_key("words");
            let number = delayed(parse).call(&words).with_key("number");
            let checkpoint = keeping_all(base.path());
            let cluster =
                Cluster::builder().workers(1).checkpoint(checkpoint.clone()).start().unwrap();
            let (words, number) = cluster.compute_all_blocking((&words, &number)).unwrap();
            assert_eq!((words, number.to_bits()), (vec!["7".to_owned()], 7_f64.to_bits()));
            let summary = checkpoint.summary();
            assert_eq!((summary.hits, summary.written), (hits * 2, written), "{summary}");
        }
    });
}

#[test]
fn a_prefix_or_the_time_chooses() {
    watched(|| {
        let base = tempfile::tempdir().unwrap();
        let written = |checkpoint: Checkpoint| {
            ran(&checkpoint, two_branches(), "total");
            let by_prefix = checkpoint.summary().by_prefix;
            checkpoint.clear();
            by_prefix.into_keys().collect::<Vec<_>>()
        };
        let plain = || Checkpoint::new(base.path());
        assert_eq!(written(plain()), [""; 0], "all are quick");
        assert_eq!(written(plain().min_time(Duration::from_secs(3600))), [""; 0]);
        assert_eq!(written(plain().prefixes(["left-root", "total"])), ["left-root", "total"]);
        let both = plain().prefixes(["total"]).min_time(Duration::from_secs(3600));
        assert_eq!(written(both), ["total"]);
        let both = plain().prefixes(["total"]).min_time(Duration::ZERO);
        assert_eq!(written(both).len(), 5);
    });
}

#[test]
fn no_more_is_kept_than_allowed() {
    watched(|| {
        let base = tempfile::tempdir().unwrap();
        let block = |number: u8| vec![number; 1000];
        let mut graph = Graph::new();
        for number in 0..10_u8 {
            graph.insert(("block", number), Task::new(Func::new(block), [lit(number)]));
        }
        let keys: Vec<Key> = (0..10_u8).map(|number| ("block", number).into()).collect();
        let checkpoint = keeping_all(base.path()).max_bytes(5000);
        let cluster = Cluster::builder().workers(1).checkpoint(checkpoint.clone()).start().unwrap();
        cluster.get_blocking(graph, keys).unwrap();
        let summary = checkpoint.summary();
        assert!((3..=4).contains(&summary.written), "{summary}");
        assert_eq!(summary.written + summary.skipped, 10);
        let bytes: u64 = files(base.path()).iter().map(|p| fs::metadata(p).unwrap().len()).sum();
        assert_eq!(bytes, summary.bytes_written);
        assert!(bytes <= 5000);
    });
}

/// Its codec refuses it, or panics.
#[derive(Clone)]
struct Stubborn;

impl Data for Stubborn {
    fn codec() -> Option<Codec<Self>> {
        Some(Codec::new(|_, _| panic!("it does not want to"), |_| Ok(Self)))
    }
}

#[test]
fn a_codec_that_panics_harms_nobody() {
    watched(|| {
        let base = tempfile::tempdir().unwrap();
        let checkpoint = keeping_all(base.path());
        let graph = graph! { "s" => (|| Stubborn,), "n" => (|_: &Stubborn| 1_i64, "s") };
        ran(&checkpoint, graph, "n");
        assert_eq!((checkpoint.summary().written, checkpoint.summary().skipped), (1, 1));
        assert_eq!(files(base.path()).len(), 1);
    });
}

#[test]
fn what_was_done_before_a_failure_is_kept() {
    fn fail(_: i64) -> Result<i64, BoxError> {
        Err("it fails".into())
    }
    watched(|| {
        let base = tempfile::tempdir().unwrap();
        let cluster =
            Cluster::builder().workers(1).checkpoint(keeping_all(base.path())).start().unwrap();
        let graph = graph! { "x" => (inc, 1), "y" => (inc, "x"), "z" => (fail, "y") };
        cluster.get_blocking(graph, "z").unwrap_err();
        assert_eq!(files(base.path()).len(), 2, "at the end of the run, not of the cluster");
        drop(cluster);
        let mended = graph! { "x" => (inc, 1), "y" => (inc, "x"), "z" => (inc, "y") };
        assert_eq!(ran(&keeping_all(base.path()), mended, "z"), ["z"]);
    });
}
