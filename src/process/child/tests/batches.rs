//! Much at a time, both ways, and results that wait for no one too long.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::net::sockopt;

use super::super::super::wire::{Call, ToChild, ToParent, wait_for};
use super::support::{LONG, Parent, call, value};

const CALLS: u64 = 300;
const LARGE: usize = 60_000;

/// A parent whose socket holds as little as possible, and 18 MB of calls that answer as much.
fn narrow() -> (Parent, Vec<Call>) {
    let parent = Parent::new();
    sockopt::set_socket_send_buffer_size(parent.sender.as_fd(), 1).unwrap();
    sockopt::set_socket_recv_buffer_size(parent.receiver.as_fd(), 1).unwrap();
    let payload = format!("echo {}", "x".repeat(LARGE));
    (parent, (0..CALLS).map(|number| call(number, &payload)).collect())
}

#[test]
fn large_batches_pass_each_other() {
    let (mut parent, calls) = narrow();
    for batch in calls.chunks(10) {
        parent.sender.queue(&ToChild::Call(batch.to_vec()), &[]).unwrap();
    }
    let (mut next, mut written) = (0, false);
    while next < CALLS {
        let mut events = PollFlags::IN;
        events.set(PollFlags::OUT, !written);
        assert!(wait_for(&mut [PollFd::new(&parent.receiver, events)], Some(LONG)).unwrap());
        written = written || parent.sender.flush().unwrap();
        while let Some(received) = parent.receiver.receive(Some(Duration::ZERO)).unwrap() {
            let ToParent::Done(ends) = received.message else { panic!("no end") };
            for done in ends {
                assert_eq!(done.number, next);
                next += 1;
            }
        }
    }
    assert_eq!(parent.stop(), []);
}

#[test]
fn a_child_reads_all_that_a_parent_writes_who_reads_nothing() {
    let (mut parent, calls) = narrow();
    // This waits until all is written, while results pile up on the other side.
    calls.chunks(10).for_each(|batch| parent.call(batch));
    parent.send(&ToChild::Recall { keep: u32::MAX });
    let (mut next, mut recalled) = (0, false);
    while next < CALLS || !recalled {
        let message = parent.receive();
        if let ToParent::Done(ends) = message {
            next += ends.len() as u64;
        } else {
            assert_eq!(message, ToParent::Returned { calls: Vec::new() });
            recalled = true;
        }
    }
}

#[test]
fn short_calls_share_messages() {
    let mut parent = Parent::new();
    let mut calls = vec![call(0, "hold")];
    calls.extend((1..=1000).map(|number| call(number, "echo")));
    parent.call(calls);
    parent.world.release();
    let (mut ends, mut messages) = (0, 0);
    while ends < 1001 {
        let ToParent::Done(done) = parent.receive() else { panic!("no end") };
        ends += done.len();
        messages += 1;
    }
    assert!(messages <= 500, "{messages} messages");
}

#[test]
fn what_ended_is_told_while_a_long_call_goes_on() {
    for _ in 0..20 {
        let mut parent = Parent::new();
        parent.call([call(1, "echo"), call(2, "echo"), call(3, "echo"), call(4, "hold")]);
        assert_eq!(parent.told(), "began 4");
        assert_eq!((parent.end().0, parent.end().0, parent.end().0), (1, 2, 3));
        parent.world.release();
        assert_eq!(parent.end(), (4, value(b"released")));
    }
}
