//! How a child ends: when it is told to, when it cannot begin, and when its parent is gone.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::rc::Rc;

use bytes::Bytes;

use super::super::super::wire::{
    Call, Definition, End, Receiver, Sender, ToChild, ToParent, WireError, pair, split,
};
use super::super::super::{Log, Medium, SegmentId};
use super::super::{Calls, Desk, Served, Setting, Unanswered, serve};
use super::support::{LONG, Parent, call, raised, value};

#[test]
fn a_child_that_is_told_to_end_ends_its_call_and_gives_the_rest_back() {
    let mut parent = Parent::new();
    parent.call([call(1, "hold"), call(2, "tell"), call(3, "tell")]);
    assert_eq!(parent.told(), "began 1");
    parent.send(&ToChild::Stop);
    parent.knows_that_all_was_read();
    parent.world.release();
    assert_eq!(parent.end(), (1, value(b"released")));
    assert_eq!(parent.returned(), [3, 2]);
    assert_eq!(parent.join().unwrap(), Served::Stopped);
}

#[test]
fn a_parent_that_goes_after_it_said_so_disturbs_nobody() {
    let mut parent = Parent::new();
    parent.send(&ToChild::Stop);
    let Parent { sender, receiver, .. } = &mut parent;
    let (one, _) = pair().unwrap();
    let (no_sender, no_receiver) = split(one);
    drop((std::mem::replace(sender, no_sender), std::mem::replace(receiver, no_receiver)));
    assert!(parent.ended.recv_timeout(LONG).is_err(), "the process was not ended");
    assert_eq!(parent.join().unwrap(), Served::Stopped);
}

#[test]
fn a_greeting_that_is_refused_is_answered_with_the_reason() {
    for (greeting, expected) in
        [(&b"refuse"[..], "no such program"), (b"panic", "the greeting is too much")]
    {
        let mut parent = Parent::silent(false);
        parent.greet(greeting);
        assert_eq!(parent.receive(), ToParent::Refused { reason: expected.into() });
        assert_eq!(parent.join().unwrap(), Served::Refused(expected.into()));
    }
}

/// Closes the parent's end.
fn leave(parent: &mut Parent) {
    let (one, _) = pair().unwrap();
    (parent.sender, parent.receiver) = split(one);
}

#[test]
fn the_process_ends_at_once_when_the_parent_is_gone() {
    let mut parent = Parent::new();
    parent.call([call(1, "hold")]);
    assert_eq!(parent.told(), "began 1");
    leave(&mut parent);
    let error = parent.ended.recv_timeout(LONG).expect("while the call goes on");
    assert_eq!(error, WireError::Closed.to_string());
    parent.world.release();
    assert!(matches!(parent.join(), Err(WireError::Closed)));
}

#[test]
fn who_waits_hears_that_the_parent_is_gone() {
    let mut parent = Parent::new();
    parent.call([call(1, "ask")]);
    parent.question();
    leave(&mut parent);
    assert!(matches!(parent.join(), Err(WireError::Closed)));
    assert_ne!(raised(&Unanswered::Closed.to_string()), raised(""));
}

#[test]
fn what_is_not_understood_ends_the_process() {
    type Spoil = (&'static str, fn(&mut Parent));
    let spoil: [Spoil; 4] = [
        ("no message", |parent| parent.sender.send(&"hello?", &[]).unwrap()),
        ("a second greeting", |parent| parent.greet(b"hello")),
        ("0 descriptors", |parent| {
            parent.send(&ToChild::Know { segment: SegmentId::new(0, 1), capacity: 1 });
        }),
        ("not what it should be", |parent| {
            let know = ToChild::Know { segment: SegmentId::new(0, 1), capacity: 1 << 20 };
            let log = Log::create().unwrap();
            parent.send_with(&know, &[log.as_fd()]);
        }),
    ];
    for (expected, spoil) in spoil {
        let mut parent = Parent::new();
        spoil(&mut parent);
        let error = parent.ended.recv_timeout(LONG).unwrap();
        assert!(error.contains(expected), "{error}");
        assert!(matches!(parent.join(), Err(WireError::Damaged(_))));
    }
    let mut parent = Parent::silent(false);
    parent.call([call(1, "echo")]);
    assert!(parent.ended.recv_timeout(LONG).unwrap().contains("before the greeting"));
}

/// Says that a test of this file is to be a child, with its socket for standard input.
const IS_CHILD: &str = "MOBULA_TEST_IS_CHILD";

/// A program that never comes back from a call, and would say something at its end.
struct Busy;

impl Calls for Busy {
    fn greet(&self, _: &[u8], _: &Desk) -> Result<(), String> {
        Ok(())
    }
    fn define(&self, _: u64, _: Definition) {}
    fn forget_run(&self, _: u64) {}
    fn call(&self, _: &Call, desk: &Desk) -> End {
        drop(desk.ask(Bytes::from_static(b"busy?")));
        loop {
            std::thread::park();
        }
    }
    fn release(&self, _: u64) {}
    fn forget_segment(&self, _: SegmentId) -> bool {
        true
    }
    fn waiting(&self, body: &mut dyn FnMut()) {
        body();
    }
    fn clear_interrupt(&self) {}
}

#[test]
fn is_a_child_where_another_test_wants_one() {
    if std::env::var_os(IS_CHILD).is_none() {
        return;
    }
    let socket = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let served = serve(socket, Rc::new(Busy), Setting::new(|| {}));
    panic!("a call that never ends has ended: {served:?}");
}

/// Turns this program into a child, by way of a command that gets the child's for arguments.
fn child_by(command: &mut Command) -> &mut Command {
    let test = "process::child::tests::ending::is_a_child_where_another_test_wants_one";
    command.arg(std::env::current_exe().unwrap()).args([test, "--exact", "--nocapture", "-q"]);
    command.env(IS_CHILD, "1").stdout(Stdio::piped()).stderr(Stdio::piped())
}

/// Gets the child into a call that never ends.
fn keep_busy(sender: &mut Sender, receiver: &mut Receiver) {
    let log = Log::create().unwrap();
    let (media, greeting) = (vec![Medium::Anonymous], Bytes::new());
    sender.send(&ToChild::Greet { number: 1, media, greeting }, &[log.as_fd()]).unwrap();
    sender.send(&ToChild::Call(vec![call(1, "")]), &[]).unwrap();
    let mut receive = || receiver.receive::<ToParent>(Some(LONG)).unwrap().unwrap().message;
    assert_eq!(receive(), ToParent::Ready);
    let ToParent::Ask { question, .. } = receive() else { panic!("it asks first") };
    sender.send(&ToChild::Answer { question, payload: Bytes::new() }, &[]).unwrap();
}

#[test]
fn a_process_that_is_busy_ends_with_its_parent_and_says_nothing() {
    let (ours, theirs) = pair().unwrap();
    let mut command = Command::new("env");
    let mut child = child_by(&mut command).stdin(OwnedFd::from(theirs)).spawn().unwrap();
    drop(command);
    let (mut sender, mut receiver) = split(ours);
    keep_busy(&mut sender, &mut receiver);
    drop((sender, receiver));
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "");
}

#[test]
fn a_process_ends_with_its_parent_although_the_socket_stays_open() {
    let (ours, theirs) = pair().unwrap();
    // A shell starts the child and is its parent, and this process has the parent's end of the socket. What
    // a shell starts in the background would get nothing for standard input.
    let mut command = Command::new("sh");
    command.args(["-c", r#"exec 3<&0; "$@" <&3 3<&- & wait"#, "sh"]);
    let mut shell = child_by(&mut command).stdin(OwnedFd::from(theirs)).spawn().unwrap();
    drop(command);
    let (mut sender, mut receiver) = split(ours);
    keep_busy(&mut sender, &mut receiver);
    shell.kill().unwrap();
    shell.wait().unwrap();
    let end = receiver.receive::<ToParent>(Some(LONG));
    assert!(matches!(end, Err(WireError::Closed)), "{end:?}");
}

#[test]
fn a_process_that_does_not_understand_its_parent_says_so() {
    let (mut ours, theirs) = pair().unwrap();
    let mut command = Command::new("env");
    let child = child_by(&mut command).stdin(OwnedFd::from(theirs)).spawn().unwrap();
    drop(command);
    UnixStream::write_all(&mut ours, &[1, 0, 0, 0, 0, 7]).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.signal(), Some(6));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("mobula: a worker process ends: the other process sent"), "{said}");
    drop(ours);
}
