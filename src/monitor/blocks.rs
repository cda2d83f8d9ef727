//! [`Block`]: what a worker did for a while, for a live view: one long task, or many short ones.

use std::time::Duration;

use super::accounts::Account;
use crate::actors::events::{Batch, Stretch};
use crate::engine::TaskId;
use crate::graph::Prefixes;

/// What a worker did for a while.
///
/// Tasks of less than a millisecond that follow each other in one worker, with one key prefix, share a block.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Block {
    /// The run.
    pub run: u64,
    /// The worker.
    pub worker: u32,
    /// The key prefix, by its number in the run; see [`PrefixSnapshot::place`](super::PrefixSnapshot::place).
    pub prefix: u32,
    /// When it began, in seconds since the start of the cluster.
    pub from: f64,
    /// When it ended.
    pub to: f64,
    /// How many tasks it stands for.
    pub tasks: u32,
    /// The key of the first one, as text; empty if it is not known any more.
    pub key: String,
    /// True if it is an attempt that failed.
    pub failed: bool,
}

/// Tasks that take longer have a block of their own, in seconds.
const LONG: f64 = 0.001;

/// A pause that ends a block, in seconds.
const PAUSE: f64 = 0.000_2;

/// So many blocks are made of what came at once; what is beyond them is not shown.
const MOST: usize = 4_096;

/// Tasks of a batch that follow each other, with one prefix.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) first: TaskId,
    pub(super) tasks: u32,
    pub(super) prefix: u32,
    /// The bytes of all their values.
    pub(super) bytes: u64,
    /// When the first one began.
    pub(super) from: Duration,
    /// How long each of them took.
    pub(super) each: Duration,
}

/// Shows the pieces that tasks of a batch make which took so long each. A piece of long tasks is of one task.
pub(super) fn pieces(
    groups: &Prefixes,
    from: Duration,
    each: Duration,
    seen: &[Stretch],
    mut show: impl FnMut(Piece),
) {
    let is_long = each.as_secs_f64() >= LONG;
    let mut piece: Option<Piece> = None;
    let mut from = from;
    for &Stretch { mut first, mut count, bytes } in seen {
        while count > 0 {
            let tasks = if is_long { 1 } else { groups.alike(first, count) };
            let (prefix, bytes) = (groups.place(first), bytes.saturating_mul(u64::from(tasks)));
            if let Some(last) = piece.as_mut().filter(|last| !is_long && last.prefix == prefix) {
                last.tasks += tasks;
                last.bytes = last.bytes.saturating_add(bytes);
            } else {
                if let Some(last) = piece.take() {
                    from += each * last.tasks;
                    show(last);
                }
                piece = Some(Piece { first, tasks, prefix, bytes, from, each });
            }
            first = TaskId(first.0 + tasks);
            count -= tasks;
        }
    }
    piece.into_iter().for_each(show);
}

/// Adds tasks of a batch to the blocks of one worker, the last of which may go on.
pub(super) fn add(blocks: &mut Vec<Block>, account: &Account, batch: &Batch, piece: Piece) {
    let (from, each) = (piece.from.as_secs_f64(), piece.each.as_secs_f64());
    let last = blocks.last_mut().filter(|last| {
        last.run == batch.run.0
            && last.worker == batch.worker.0
            && last.prefix == piece.prefix
            && last.failed == batch.failed
            && each < LONG
            && (last.to - last.from) / f64::from(last.tasks.max(1)) < LONG
            && from - last.to < PAUSE
    });
    if let Some(last) = last {
        last.to = from + each * f64::from(piece.tasks);
        last.tasks += piece.tasks;
        return;
    }
    if blocks.len() < MOST {
        let key = account.plan.as_ref().map(|plan| plan.key(piece.first).to_string());
        blocks.push(Block {
            run: batch.run.0,
            worker: batch.worker.0,
            prefix: piece.prefix,
            from,
            to: from + each * f64::from(piece.tasks),
            tasks: piece.tasks,
            key: key.unwrap_or_default(),
            failed: batch.failed,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::{Account, Batch, Block, MOST, Stretch, add, pieces};
    use crate::engine::{Memory, Resources, Run, RunId, TaskId, WorkerId};
    use crate::graph::{Graph, Key, Plan};

    /// A run with so many tasks x, and so many y behind them.
    fn account(x: u32, y: u32) -> Account {
        let mut graph = Graph::new();
        let keys = |name, count| (0..count).map(move |number| Key::from((name, number)));
        let keys: Vec<Key> = keys("x", x).chain(keys("y", y)).collect();
        for key in &keys {
            graph.insert(key.clone(), (|one: i64| one, 1_i64));
        }
        let plan = Arc::new(Plan::new(graph, keys).expect("the graph is right"));
        let resources =
            Resources { workers: 1, memory: Arc::new(Memory::new(1, None)), keeper: None };
        let tally = Run::new(RunId(7), Arc::clone(&plan), &resources, Vec::new()).tally();
        Account::new(RunId(7), Duration::ZERO, plan, tally, None, true)
    }

    /// The blocks of batches: from and to in microseconds, the tasks, whether it failed.
    fn blocks(account: &Account, batches: &[(u64, u64, std::ops::Range<u32>, bool)]) -> Vec<Block> {
        let mut blocks = Vec::new();
        for (from, to, tasks, failed) in batches {
            let count = u32::try_from(tasks.len()).expect("it is small");
            let batch = Batch {
                run: RunId(7),
                worker: WorkerId(2),
                from: Duration::from_micros(*from),
                to: Duration::from_micros(*to),
                stretches: 1,
                tasks: count,
                failed: *failed,
            };
            let each = batch.to.saturating_sub(batch.from) / count;
            let seen = [Stretch { first: TaskId(tasks.start), count, bytes: 8 }];
            let show = |piece| add(&mut blocks, account, &batch, piece);
            pieces(&account.groups, batch.from, each, &seen, show);
        }
        blocks
    }

    /// How many tasks each stands for, and the microseconds from which and to which it goes.
    fn told(blocks: &[Block]) -> Vec<(u32, [u128; 2])> {
        let micros = |seconds| (Duration::from_secs_f64(seconds).as_nanos() + 500) / 1000;
        blocks.iter().map(|block| (block.tasks, [block.from, block.to].map(micros))).collect()
    }

    #[test]
    fn short_tasks_share_a_block_and_none_is_left_out() {
        let account = account(3000, 0);
        let batch = |number: u32| {
            let from = u64::from(number) * 110;
            (from, from + 100, number * 100..number * 100 + 100, false)
        };
        let batches: Vec<_> = (0..30).map(batch).collect();
        let blocks = blocks(&account, &batches);
        assert_eq!(told(&blocks), [(3000, [0, 3290])]);
        let [block] = &blocks[..] else { panic!("there is one") };
        assert_eq!((block.run, block.worker, block.key.as_str()), (7, 2, "('x', 0)"));
    }

    #[test]
    fn stretches_of_one_prefix_are_one_piece_with_all_their_bytes() {
        let account = account(4, 2);
        let stretch = |first, count, bytes| Stretch { first: TaskId(first), count, bytes };
        let seen = [stretch(0, 1, 8), stretch(2, 4, 16), stretch(1, 1, 0)];
        let told = |each| -> Vec<(u32, u32, u64, u128)> {
            let mut told = Vec::new();
            pieces(&account.groups, Duration::from_secs(1), each, &seen, |piece| {
                told.push((piece.first.0, piece.tasks, piece.bytes, piece.from.as_micros()));
            });
            told
        };
        let short = told(Duration::from_micros(1));
        assert_eq!(short, [(0, 3, 40, 1_000_000), (4, 2, 32, 1_000_003), (1, 1, 0, 1_000_005)]);
        let long = told(Duration::from_millis(1));
        let wanted = [(0, 8), (2, 16), (3, 16), (4, 16), (5, 16), (1, 0)];
        assert!(long.iter().map(|(first, _, bytes, _)| (*first, *bytes)).eq(wanted));
        assert!(long.iter().all(|(_, tasks, ..)| *tasks == 1));
    }

    #[test]
    fn long_tasks_failures_pauses_and_prefixes_begin_blocks() {
        let account = account(9, 1);
        let batches = [
            (0, 100, 0..2, false),
            (100, 4100, 2..4, false),  // Two of two milliseconds.
            (4100, 4200, 4..5, false), // A short one behind a long one.
            (4200, 4300, 5..6, true),  // It failed.
            (4300, 4400, 6..7, false),
            (4900, 5000, 7..9, false),  // A pause is before them.
            (5000, 5100, 9..10, false), // The other prefix.
        ];
        let blocks = blocks(&account, &batches);
        let wanted = [
            (2, [0, 100]),
            (1, [100, 2100]),
            (1, [2100, 4100]),
            (1, [4100, 4200]),
            (1, [4200, 4300]),
            (1, [4300, 4400]),
            (2, [4900, 5000]),
            (1, [5000, 5100]),
        ];
        assert_eq!(told(&blocks), wanted);
        let failed: Vec<bool> = blocks.iter().map(|block| block.failed).collect();
        assert_eq!(failed.iter().filter(|failed| **failed).count(), 1);
        assert!(failed[4]);
        assert_eq!(blocks.last().map(|block| block.prefix), Some(1));
    }

    #[test]
    fn what_is_beyond_the_room_is_left_out() {
        let most = u32::try_from(MOST).expect("it is small");
        let account = account(most + 10, 0);
        let long = u64::from(most + 10) * 2000;
        assert_eq!(blocks(&account, &[(0, long, 0..most + 10, false)]).len(), MOST);
    }
}
