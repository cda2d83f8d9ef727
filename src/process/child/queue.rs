//! [`Queue`]: what the parent has asked for and was not done yet, which calls the main thread is in, and what
//! became of calls that others come after. Knows no thread and no socket: both threads of a child change it,
//! under one lock, and do outside of it what it says.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bytes::Bytes;

use super::super::wire::{Call, Definition};
use super::super::{Log, Medium, SegmentId};

/// Of how many calls that were not made, or failed, the child knows that. A call behind one of them was sent
/// before the parent heard of it, so this must be more than are ever on their way.
pub(super) const REMEMBERED: usize = 1 << 16;

/// What the main thread does in the order in which it came.
#[derive(Debug)]
pub(super) enum Item {
    Greet(Greeting),
    Call(Call),
    Define { run: u64, definitions: Vec<Definition> },
    ForgetRun(u64),
    Forget(Vec<SegmentId>),
    Reuse(Vec<SegmentId>),
    Release(Vec<u64>),
}

/// What the first message brings.
#[derive(Debug)]
pub(super) struct Greeting {
    pub(super) number: u32,
    pub(super) media: Vec<Medium>,
    pub(super) words: Bytes,
    pub(super) log: Log,
}

/// What the main thread has to do next.
#[derive(Debug)]
pub(super) enum Step {
    /// Make the call: it counts as being made from now on.
    Make(Call),
    /// Tell the parent that this call is not made, because the one before it was not, or failed.
    NotMade(u64),
    /// Give this call back: the one before it was given back, or is still being made.
    GiveBack(u64),
    /// Anything but a call.
    Do(Item),
}

/// A call that the main thread is in.
#[derive(Debug)]
struct Making {
    number: u64,
    run: u64,
    phase: Phase,
    /// Its run was cancelled since it began.
    cancelled: bool,
    /// The program was interrupted because of it: once at most.
    interrupted: bool,
    /// The call has asked something since, and heard of that.
    told: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It runs; an interrupt reaches it.
    Runs,
    /// It reads what it needs, which must not be broken off half-way; an interrupt reaches it behind that.
    Reads,
    /// It waits for an answer; whoever waits for it looks for itself whether it was cancelled.
    Waits,
    /// It has ended; what would interrupt it now would reach another call.
    Ended,
}

/// Why a call that another one comes after was not made with success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unmade {
    Failed,
    GivenBack,
}

/// Why a question is not asked, or not waited for any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// Nothing has happened.
    GoesOn,
    /// The call is to be interrupted now.
    Interrupt,
    /// The child is to end.
    Stopped,
    /// The parent is gone.
    Closed,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    items: VecDeque<Item>,
    /// The calls that the main thread is in, the innermost one last.
    making: Vec<Making>,
    unmade: HashMap<u64, Unmade>,
    /// The keys of `unmade`, oldest first.
    unmade_order: VecDeque<u64>,
    /// By number, the questions that somebody waits for, and the answers that have come.
    questions: BTreeMap<u64, Option<Bytes>>,
    last_question: u64,
    /// The parent said that the child is to end.
    pub(super) stopping: bool,
    /// Nothing comes from the parent any more.
    pub(super) closed: bool,
    /// The main thread does nothing more: the reader's thread ends.
    pub(super) finished: bool,
}

impl Queue {
    pub(super) fn add(&mut self, item: Item) {
        self.items.push_back(item);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The innermost call.
    pub(super) fn current(&self) -> Option<u64> {
        self.making.last().map(|making| making.number)
    }

    /// Takes the next item; a call that is to be made is being made from now on.
    pub(super) fn next(&mut self) -> Option<Step> {
        let call = match self.items.pop_front()? {
            Item::Call(call) => call,
            item @ (Item::Greet(_)
            | Item::Define { .. }
            | Item::ForgetRun(_)
            | Item::Forget(_)
            | Item::Reuse(_)
            | Item::Release(_)) => return Some(Step::Do(item)),
        };
        let number = call.number;
        if let Some(after) = call.after {
            match self.unmade.get(&after) {
                Some(Unmade::Failed) => {
                    self.remember(number, Unmade::Failed);
                    return Some(Step::NotMade(number));
                }
                Some(Unmade::GivenBack) => {
                    self.remember(number, Unmade::GivenBack);
                    return Some(Step::GiveBack(number));
                }
                None => {}
            }
            if self.making.iter().any(|making| making.number == after) {
                self.remember(number, Unmade::GivenBack);
                return Some(Step::GiveBack(number));
            }
        }
        self.making.push(Making {
            number,
            run: call.run,
            phase: Phase::Runs,
            cancelled: false,
            interrupted: false,
            told: false,
        });
        Some(Step::Make(call))
    }

    /// The innermost call reads from now on; false if it does not run.
    pub(super) fn reads(&mut self) -> bool {
        let runs = self.making.last_mut().filter(|making| making.phase == Phase::Runs);
        runs.map(|making| making.phase = Phase::Reads).is_some()
    }

    /// The innermost call has read what it needs. True if it is to be interrupted now, because its run was
    /// cancelled meanwhile.
    pub(super) fn has_read(&mut self) -> bool {
        self.making.last_mut().is_some_and(|making| {
            if making.phase == Phase::Reads {
                making.phase = Phase::Runs;
            }
            let interrupt = making.cancelled && !making.interrupted;
            making.interrupted |= interrupt;
            interrupt
        })
    }

    /// The innermost call has ended; nothing interrupts it any more. True if something has: then the program
    /// is to get rid of an interrupt that came too late, before [`left`](Self::left) is called.
    pub(super) fn ended(&mut self) -> bool {
        let Some(making) = self.making.last_mut() else { return false };
        making.phase = Phase::Ended;
        making.interrupted
    }

    /// The main thread leaves the innermost call.
    pub(super) fn left(&mut self, succeeded: bool) {
        if let Some(making) = self.making.pop()
            && !succeeded
        {
            self.remember(making.number, Unmade::Failed);
        }
    }

    /// Takes calls out until at most so many are left, the last ones first.
    pub(super) fn recall(&mut self, keep: usize) -> Vec<u64> {
        let mut seen = 0;
        let mut taken = self.take_calls(|_| {
            seen += 1;
            seen > keep
        });
        taken.reverse();
        taken
    }

    /// Takes the calls of a run out. True if the call that runs belongs to it, and is to be interrupted.
    pub(super) fn cancel(&mut self, run: u64) -> (Vec<u64>, bool) {
        let taken = self.take_calls(|call| call.run == run);
        for making in &mut self.making {
            making.cancelled |= making.run == run;
        }
        let interrupt = self.making.last_mut().is_some_and(|making| {
            let interrupt = making.run == run && making.phase == Phase::Runs && !making.interrupted;
            making.interrupted |= interrupt;
            interrupt
        });
        (taken, interrupt)
    }

    fn take_calls(&mut self, mut is_taken: impl FnMut(&Call) -> bool) -> Vec<u64> {
        let mut taken = Vec::new();
        self.items.retain(|item| match item {
            Item::Call(call) if is_taken(call) => {
                taken.push(call.number);
                false
            }
            Item::Call(_)
            | Item::Greet(_)
            | Item::Define { .. }
            | Item::ForgetRun(_)
            | Item::Forget(_)
            | Item::Reuse(_)
            | Item::Release(_) => true,
        });
        for &number in &taken {
            self.remember(number, Unmade::GivenBack);
        }
        taken
    }

    fn remember(&mut self, number: u64, unmade: Unmade) {
        if self.unmade.insert(number, unmade).is_none() {
            self.unmade_order.push_back(number);
        }
        if self.unmade_order.len() > REMEMBERED
            && let Some(oldest) = self.unmade_order.pop_front()
        {
            self.unmade.remove(&oldest);
        }
    }

    /// True if the innermost call was interrupted and has not heard of that from a question. The program may
    /// have noticed or not: who asks has to look before it waits. To be said once.
    pub(super) fn tell_of_interrupt(&mut self) -> bool {
        self.making.last_mut().is_some_and(|making| {
            let tell = making.interrupted && !making.told;
            making.told |= tell;
            tell
        })
    }

    /// A new question.
    pub(super) fn ask(&mut self) -> u64 {
        self.last_question += 1;
        self.questions.insert(self.last_question, None);
        self.last_question
    }

    /// The innermost call waits for the answer to a question from now on; takes all other calls out.
    pub(super) fn wait(&mut self) -> Vec<u64> {
        if let Some(making) = self.making.last_mut() {
            making.phase = Phase::Waits;
        }
        self.recall(0)
    }

    /// Nobody waits for a question any more that another thread than the main thread has asked.
    pub(super) fn waited_aside(&mut self, question: u64) {
        self.questions.remove(&question);
    }

    /// The innermost call waits for the question no longer.
    pub(super) fn waited(&mut self, question: u64) {
        self.questions.remove(&question);
        if let Some(making) = self.making.last_mut()
            && making.phase == Phase::Waits
        {
            making.phase = Phase::Runs;
        }
    }

    /// Takes an answer in; one that nobody waits for is dropped.
    pub(super) fn answer(&mut self, question: u64, payload: Bytes) {
        if let Some(answer) = self.questions.get_mut(&question) {
            *answer = Some(payload);
        }
    }

    /// The answer, if it has come.
    pub(super) fn take_answer(&mut self, question: u64) -> Option<Bytes> {
        self.questions.get_mut(&question)?.take()
    }

    /// True if the answer has come.
    pub(super) fn has_answer(&self, question: u64) -> bool {
        self.questions.get(&question).is_some_and(Option::is_some)
    }

    /// Whether the child goes on as far as one is concerned that waits on a thread of its own.
    pub(super) fn state(&self) -> Waiting {
        // A parent that has said that it is enough may have gone since.
        match (self.stopping, self.closed) {
            (true, _) => Waiting::Stopped,
            (false, true) => Waiting::Closed,
            (false, false) => Waiting::GoesOn,
        }
    }

    /// Whether the innermost call, which waits, goes on waiting.
    pub(super) fn state_of_waiting(&self) -> Waiting {
        let cancelled =
            self.making.last().is_some_and(|making| making.cancelled && !making.interrupted);
        let state = self.state();
        if state == Waiting::GoesOn && cancelled { Waiting::Interrupt } else { state }
    }

    /// The innermost call, which waits, is interrupted and hears of it.
    pub(super) fn interrupt_waiting(&mut self) {
        if let Some(making) = self.making.last_mut() {
            making.interrupted = true;
            making.told = true;
        }
    }
}
