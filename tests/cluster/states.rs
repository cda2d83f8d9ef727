//! State actors: asked from tasks and hooks, told, awaited; and what happens when they stop.

use std::cell::RefCell;
use std::sync::mpsc::{Receiver, RecvError, Sender, channel};

use actix::{Actor, ActorContext, Context, Handler, Message};
use mobula::{AskError, CallbackBuilder, Graph, StateRef, graph};

use crate::bomb::{ON_PURPOSE, quiet};
use crate::functions::{cluster, data, held, inc};
use crate::watchdog::watched;

/// Counts, and stops by itself when it has counted so far.
struct Counter {
    count: u64,
    stops_at: u64,
}

impl Counter {
    fn new() -> Self {
        Self { count: 0, stops_at: u64::MAX }
    }
}

impl Actor for Counter {
    type Context = Context<Self>;
}

#[derive(Message)]
#[rtype(result = "u64")]
struct Add(u64);

impl Handler<Add> for Counter {
    type Result = u64;

    fn handle(&mut self, message: Add, context: &mut Self::Context) -> u64 {
        self.count += message.0;
        if self.count >= self.stops_at {
            context.stop();
        }
        self.count
    }
}

/// Lets the actor ask itself.
#[derive(Message)]
#[rtype(result = "Result<u64, AskError>")]
struct AskYourself(StateRef<Counter>);

impl Handler<AskYourself> for Counter {
    type Result = Result<u64, AskError>;

    fn handle(&mut self, message: AskYourself, _: &mut Self::Context) -> Self::Result {
        message.0.ask(Add(1))
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Panic;

impl Handler<Panic> for Counter {
    type Result = ();

    fn handle(&mut self, _: Panic, _: &mut Self::Context) {
        panic!("{ON_PURPOSE}: a handler")
    }
}

#[test]
fn tasks_ask_tell_and_await() {
    watched(|| {
        let cluster = cluster(2);
        let counter = cluster.start_state(Counter::new()).unwrap();
        let (asks, tells, awaits) = (counter.clone(), counter.clone(), counter.clone());
        let ask = move |x: u64| asks.ask(Add(x));
        let tell = move |x: u64| tells.tell(Add(x));
        let wait = move |x: u64| awaits.send(Add(x));
        let mut graph = Graph::new();
        let (ask, tell) = (mobula::Func::new(ask), mobula::Func::new(tell));
        let task = |func: &mobula::Func, x: u64| mobula::Task::new(func.clone(), [mobula::lit(x)]);
        let mut all: Vec<_> = (0..500).map(|_| graph.add(task(&ask, 1))).collect();
        all.extend((0..500).map(|_| graph.add(task(&tell, 1))));
        all.push(graph.add((wait, 10_u64)));
        cluster.get_blocking(graph, all).unwrap();
        assert_eq!(counter.ask(Add(0)).unwrap(), 1010);
        assert_eq!(held(&cluster), 0);
    });
}

#[test]
fn many_threads_ask_at_once() {
    watched(|| {
        let cluster = cluster(1);
        let counter = cluster.start_state(Counter::new()).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        counter.ask(Add(1)).unwrap();
                    }
                });
            }
        });
        assert_eq!(counter.ask(Add(0)), Ok(8000));
    });
}

#[test]
fn a_presubmit_hook_asks_synchronously() {
    watched(|| {
        let cluster = cluster(2);
        let counter = cluster.start_state(Counter::new()).unwrap();
        let asked = counter.clone();
        let callback = CallbackBuilder::new().presubmit(move |_, _, _| {
            asked.ask(Add(1))?;
            Ok(None)
        });
        let _guard = cluster.register(callback);
        let mut graph = Graph::new();
        let parts: Vec<_> = (0..1000_i64).map(|x| graph.add((inc, x))).collect();
        let values: Vec<i64> = data(cluster.get_blocking(graph, parts).unwrap());
        assert_eq!(values, (1..=1000).collect::<Vec<i64>>());
        assert_eq!(counter.ask(Add(0)), Ok(1000));
    });
}

#[test]
fn an_actor_that_stops_in_the_middle_fails_the_run() {
    watched(|| {
        for workers in [1, 4] {
            let cluster = cluster(workers);
            let counter = Counter { count: 0, stops_at: 50 };
            let counter = cluster.start_state(counter).unwrap();
            let asked = counter.clone();
            let callback = CallbackBuilder::new().named("counting").pretask(move |_, _| {
                asked.ask(Add(1))?;
                Ok(None)
            });
            let mut graph = Graph::new();
            let parts: Vec<_> = (0..10_000_i64).map(|x| graph.add((inc, x))).collect();
            let error = cluster.with_callbacks([callback]).get_blocking(graph, parts).unwrap_err();
            assert!(error.is_hook());
            let told = error.to_string();
            assert!(
                told.starts_with("hook pretask of callback counting failed for 'inc-"),
                "{told}"
            );
            assert!(told.contains("Counter has stopped, so it cannot answer"), "{told}");
            assert!(matches!(counter.ask(Add(1)), Err(AskError::Stopped { .. })));
            assert!(matches!(counter.tell(Add(1)), Err(AskError::Stopped { .. })));
            let next = cluster.get_blocking(graph! { "x" => (inc, 1) }, "x");
            assert_eq!(data::<i64>(next.unwrap()), 2);
        }
    });
}

#[test]
fn those_who_wait_when_an_actor_stops_are_answered() {
    watched(|| {
        let cluster = cluster(1);
        let counter = cluster.start_state(Counter { count: 0, stops_at: 500 }).unwrap();
        let answered = std::thread::scope(|scope| {
            let ask = || (0..200).filter(|_| counter.ask(Add(1)).is_ok()).count();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
        });
        assert!((499..=500).contains(&answered), "{answered} of 1600 were answered");
    });
}

#[test]
fn a_handler_that_panics_stops_its_actor_only() {
    watched(|| {
        quiet();
        let cluster = cluster(1);
        let counter = cluster.start_state(Counter::new()).unwrap();
        let other = cluster.start_state(Counter::new()).unwrap();
        let stopped = counter.ask(Panic).unwrap_err();
        assert!(stopped.to_string().contains("Counter has stopped"), "{stopped}");
        assert!(counter.ask(Add(1)).is_err());
        assert_eq!(other.ask(Add(1)), Ok(1));
    });
}

#[test]
fn asking_on_the_actors_own_arbiter_is_an_error_at_once() {
    watched(|| {
        let cluster = cluster(1);
        let counter = cluster.start_state(Counter::new()).unwrap();
        let error = counter.ask(AskYourself(counter.clone())).unwrap().unwrap_err();
        assert!(matches!(error, AskError::WouldDeadlock { .. }));
        assert!(error.to_string().contains("would wait forever"), "{error}");
        assert!(mobula::Error::from(error).is_blocking());
        // One state actor may ask another one: it has a thread of its own.
        let other = cluster.start_state(Counter::new()).unwrap();
        assert_eq!(counter.ask(AskYourself(other)).unwrap(), Ok(1));
    });
}

#[test]
fn state_ends_with_its_cluster() {
    watched(|| {
        let cluster = cluster(1);
        let counter = cluster.start_state(Counter::new()).unwrap();
        counter.tell(Add(1)).unwrap();
        let client = cluster.client().clone();
        cluster.shutdown_blocking().unwrap();
        assert!(matches!(counter.ask(Add(1)), Err(AskError::Stopped { .. })));
        assert!(matches!(counter.tell(Add(1)), Err(AskError::Stopped { .. })));
        assert!(client.start_state(Counter::new()).unwrap_err().is_closed());
    });
}

/// Has the thread of the actor tell when it ends.
#[derive(Message)]
#[rtype(result = "()")]
struct TellTheEnd(Sender<()>);

thread_local! {
    static TELLS: RefCell<Option<Sender<()>>> = const { RefCell::new(None) };
}

impl Handler<TellTheEnd> for Counter {
    type Result = ();

    fn handle(&mut self, message: TellTheEnd, _: &mut Self::Context) {
        TELLS.set(Some(message.0));
    }
}

/// The last sender is gone with the thread: that is what is received.
fn end_of(counter: &StateRef<Counter>) -> Receiver<()> {
    let (sender, ended) = channel();
    counter.ask(TellTheEnd(sender)).expect("it lives");
    ended
}

#[test]
fn the_thread_of_an_actor_ends_with_it() {
    watched(|| {
        quiet();
        let cluster = cluster(1);
        let start = || cluster.start_state(Counter { count: 0, stops_at: 1 }).unwrap();

        let stops = start();
        let ended = end_of(&stops);
        assert_eq!(stops.ask(Add(1)), Ok(1));
        assert_eq!(ended.recv(), Err(RecvError));

        let panics = start();
        let ended = end_of(&panics);
        assert!(panics.ask(Panic).is_err());
        assert_eq!(ended.recv(), Err(RecvError));

        let unwanted = start();
        let (ended, copy) = (end_of(&unwanted), unwanted.clone());
        drop(unwanted);
        assert_eq!(copy.ask(Add(0)), Ok(0));
        drop(copy);
        assert_eq!(ended.recv(), Err(RecvError));

        let wanted = start();
        let ended = end_of(&wanted);
        cluster.shutdown_blocking().unwrap();
        assert_eq!(ended.recv(), Err(RecvError));
        assert!(wanted.ask(Add(0)).is_err());
    });
}

#[test]
fn an_actix_program_sends_to_the_address() {
    watched(|| {
        actix_rt::System::new().block_on(async {
            let cluster = mobula::Cluster::builder().workers(1).start().unwrap();
            let counter = cluster.start_state(Counter::new()).unwrap();
            assert_eq!(counter.addr().send(Add(2)).await.unwrap(), 2);
            assert_eq!(counter.send(Add(3)).await, Ok(5));
            assert_eq!(counter.ask(Add(1)), Ok(6));
            cluster.shutdown().await;
        });
    });
}
