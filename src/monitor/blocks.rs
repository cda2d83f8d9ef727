//! [`Block`]: what a worker did for a while, for a live view: one long task, or many short ones.

use super::accounts::Account;
use crate::actors::events::{Batch, Seen};

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

/// Adds the tasks of a batch to the blocks of one worker, the last of which may go on.
pub(super) fn add(blocks: &mut Vec<Block>, account: &Account, batch: &Batch, tasks: &[Seen]) {
    let (from, to) = (batch.from.as_secs_f64(), batch.to.as_secs_f64());
    #[expect(clippy::cast_precision_loss, reason = "there are at most some thousands")]
    let each = (to - from) / tasks.len().max(1) as f64;
    let mut start = from;
    for (task, _) in tasks {
        let end = start + each;
        let prefix = account.prefix_of.get(task.index()).copied().unwrap_or(0);
        let goes_on = blocks.last().is_some_and(|last| {
            last.run == batch.run.0
                && last.worker == batch.worker.0
                && last.prefix == prefix
                && last.failed == batch.failed
                && each < LONG
                && (last.to - last.from) / f64::from(last.tasks.max(1)) < LONG
                && start - last.to < PAUSE
        });
        let has_room = blocks.len() < MOST;
        match blocks.last_mut().filter(|_| goes_on) {
            Some(last) => {
                last.to = end;
                last.tasks += 1;
            }
            None if !has_room => {}
            None => blocks.push(Block {
                run: batch.run.0,
                worker: batch.worker.0,
                prefix,
                from: start,
                to: end,
                tasks: 1,
                key: account
                    .plan
                    .as_ref()
                    .map(|plan| plan.key(*task).to_string())
                    .unwrap_or_default(),
                failed: batch.failed,
            }),
        }
        start = end;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::{Account, Batch, Block, MOST, add};
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
            let seen: Vec<(TaskId, u64)> = tasks.clone().map(|task| (TaskId(task), 8)).collect();
            let batch = Batch {
                run: RunId(7),
                worker: WorkerId(2),
                from: Duration::from_micros(*from),
                to: Duration::from_micros(*to),
                tasks: seen.len(),
                failed: *failed,
            };
            add(&mut blocks, account, &batch, &seen);
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
