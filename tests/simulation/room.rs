//! [`Room`]: the account that the laws keep of bounded memory.
//!
//! What a task is promised must fit beside what is held and what others were promised. The laws say so
//! of the moment in which the task starts, which is the only one at which the engine has a choice: what
//! a task makes then, and what has to come back for it, cannot be helped. So the store goes over its
//! pause level for these reasons only: a task made more than those before it with such keys (the first
//! ones among them, of which nothing was known), a task ran alone, or values had to come back.

use std::collections::BTreeMap;

use mobula::TaskId;
use mobula::engine::{Memory, Run, RunId, WorkerId};

use crate::history::Counts;
use crate::keeper::PretendKeeper;
use crate::sheet::Sheet;

/// The account of what tasks were promised.
#[derive(Debug, Default)]
pub(crate) struct Room {
    /// By task that is in somebody's hands.
    promised: BTreeMap<(RunId, TaskId), u64>,
    /// By task that a worker is in and that did not have to ask: what was expected of it.
    unasked: BTreeMap<(RunId, TaskId), u64>,
    /// By run that is over: what the tickets had that were dropped.
    dropped: BTreeMap<RunId, u64>,
}

/// How a task came to be started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admission<'a> {
    pub(crate) memory: &'a Memory,
    pub(crate) keeper: &'a PretendKeeper,
    /// True if tasks had to ask for room when its ticket was given.
    pub(crate) asked: bool,
}

impl Room {
    fn sum(&self) -> u64 {
        self.promised.values().chain(self.dropped.values()).sum()
    }

    /// A task has just started.
    pub(crate) fn started(
        &mut self,
        worker: WorkerId,
        run: &Run,
        task: TaskId,
        sheet: &Sheet,
        admission: Admission<'_>,
        counts: &mut Counts,
    ) {
        let Admission { memory, keeper, asked } = admission;
        let room = run.reserved_by(worker);
        let others = self.sum();
        if room > 0 {
            let before = self.promised.insert((run.id(), task), room);
            assert_eq!(before, None, "law: a task is promised room once ({task:?})");
        }
        let made = memory.expected(&run.plan().key(task).prefix());
        let adds = made.saturating_sub(sheet.ends_with(task));
        if room == 0 {
            let is_free = !asked || adds == 0;
            assert!(is_free, "law: what adds to memory asks for room when it is tight ({task:?})");
            self.starts_unasked(run, task, adds, admission);
            return;
        }
        counts.admitted += 1;
        let pages = adds.next_multiple_of(PAGE);
        assert_eq!(room, pages, "law: room is given for just what a task will add ({task:?})");
        let pause = memory.limits().map_or(u64::MAX, |limits| limits.pause);
        let most = memory.ledger().holdings().bytes + others + room;
        if most > pause {
            counts.ran_alone += 1;
            let is_alone = others == 0 && memory.leaving() == 0 && !keeper.is_pressed();
            assert!(
                is_alone,
                "law: no store is promised more than its pause level but to one that is alone \
                 ({task:?}: {most} of {pause} bytes, {others} promised to others)"
            );
        }
    }

    /// Who need not ask must fit, too, as far as anybody knew.
    fn starts_unasked(&mut self, run: &Run, task: TaskId, adds: u64, admission: Admission<'_>) {
        let Admission { memory, keeper, .. } = admission;
        let expected = self.sum() + self.unasked.values().sum::<u64>() + adds;
        self.unasked.insert((run.id(), task), adds);
        let pause = memory.limits().map_or(u64::MAX, |limits| limits.pause);
        let most = keeper.here() + expected;
        let fits = adds == 0 || most <= pause;
        assert!(fits, "law: tasks ask for room as soon as it may not do ({most} of {pause} bytes)");
    }

    /// A task is not with its worker any more.
    pub(crate) fn left(&mut self, run: RunId, task: TaskId) {
        self.unasked.remove(&(run, task));
    }

    /// A task has ended, or does not go on for now.
    pub(crate) fn given_back(&mut self, run: RunId, task: TaskId) {
        self.promised.remove(&(run, task));
    }

    /// The ticket of a run that is over was dropped.
    pub(crate) fn dropped(&mut self, run: RunId, memory: &Memory) {
        let more = memory.reserved().saturating_sub(self.sum());
        *self.dropped.entry(run).or_default() += more;
    }

    /// Nobody has a run in hand any more.
    pub(crate) fn run_is_gone(&mut self, run: RunId) {
        self.dropped.remove(&run);
        self.promised.retain(|(other, _), _| *other != run);
        self.unasked.retain(|(other, _), _| *other != run);
    }

    /// Compares what the engine says is promised with the account.
    pub(crate) fn holds(&self, memory: &Memory, keeper: Option<&PretendKeeper>) {
        assert_eq!(
            memory.reserved(),
            self.sum(),
            "law: room is promised to tasks that somebody is in, and to nobody else"
        );
        let (Some(limits), Some(keeper)) = (memory.limits(), keeper) else { return };
        let is_seen = memory.is_tight() || keeper.here() < limits.target;
        assert!(is_seen, "law: what is held is looked at when large values come");
    }

    /// The world is over.
    pub(crate) fn at_the_end(&self, memory: &Memory, keeper: &PretendKeeper) {
        let nobody = (memory.reserved(), self.unasked.len());
        assert_eq!(nobody, (0, 0), "law: at the end no room is promised");
        assert_eq!(memory.leaving(), 0, "law: at the end nothing is on its way to disk");
        assert_eq!(memory.ledger().holdings().bytes, 0, "law: at the end nothing is held");
        assert!(keeper.parcels().is_empty(), "law: at the end the keeper has nothing left");
    }
}

/// Room is given in pages.
const PAGE: u64 = 4096;
