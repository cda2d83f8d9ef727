//! What happens to runs whose cache actor has stopped.

use actix::{ActorContext, Context, Handler, Message};
use mobula::{CacheCallback, CallbackErrors, Cluster, Error, SimpleCacheActor, StateRef, graph};

use crate::helpers::{cache_of, cluster, data, inc};
use crate::watchdog::{until, watched};

#[derive(Message)]
#[rtype(result = "()")]
struct Stop;

impl Handler<Stop> for SimpleCacheActor {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Context<Self>) {
        context.stop();
    }
}

/// Stops the actor, and waits until nobody can reach it.
fn stop(cache: &StateRef<SimpleCacheActor>) {
    cache.tell(Stop).expect("nobody has stopped it");
    until(|| !cache.addr().connected());
}

const STOPPED: &str = "the state actor mobula::diagnostics::cache::actor::SimpleCacheActor has stopped, so it cannot answer";

/// A run in which the cache stops while task "x" runs.
fn run(cluster: &Cluster, cache: &StateRef<SimpleCacheActor>) -> Result<i64, Error> {
    let cache = cache.clone();
    let stops = move |x: i64| {
        stop(&cache);
        inc(x)
    };
    let graph = graph! { "x" => (stops, 1), "y" => (inc, "x") };
    cluster.get_blocking(graph, "y").map(data)
}

#[test]
fn stopped_in_the_middle_it_fails_the_run() {
    watched(|| {
        let cluster = cluster(2);
        let cache = cache_of(&cluster);
        let _caching = cluster.register(CacheCallback::new(cache.clone()));
        let error = run(&cluster, &cache).unwrap_err();
        assert!(error.is_hook());
        assert_eq!(error.key(), Some(&"x".into()));
        let expected = format!("hook posttask of callback CacheCallback failed for 'x': {STOPPED}");
        assert_eq!(error.to_string(), expected);
    });
}

#[test]
fn stopped_in_the_middle_it_fails_the_next_question() {
    watched(|| {
        let cluster = cluster(2);
        let cache = cache_of(&cluster);
        let caching = CacheCallback::new(cache.clone()).prefixes(["y"]).ask_each_task();
        let _caching = cluster.register(caching);
        let error = run(&cluster, &cache).unwrap_err();
        let expected =
            format!("hook presubmit of callback CacheCallback failed for 'y': {STOPPED}");
        assert_eq!(error.to_string(), expected);
    });
}

#[test]
fn stopped_before_the_run_it_fails_at_the_start() {
    watched(|| {
        let cluster = cluster(1);
        let cache = cache_of(&cluster);
        stop(&cache);
        let caching = cluster.register(CacheCallback::new(cache));
        let error = cluster.get_blocking(graph! { "x" => (inc, 1) }, "x").unwrap_err();
        let expected =
            format!("hook lookup of callback CacheCallback failed for the run: {STOPPED}");
        assert_eq!(error.to_string(), expected);

        // Without the callback the cluster goes on.
        drop(caching);
        let x = cluster.get_blocking(graph! { "x" => (inc, 1) }, "x").unwrap();
        assert_eq!(data::<i64>(x), 2);
    });
}

#[test]
fn a_run_that_keeps_nothing_does_not_fail_for_its_counts() {
    watched(|| {
        let cluster = cluster(1);
        let cache = cache_of(&cluster);
        let caching = CacheCallback::new(cache.clone()).threshold(std::time::Duration::MAX);
        let _caching = cluster.register(caching);
        assert_eq!(run(&cluster, &cache).unwrap(), 3);
    });
}

#[test]
fn logged_errors_let_runs_go_on() {
    watched(|| {
        let builder = Cluster::builder().workers(1).callback_errors(CallbackErrors::Log);
        let cluster = builder.start().unwrap();
        for each_task in [false, true] {
            let cache = cache_of(&cluster);
            let caching = CacheCallback::new(cache.clone());
            let caching = if each_task { caching.ask_each_task() } else { caching };
            let _caching = cluster.register(caching);
            assert_eq!(run(&cluster, &cache).unwrap(), 3);
        }
    });
}

#[test]
fn many_runs_end_when_the_cache_stops() {
    watched(|| {
        let cluster = cluster(2);
        let cache = cache_of(&cluster);
        let _caching = cluster.register(CacheCallback::new(cache.clone()).ask_each_task());
        std::thread::scope(|scope| {
            for thread in 0..4_i64 {
                let (cluster, cache) = (&cluster, &cache);
                scope.spawn(move || {
                    for round in 0..20 {
                        if thread == 0 && round == 10 {
                            stop(cache);
                        }
                        let graph = graph! {
                            ("x", thread, round) => (inc, 1),
                            ("y", thread, round) => (inc, ("x", thread, round)),
                        };
                        match cluster.get_blocking(graph, ("y", thread, round)) {
                            Ok(y) => assert_eq!(data::<i64>(y), 3),
                            Err(error) => assert!(error.is_hook(), "{error}"),
                        }
                    }
                });
            }
        });
    });
}
