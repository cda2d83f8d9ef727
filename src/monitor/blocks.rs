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
