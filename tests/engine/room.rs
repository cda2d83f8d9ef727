//! Large values and little memory: who is held back, who goes on, and how inputs come back.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use mobula::engine::{Limits, Memory, Pins, Run, Status, Ticket, WorkerId};
use mobula::{Arg, Func, Graph, Key, Outcome, Outputs, Plan, Task, TaskId, Value};

use crate::attic::Attic;
use crate::plans::Bench;

/// Bytes of the large values here, their vector included.
const BLOCK: u64 = 25 * 4096;

/// A memory for four blocks of which three may be there before somebody has to wait.
const LIMITS: Limits =
    Limits { limit: 4 * BLOCK, target: 2 * BLOCK, spill: 5 * BLOCK / 2, pause: 3 * BLOCK };

fn block() -> Vec<u8> {
    vec![1; 25 * 4096 - size_of::<Vec<u8>>()]
}

fn first_byte(block: &[u8]) -> i64 {
    i64::from(block[0])
}

/// `blocks` blocks "block-0", .., and a small task "byte-0", .. that reads each.
fn blocks(blocks: i64, outputs: impl Into<Outputs>) -> Arc<Plan> {
    let mut graph = Graph::new();
    for number in 0..blocks {
        let name = Key::from(format!("block-{number}"));
        graph.insert(name.clone(), Task::new(Func::new(block), [] as [Arg; 0]));
        let reader = Task::new(Func::new(first_byte), [Arg::Key(name)]);
        graph.insert(format!("byte-{number}"), reader);
    }
    Arc::new(Plan::new(graph, outputs).expect("the plan of a test is good"))
}

fn keys(prefix: &str, count: i64) -> Outputs {
    Outputs::from((0..count).map(|number| format!("{prefix}-{number}")).collect::<Vec<_>>())
}

struct Room {
    attic: Arc<Attic>,
    bench: Bench,
}

impl Room {
    fn new(plan: Arc<Plan>, workers: usize) -> Self {
        let attic = Attic::new(Arc::new(Memory::new(workers, Some(LIMITS))));
        let bench = Bench::with_resources(1, plan, attic.resources(workers), &[]);
        Self { attic, bench }
    }

    fn name(&self, ticket: &Ticket) -> String {
        self.bench.run.plan().key(ticket.task()).to_string()
    }

    /// Pins, calls and completes a task; answers what the worker goes on with.
    fn do_task(&self, worker: u32, ticket: Ticket) -> Option<Ticket> {
        let run = &self.bench.run;
        run.start(WorkerId(worker), &ticket);
        let mut pins = Pins::default();
        match poll_pins(run, &ticket, &mut pins) {
            Poll::Ready(pinned) => pinned.expect("no input is lost"),
            Poll::Pending => panic!("an input is away"),
        }
        let outcome =
            run.call(WorkerId(worker), &ticket, false, &mut pins).expect("the call is good");
        let Outcome::Ready(value) = outcome else { unreachable!("no task is asynchronous") };
        run.complete(WorkerId(worker), ticket, value).next
    }

    fn bytes(&self) -> u64 {
        self.bench.memory.ledger().holdings().bytes
    }
}

fn poll_pins(
    run: &Run,
    ticket: &Ticket,
    pins: &mut Pins,
) -> Poll<Result<(), mobula::engine::Failure>> {
    run.poll_pins(ticket, pins, &mut Context::from_waker(Waker::noop()))
}

#[test]
fn blocks_that_are_read_at_once_never_pile_up() {
    let room = Room::new(blocks(50, keys("byte", 50)), 1);
    let mut next = room.bench.next(0);
    while let Some(ticket) = next {
        next = room.do_task(0, ticket);
        assert!(room.bytes() <= BLOCK + 50 * 8, "{} bytes", room.bytes());
    }
    assert_eq!(room.bench.run.status(), Status::Done);
    assert_eq!(room.attic.calls_for_room.load(Ordering::Relaxed), 0);
}

#[test]
fn roots_are_held_back_when_there_is_no_room_and_go_on_when_there_is() {
    let room = Room::new(blocks(6, keys("block", 6)), 1);
    let mut next = room.bench.next(0);
    for number in 0..3 {
        let ticket = next.take().expect("there is room for three blocks");
        assert_eq!(room.name(&ticket), format!("block-{number}"));
        next = room.do_task(0, ticket);
    }
    // With nothing on its way to disk one runs alone, over the limit; a second one does not.
    let alone = next.expect("one always goes on");
    assert!(room.bench.next(0).is_none());
    assert_eq!(room.bench.run.held_back(), 1);
    assert!(room.attic.calls_for_room.load(Ordering::Relaxed) > 0);
    let impatient = room.bench.run.next_over_limit().expect("the one that was held back");
    assert_eq!((room.name(&impatient).as_str(), room.bench.run.held_back()), ("block-4", 0));
    room.bench.run.put_back(WorkerId(0), impatient);
    assert!(room.do_task(0, alone).is_some(), "again one goes on alone");
    assert_eq!(room.bytes(), 4 * BLOCK);

    assert_eq!(room.attic.send_away().len(), 4);
    assert_eq!(room.bytes(), 0);
}

#[test]
fn who_writes_to_disk_is_waited_for() {
    let room = Room::new(blocks(6, keys("block", 6)), 1);
    let mut next = room.bench.next(0);
    room.bench.memory.starts_leaving(1);
    for _ in 0..3 {
        next = room.do_task(0, next.expect("there is room"));
    }
    assert!(next.is_none(), "room is being made");
    assert_eq!(room.attic.send_away().len(), 3);
    let ticket = room.bench.next(0).expect("there is room again");
    assert_eq!(room.name(&ticket), "block-3");
}

#[test]
fn a_task_that_frees_memory_never_waits() {
    // All blocks are there and none can leave; the readers end them.
    let room = Room::new(blocks(3, keys("byte", 3)), 2);
    let first = room.bench.next(0).expect("a root");
    let second = room.bench.next(1).expect("a root");
    let reader = room.do_task(0, first).expect("its reader");
    let other = room.do_task(1, second).expect("its reader");
    room.bench.memory.starts_leaving(1);
    assert_eq!([room.name(&reader), room.name(&other)], ["byte-0", "byte-1"]);
    room.bench.memory.ledger().add(0, (10 * BLOCK).cast_signed());
    room.bench.memory.refresh();
    assert!(room.do_task(0, reader).is_none(), "the last root finds no room");
    room.bench.memory.ledger().add(0, -(10 * BLOCK).cast_signed());
    room.bench.memory.refresh();
    let mut next = room.do_task(1, other);
    assert!(next.is_some(), "now it does");
    while let Some(ticket) = next {
        next = room.do_task(1, ticket);
    }
    assert_eq!(room.bench.run.status(), Status::Done);
}

#[test]
fn the_room_of_a_task_is_given_back_however_it_ends() {
    let room = Room::new(blocks(8, keys("block", 8)), 2);
    let memory = Arc::clone(&room.bench.memory);
    let first = room.bench.next(0).expect("a root");
    let next = room.do_task(0, first).expect("a root");
    let second = room.do_task(0, next).expect("a root");
    assert_eq!(memory.reserved(), BLOCK);
    room.bench.run.put_back(WorkerId(0), second);
    assert_eq!(memory.reserved(), 0, "put back");
    let again = room.bench.next(0).expect("the same root");
    room.bench.run.start(WorkerId(0), &again);
    drop(again);
    let mut lost = room.bench.run.take_over(WorkerId(0)).expect("the worker was in it");
    assert_eq!(memory.reserved(), BLOCK, "it was lost with its room");
    room.bench.run.give_room_back(&mut lost);
    assert_eq!(memory.reserved(), 0, "given back");
    let third = room.bench.next(1).expect("a root");
    assert_eq!((room.name(&third).as_str(), memory.reserved()), ("block-3", BLOCK));
    drop((room, third, lost));
    assert_eq!(memory.reserved(), 0, "the run is gone");
    assert_eq!(memory.ledger().holdings().values, 0);
}

#[test]
fn inputs_that_are_away_are_waited_for() {
    let room = Room::new(blocks(1, keys("byte", 1)), 1);
    let block = room.bench.next(0).expect("a root");
    let reader = room.do_task(0, block).expect("its reader");
    assert_eq!(room.attic.send_away(), ["block-0"]);
    let mut pins = Pins::default();
    assert!(poll_pins(&room.bench.run, &reader, &mut pins).is_pending());
    room.attic.bring_back();
    assert!(matches!(poll_pins(&room.bench.run, &reader, &mut pins), Poll::Ready(Ok(()))));
    let value =
        room.bench.run.call(WorkerId(0), &reader, false, &mut pins).expect("the call is good");
    assert!(matches!(value, Outcome::Ready(value) if value.downcast_ref() == Some(&1_i64)));
}

#[test]
fn an_input_that_is_lost_is_a_failure_with_its_key() {
    let room = Room::new(blocks(1, keys("byte", 1)), 1);
    let block = room.bench.next(0).expect("a root");
    let reader = room.do_task(0, block).expect("its reader");
    room.attic.send_away();
    room.attic.lose();
    let Poll::Ready(Err(failure)) = poll_pins(&room.bench.run, &reader, &mut Pins::default())
    else {
        panic!("the input is lost")
    };
    assert_eq!(failure.to_string(), "the value of 'block-0' is lost: a moth ate it");
}

#[test]
fn results_that_are_away_are_gathered_when_they_are_back() {
    let room = Room::new(blocks(2, keys("block", 2)), 1);
    let mut next = room.bench.next(0);
    while let Some(ticket) = next {
        next = room.do_task(0, ticket);
    }
    room.attic.send_away();
    let mut gathering = room.bench.run.gather();
    let mut poll = || {
        let context = &mut Context::from_waker(Waker::noop());
        Future::poll(std::pin::Pin::new(&mut gathering), context)
    };
    assert!(poll().is_pending());
    room.attic.bring_back();
    let Poll::Ready(Ok(results)) = poll() else { panic!("everything is back") };
    let blocks: Vec<&Value> = results.values();
    assert!(blocks.iter().all(|block| block.downcast_ref::<Vec<u8>>() == Some(&self::block())));
    drop(gathering);
    assert_eq!(room.bench.memory.ledger().holdings().values, 0);
}

#[test]
fn a_value_that_only_one_task_needs_is_moved_into_it_uncopied() {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a task that takes a block by value is meant"
    )]
    fn address(block: Vec<u8>) -> usize {
        block.as_ptr().addr()
    }
    let mut graph = Graph::new();
    graph.insert("block", Task::new(Func::new(block), [] as [Arg; 0]));
    graph.insert("address", Task::new(Func::new(address), [Arg::Key(Key::from("block"))]));
    let plan = Arc::new(Plan::new(graph, "address").expect("the plan of a test is good"));
    let room = Room::new(plan, 1);
    let maker = room.bench.next(0).expect("a root");
    let reader = room.do_task(0, maker).expect("its reader");
    let pinned = room.bench.run.plan().dependencies(reader.task())[0];
    assert_eq!(pinned, TaskId(0));
    room.do_task(0, reader);
    assert_eq!(room.bytes(), 8, "the block went with its task");
}
