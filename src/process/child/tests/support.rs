//! [`Parent`], which a test plays, and [`Script`], a program whose calls do what their payload says.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver as Events, Sender as Told};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;

use super::super::super::wire::{
    Call, Definition, Done, End, Failed, Keep, Packed, Received, Receiver, Sender, ToChild,
    ToParent, WireError, pair, split,
};
use super::super::super::{Log, Medium, Part, Place, SegmentId};
use super::super::{Calls, Desk, Served, Setting, Unanswered, lock, serve};

/// Nothing takes that long but a test that fails.
pub(super) const LONG: Duration = Duration::from_secs(20);

/// What the program and the test share.
#[derive(Debug, Default)]
pub(super) struct World {
    state: Mutex<State>,
    changed: Condvar,
    pub(super) interrupts: AtomicUsize,
    /// The end of the last call swallowed an interrupt that nobody had noticed.
    pub(super) swallowed: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    /// How many calls that hold may go on.
    released: usize,
    /// An interrupt that no call has noticed.
    pending: bool,
}

impl World {
    /// Lets one call go on that holds.
    pub(super) fn release(&self) {
        lock(&self.state).released += 1;
        self.changed.notify_all();
    }

    fn interrupt(&self) {
        lock(&self.state).pending = true;
        self.interrupts.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_all();
    }

    fn notice(&self) -> bool {
        std::mem::take(&mut lock(&self.state).pending)
    }

    /// Waits for the test; true if an interrupt came instead, which is only looked for if so wanted.
    fn hold(&self, heeds: bool) -> bool {
        let waits = |state: &mut State| state.released == 0 && !(heeds && state.pending);
        let (mut state, waited) =
            self.changed.wait_timeout_while(lock(&self.state), LONG, waits).unwrap();
        assert!(!waited.timed_out(), "nobody released the call");
        if heeds && std::mem::take(&mut state.pending) {
            return true;
        }
        state.released -= 1;
        false
    }
}

/// A program whose calls do what their payload says.
struct Script {
    world: Arc<World>,
    told: Told<String>,
    /// Whether it shows its segments to somebody for ever.
    shows: bool,
}

impl Script {
    fn tell(&self, line: String) {
        // At the end of a test nobody listens.
        drop(self.told.send(line));
    }

    fn asked(&self, answer: Result<Bytes, Unanswered>) -> End {
        match answer {
            Ok(answer) => value(&answer),
            Err(why) => {
                if why == Unanswered::Interrupted {
                    assert!(self.world.notice(), "the interrupt comes first");
                }
                raised(&why.to_string())
            }
        }
    }
}

impl Calls for Script {
    fn greet(&self, greeting: &[u8], _: &Desk) -> Result<(), String> {
        match greeting {
            b"refuse" => Err("no such program".into()),
            b"panic" => panic!("the greeting is too much"),
            _ => Ok(()),
        }
    }

    fn define(&self, run: u64, definition: Definition) {
        self.tell(format!("define {run}.{}", definition.number));
    }

    fn forget_run(&self, run: u64) {
        self.tell(format!("forget run {run}"));
    }

    fn call(&self, call: &Call, desk: &Desk) -> End {
        let text = std::str::from_utf8(&call.payload).unwrap();
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let begin = || self.tell(format!("began {}", call.number));
        match word {
            "tell" => {
                self.tell(format!("call {}", call.number));
                value(rest.as_bytes())
            }
            "echo" => {
                let is_interrupted = lock(&self.world.state).pending;
                assert!(!is_interrupted, "an interrupt for another call");
                value(rest.as_bytes())
            }
            "whatever" => value(b""),
            "fail" => raised(rest),
            "panic" => panic!("{}", rest.to_owned()),
            "hold" => {
                begin();
                if self.world.hold(true) { raised("interrupted") } else { value(b"released") }
            }
            "stubborn" => {
                begin();
                self.world.hold(false);
                value(b"released")
            }
            "ask" => self.asked(desk.ask(Bytes::copy_from_slice(rest.as_bytes()))),
            "interrupted-ask" => {
                begin();
                self.world.hold(false);
                let payload = Bytes::copy_from_slice(rest.as_bytes());
                assert_eq!(desk.ask(payload.clone()), Err(Unanswered::NotAsked));
                assert!(self.world.notice());
                self.asked(desk.ask(payload))
            }
            "aside" => {
                let (desk, payload) = (desk.clone(), Bytes::copy_from_slice(rest.as_bytes()));
                let asking = thread::spawn(move || desk.ask(payload));
                begin();
                self.world.hold(false);
                self.asked(asking.join().unwrap())
            }
            "current" => value(format!("{:?}", desk.current_call()).as_bytes()),
            "room" => {
                let length = rest.parse().unwrap();
                let room = desk.room(length).unwrap();
                room.write_at(&vec![7; usize::try_from(length).unwrap()], 0).unwrap();
                let part = Part { place: Place::Shared, offset: 0, length };
                let (inline, segment) = (Bytes::new(), Some(room.id()));
                End::Value {
                    packed: Packed { inline, parts: vec![part], segment },
                    bytes: length,
                    holds: false,
                }
            }
            "vacate" => {
                let room = desk.room(rest.parse().unwrap()).unwrap();
                desk.vacate(&room);
                value(b"")
            }
            "read" => {
                let Some(super::super::super::wire::InputRef::Packed(packed)) = call.inputs.first()
                else {
                    return raised("there is no input");
                };
                let Some(segment) = desk.segment(packed.segment.unwrap()) else {
                    return raised("the segment is not known");
                };
                let mut bytes = vec![0; 4];
                segment.read_at(&mut bytes, 0).unwrap();
                value(&bytes)
            }
            _ => raised("this is not in the script"),
        }
    }

    fn release(&self, value: u64) {
        self.tell(format!("release {value}"));
    }

    fn forget_segment(&self, segment: SegmentId) -> bool {
        self.tell(format!("forget segment {segment}"));
        !self.shows
    }

    fn waiting(&self, body: &mut dyn FnMut()) {
        body();
    }

    fn clear_interrupt(&self) {
        if self.world.notice() {
            self.world.swallowed.fetch_add(1, Ordering::SeqCst);
        }
    }
}

pub(super) fn value(bytes: &[u8]) -> End {
    let inline = Bytes::copy_from_slice(bytes);
    let part = Part { place: Place::Inline, offset: 0, length: bytes.len() as u64 };
    let packed = Packed { inline, parts: vec![part], segment: None };
    End::Value { packed, bytes: bytes.len() as u64, holds: false }
}

pub(super) fn raised(text: &str) -> End {
    End::Failed(Failed::Raised(Bytes::copy_from_slice(text.as_bytes())))
}

/// A call of run 1.
pub(super) fn call(number: u64, payload: &str) -> Call {
    Call {
        number,
        run: 1,
        after: None,
        keep: Keep::Export,
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        inputs: Vec::new(),
    }
}

pub(super) fn call_of(run: u64, number: u64, payload: &str) -> Call {
    Call { run, ..call(number, payload) }
}

pub(super) fn call_after(after: u64, number: u64, payload: &str) -> Call {
    Call { after: Some(after), ..call(number, payload) }
}

/// The other side of a child, which runs in a thread.
pub(super) struct Parent {
    pub(super) sender: Sender,
    pub(super) receiver: Receiver,
    pub(super) log: Log,
    pub(super) world: Arc<World>,
    told: Events<String>,
    pub(super) ended: Events<String>,
    thread: JoinHandle<Result<Served, WireError>>,
    /// Ends that came with others and were not asked for yet.
    ends: Vec<Done>,
}

impl Parent {
    /// A child that has greeted back.
    pub(super) fn new() -> Self {
        Self::of(false)
    }

    /// One of a program that shows segments for ever.
    pub(super) fn that_shows() -> Self {
        Self::of(true)
    }

    fn of(shows: bool) -> Self {
        let mut parent = Self::silent(shows);
        parent.greet(b"hello");
        assert_eq!(parent.receive(), ToParent::Ready);
        parent
    }

    /// A child that nothing was said to yet.
    pub(super) fn silent(shows: bool) -> Self {
        let (ours, theirs) = pair().unwrap();
        let world = Arc::new(World::default());
        let (tell, told) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let of_child = Arc::clone(&world);
        let thread = thread::spawn(move || {
            let to_interrupt = Arc::clone(&of_child);
            let setting = Setting::new(move || to_interrupt.interrupt())
                .ending(move |error| end.send(error.to_string()).unwrap());
            let calls = Rc::new(Script { world: of_child, told: tell, shows });
            serve(OwnedFd::from(theirs), calls, setting)
        });
        let (sender, receiver) = split(ours);
        let log = Log::create().unwrap();
        Self { sender, receiver, log, world, told, ended, thread, ends: Vec::new() }
    }

    pub(super) fn greet(&mut self, greeting: &[u8]) {
        let greeting = Bytes::copy_from_slice(greeting);
        let greet = ToChild::Greet { number: 3, media: vec![Medium::Anonymous], greeting };
        self.sender.send(&greet, &[self.log.as_fd()]).unwrap();
    }

    pub(super) fn send(&mut self, message: &ToChild) {
        self.send_with(message, &[]);
    }

    pub(super) fn send_with(&mut self, message: &ToChild, descriptors: &[BorrowedFd<'_>]) {
        self.sender.send(message, descriptors).unwrap();
    }

    pub(super) fn call(&mut self, calls: impl Into<Vec<Call>>) {
        self.send(&ToChild::Call(calls.into()));
    }

    pub(super) fn receive_with(&mut self) -> Received<ToParent> {
        let received = self.receiver.receive(Some(LONG)).unwrap();
        received.expect("the child says something")
    }

    pub(super) fn receive(&mut self) -> ToParent {
        self.receive_with().message
    }

    /// The next call that ended. Panics at any other message.
    pub(super) fn done(&mut self) -> Done {
        while self.ends.is_empty() {
            let message = self.receive();
            let ToParent::Done(ends) = message else { panic!("not an end: {message:?}") };
            self.ends = ends;
        }
        self.ends.remove(0)
    }

    /// The next call that ended, and how.
    pub(super) fn end(&mut self) -> (u64, End) {
        let done = self.done();
        (done.number, done.end)
    }

    /// The number of the question that is asked next, and the call that asks.
    pub(super) fn question(&mut self) -> (u64, Option<u64>, Bytes) {
        let message = self.receive();
        let ToParent::Ask { question, call, payload } = message else {
            panic!("not a question: {message:?}")
        };
        (question, call, payload)
    }

    pub(super) fn answer(&mut self, question: u64, payload: &str) {
        let payload = Bytes::copy_from_slice(payload.as_bytes());
        self.send(&ToChild::Answer { question, payload });
    }

    pub(super) fn returned(&mut self) -> Vec<u64> {
        let message = self.receive();
        let ToParent::Returned { calls } = message else { panic!("not given back: {message:?}") };
        calls
    }

    /// What the program tells next.
    pub(super) fn told(&self) -> String {
        self.told.recv_timeout(LONG).expect("the program tells something")
    }

    pub(super) fn interrupts(&self) -> usize {
        self.world.interrupts.load(Ordering::SeqCst)
    }

    /// Knows that the child has read all that was sent so far.
    pub(super) fn knows_that_all_was_read(&mut self) {
        self.send(&ToChild::Recall { keep: u32::MAX });
        assert!(self.returned().is_empty());
    }

    pub(super) fn join(self) -> Result<Served, WireError> {
        self.thread.join().unwrap()
    }

    /// Stops the child, and says what it said since.
    pub(super) fn stop(mut self) -> Vec<ToParent> {
        self.send(&ToChild::Stop);
        let mut said = Vec::new();
        let closed = loop {
            match self.receiver.receive::<ToParent>(Some(LONG)) {
                Ok(received) => said.push(received.expect("the child ends").message),
                Err(error) => break error,
            }
        };
        assert!(matches!(closed, WireError::Closed), "{closed}");
        assert_eq!(self.join().unwrap(), Served::Stopped);
        said
    }
}
