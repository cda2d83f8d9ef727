//! [`Server`]: the main thread of a child, which does one thing after the other.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::super::wire::{Call, Done, End, Failed, ToParent, WireError};
use super::super::{Log, SegmentId, Segments};
use super::queue::{Greeting, Item, Queue, Step, Waiting};
use super::{Calls, Desk, Served, Shared, Unanswered, lock, now};

/// How long the parent may take, at the end, to read what was said.
const PATIENCE: Duration = Duration::from_secs(5);

thread_local! {
    /// The server whose main thread this is.
    static CURRENT: RefCell<Option<Rc<Server>>> = const { RefCell::new(None) };
}

pub(super) struct Server {
    shared: Arc<Shared>,
    calls: Rc<dyn Calls>,
    desk: Desk,
    /// There is none before the greeting.
    log: RefCell<Option<Log>>,
    /// What stands in the log.
    noted: Cell<Option<u64>>,
}

impl Server {
    pub(super) fn new(shared: Arc<Shared>, calls: Rc<dyn Calls>) -> Rc<Self> {
        let desk = Desk::new(Arc::clone(&shared));
        Rc::new(Self { shared, calls, desk, log: RefCell::new(None), noted: Cell::new(None) })
    }

    /// The server of this thread, if it is the main thread of that child, and is in a call.
    pub(super) fn of_this_thread(shared: &Arc<Shared>) -> Option<Rc<Self>> {
        let server = CURRENT.with_borrow(Clone::clone)?;
        let is_here = Arc::ptr_eq(&server.shared, shared);
        (is_here && lock(&shared.queue).current().is_some()).then_some(server)
    }

    /// Works until the end; `None` if the parent is gone.
    pub(super) fn run(self: Rc<Self>) -> Option<Served> {
        /// A panic of the program's must not leave the server behind.
        struct Leave;
        impl Drop for Leave {
            fn drop(&mut self) {
                CURRENT.set(None);
            }
        }
        CURRENT.set(Some(Rc::clone(&self)));
        let _leave = Leave;
        let served = self.work();
        if served.is_some() {
            self.calls.waiting(&mut || {
                if !self.shared.outbox.drain(PATIENCE, now()) {
                    log::warn!("the parent has not read all that this process had to say");
                }
            });
        }
        served
    }

    fn work(&self) -> Option<Served> {
        loop {
            let mut queue = lock(&self.shared.queue);
            match queue.state() {
                Waiting::Closed => return None,
                Waiting::Stopped => {
                    let left = queue.recall(0);
                    drop(queue);
                    self.note(None);
                    self.give_back(left);
                    return Some(Served::Stopped);
                }
                Waiting::GoesOn | Waiting::Interrupt => {}
            }
            let step = queue.next();
            drop(queue);
            if !matches!(step, Some(Step::Make(_))) {
                self.note(None);
            }
            match step {
                Some(Step::Do(Item::Greet(greeting))) => {
                    if let Err(reason) = self.greet(greeting) {
                        self.say(&ToParent::Refused { reason: reason.clone() });
                        return Some(Served::Refused(reason));
                    }
                    self.say(&ToParent::Ready);
                }
                Some(step) => self.take(step),
                None => self.wait(|queue| queue.state() == Waiting::GoesOn),
            }
        }
    }

    /// Waits for something to do, as long as `goes_on` says so. Sends what there is to say before.
    fn wait(&self, goes_on: impl Fn(&Queue) -> bool) {
        self.shared.outbox.send(now());
        self.calls.waiting(&mut || {
            let waits = |queue: &mut Queue| queue.is_empty() && goes_on(queue);
            let waited = self.shared.changed.wait_while(lock(&self.shared.queue), waits);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        });
    }

    fn take(&self, step: Step) {
        match step {
            Step::Make(call) => self.make(&call),
            Step::NotMade(number) => {
                let last = lock(&self.shared.queue).is_empty();
                self.done(number, Duration::ZERO, End::NotMade, last, now());
            }
            Step::GiveBack(number) => self.give_back(vec![number]),
            Step::Do(item) => self.do_item(item),
        }
    }

    fn do_item(&self, item: Item) {
        match item {
            Item::Define { run, definitions } => {
                for definition in definitions {
                    self.calls.define(run, definition);
                }
            }
            Item::ForgetRun(run) => self.calls.forget_run(run),
            Item::Release(values) => {
                for value in values {
                    self.calls.release(value);
                }
            }
            Item::Reuse(segments) => self.reuse(segments),
            Item::Forget(segments) => {
                let forget = |segment: SegmentId| (segment, self.forget(segment));
                let segments = segments.into_iter().map(forget).collect();
                self.say(&ToParent::Forgotten { segments });
            }
            // The reader lets one pass, as the very first; calls come as steps of their own.
            Item::Greet(_) | Item::Call(_) => {}
        }
    }

    /// The program may have what it shows of a segment even where this side has told of it anew.
    fn forget(&self, segment: SegmentId) -> bool {
        self.shared.rooms.forget(segment) && self.calls.forget_segment(segment)
    }

    /// Uses segments for other values, but none that the program still shows somebody.
    fn reuse(&self, mut segments: Vec<SegmentId>) {
        segments.retain(|&segment| {
            let is_free = self.calls.forget_segment(segment);
            if is_free {
                self.shared.rooms.reuse(segment);
            } else {
                self.shared.rooms.forget(segment);
            }
            !is_free
        });
        if !segments.is_empty() {
            let segments = segments.into_iter().map(|segment| (segment, false)).collect();
            self.say(&ToParent::Forgotten { segments });
        }
    }

    fn greet(&self, greeting: Greeting) -> Result<(), String> {
        let Greeting { number, media, words, log } = greeting;
        log.ends().map_err(|error| format!("the log of calls cannot be written: {error}"))?;
        self.log.replace(Some(log));
        self.shared.rooms.open(Segments::new(number, media));
        let greet = AssertUnwindSafe(|| self.calls.greet(&words, &self.desk));
        catch_unwind(greet).unwrap_or_else(|panic| Err(text_of(panic.as_ref())))
    }

    /// Makes a call, and tells its end.
    fn make(&self, call: &Call) {
        self.note(Some(call.number));
        let began = now();
        let make = AssertUnwindSafe(|| self.calls.call(call, &self.desk));
        let end = catch_unwind(make).unwrap_or_else(|panic| {
            End::Failed(Failed::Misfit(format!("it panicked: {}", text_of(panic.as_ref()))))
        });
        let ended = now();
        let succeeded = match end {
            End::Value { .. } | End::Stayed { .. } => true,
            End::Failed(_) | End::NotMade => false,
        };
        let mut queue = lock(&self.shared.queue);
        if queue.ended() {
            // The call may have ended just before it was interrupted. From here on nothing is, so what is
            // still under way is for this call, and must not reach what comes next.
            drop(queue);
            self.calls.clear_interrupt();
            queue = lock(&self.shared.queue);
        }
        queue.left(succeeded);
        let (outer, last) = (queue.current(), queue.is_empty());
        drop(queue);
        // If more is to be done, whatever that is says what stands in the log next: half of the writes.
        if last || outer.is_some() {
            self.note(outer);
        }
        self.done(call.number, ended.saturating_duration_since(began), end, last, ended);
    }

    fn done(&self, number: u64, elapsed: Duration, end: End, last: bool, now: Instant) {
        let elapsed = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        self.shared.outbox.done(Done { number, elapsed, end }, last, now);
    }

    /// Writes down the call that this thread is in from now on.
    fn note(&self, call: Option<u64>) {
        if self.noted.replace(call) == call {
            return;
        }
        let log = self.log.borrow();
        let Some(log) = &*log else { return };
        let noted = call.map_or_else(|| log.ends(), |number| log.begins(number));
        if let Err(error) = noted {
            log::debug!("the log of calls cannot be written: {error}");
        }
    }

    fn give_back(&self, calls: Vec<u64>) {
        if !calls.is_empty() {
            self.say(&ToParent::Returned { calls });
        }
    }

    /// Tells the parent something. If it is gone, the reader's thread sees to that.
    fn say(&self, message: &ToParent) {
        if let Err(error @ WireError::TooLarge(_)) = self.shared.outbox.say(message, now()) {
            log::error!("{error}");
        }
    }

    /// Asks the parent something for the innermost call, and makes the calls that come until it answers.
    pub(super) fn ask(&self, payload: Bytes) -> Result<Bytes, Unanswered> {
        let mut queue = lock(&self.shared.queue);
        match queue.state() {
            Waiting::Closed => return Err(Unanswered::Closed),
            Waiting::Stopped => return Err(Unanswered::Stopped),
            Waiting::GoesOn | Waiting::Interrupt => {}
        }
        if queue.tell_of_interrupt() {
            return Err(Unanswered::NotAsked);
        }
        let call = queue.current();
        let question = queue.ask();
        let others = queue.wait();
        drop(queue);
        self.give_back(others);
        let answer = match self.shared.outbox.say(&ToParent::Ask { question, call, payload }, now())
        {
            Err(WireError::TooLarge(why)) => Err(Unanswered::TooLarge(why)),
            Ok(()) | Err(_) => self.wait_for_answer(question),
        };
        lock(&self.shared.queue).waited(question);
        answer
    }

    fn wait_for_answer(&self, question: u64) -> Result<Bytes, Unanswered> {
        loop {
            let mut queue = lock(&self.shared.queue);
            if let Some(answer) = queue.take_answer(question) {
                return Ok(answer);
            }
            match queue.state_of_waiting() {
                Waiting::Closed => return Err(Unanswered::Closed),
                Waiting::Stopped => return Err(Unanswered::Stopped),
                Waiting::Interrupt => {
                    queue.interrupt_waiting();
                    (self.shared.interrupt)();
                    return Err(Unanswered::Interrupted);
                }
                Waiting::GoesOn => {}
            }
            let step = queue.next();
            drop(queue);
            match step {
                Some(step) => self.take(step),
                None => self.wait(|queue| {
                    !queue.has_answer(question) && queue.state_of_waiting() == Waiting::GoesOn
                }),
            }
        }
    }
}

/// What a panic says.
fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "what is no text".to_owned())
}
