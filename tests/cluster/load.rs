//! Many runs: at once from many threads, and one after another with flat memory.

use std::sync::Arc;

use mobula::{CallbackBuilder, Graph, Plan, delayed};

use crate::functions::{add, cluster, data, held, inc, total};
use crate::process::{cluster_threads, resident_bytes};
use crate::watchdog::{alone, watched};

fn tree(leaves: i64) -> Plan {
    let mut graph = Graph::new();
    let mut level: Vec<_> = (0..leaves).map(|x| graph.add((inc, x))).collect();
    while level.len() > 1 {
        let pair = |pair: &[mobula::Node]| match pair {
            [one, two] => graph.add((add, *one, *two)),
            rest => rest[0],
        };
        level = level.chunks(2).map(pair).collect();
    }
    Plan::new(graph, level[0]).expect("a tree is right")
}

#[test]
fn fifty_runs_at_once_from_eight_threads() {
    watched(|| {
        for workers in [1, 2, 8] {
            let cluster = cluster(workers);
            std::thread::scope(|scope| {
                for thread in 0..8_i64 {
                    let cluster = &cluster;
                    scope.spawn(move || {
                        let count = if thread < 2 { 7 } else { 6 };
                        let leaves = |run: i64| 500 + thread * 10 + run;
                        let runs: Vec<_> =
                            (0..count).map(|run| cluster.run(tree(leaves(run)))).collect();
                        for (run, handle) in runs.into_iter().enumerate() {
                            let leaves = leaves(i64::try_from(run).unwrap());
                            let sum: i64 = data(handle.wait().unwrap());
                            assert_eq!(sum, leaves * (leaves + 1) / 2);
                        }
                    });
                }
            });
            assert_eq!(held(&cluster), 0);
        }
    });
}

#[test]
fn many_threads_mix_runs_that_succeed_fail_and_are_cancelled() {
    watched(|| {
        let cluster = cluster(2);
        let plan = Arc::new(tree(200));
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (cluster, plan) = (&cluster, &plan);
                scope.spawn(move || {
                    let fails = delayed(|x: i64| Err::<i64, _>(format!("no {x}")));
                    for round in 0..50 {
                        match (thread + round) % 4 {
                            0 => drop(cluster.run(Arc::clone(plan))),
                            1 => {
                                let error = cluster.compute_blocking(&fails.call(round));
                                assert!(error.unwrap_err().is_task_error());
                            }
                            2 => {
                                let callback = CallbackBuilder::new().pretask(|_, _| Ok(None));
                                let handle =
                                    cluster.run_with(Arc::clone(plan), vec![Arc::new(callback)]);
                                assert_eq!(data::<i64>(handle.wait().unwrap()), 20_100);
                            }
                            _ => {
                                let handle = cluster.run(Arc::clone(plan));
                                assert_eq!(data::<i64>(handle.wait().unwrap()), 20_100);
                            }
                        }
                    }
                });
            }
        });
        crate::watchdog::until(|| held(&cluster) == 0);
    });
}

#[test]
fn one_plan_runs_many_times_at_once() {
    watched(|| {
        let cluster = cluster(4);
        let plan = Arc::new(tree(1000));
        let handles: Vec<_> = (0..50).map(|_| cluster.run(Arc::clone(&plan))).collect();
        for handle in handles {
            assert_eq!(data::<i64>(handle.wait().unwrap()), 500_500);
        }
    });
}

#[test]
fn ten_thousand_runs_one_after_another_leave_nothing() {
    alone(|| {
        /// What may come and go between two looks: allocator, lists that were made longer.
        const SLACK: u64 = 4 << 20;
        let cluster = cluster(2);
        let counter = CallbackBuilder::new().pretask(|_, _| Ok(Some(Box::new([0_u8; 64]))));
        let request = cluster.with_callbacks([counter]);
        let later = delayed(|x: i64| async move { x + 1 });
        let round = |number: usize| {
            let parts: Vec<_> = (0..20).map(|x| delayed(inc).call(x)).collect();
            let sum = delayed(total).call(&parts);
            match number % 4 {
                0 => assert_eq!(request.compute_blocking(&sum).unwrap(), 210),
                1 => assert_eq!(cluster.compute_blocking(&later.call(&sum)).unwrap(), 211),
                2 => {
                    let refs =
                        cluster.persist(Arc::clone(sum.plan().unwrap().graph()), [sum.key()]);
                    let values = cluster.gather_blocking(&refs.unwrap()).unwrap();
                    assert_eq!(values[0].downcast_ref::<i64>(), Some(&210));
                }
                _ => assert_eq!(cluster.compute_blocking(&sum).unwrap(), 210),
            }
        };
        (0..2000).for_each(round);
        let (memory, threads) = (resident_bytes(), cluster_threads());
        (0..10_000).for_each(round);
        let grown = resident_bytes().saturating_sub(memory);
        assert!(grown < SLACK, "10,000 runs left {grown} bytes");
        assert_eq!(cluster_threads(), threads);
        assert_eq!(held(&cluster), 0);
        assert!(cluster.stats_blocking().unwrap().objects.is_empty());
    });
}
