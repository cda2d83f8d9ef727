//! What goes through the socket, and what is refused.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::net::sockopt;

use super::*;

const NOW: Option<Duration> = Some(Duration::ZERO);

fn joined() -> (Sender, Receiver) {
    let (one, other) = pair().unwrap();
    (split(one).0, split(other).1)
}

/// Makes the socket hold as little as the system allows.
fn narrow(socket: &UnixStream) {
    sockopt::set_socket_send_buffer_size(socket, 1).unwrap();
    sockopt::set_socket_recv_buffer_size(socket, 1).unwrap();
}

fn text(receiver: &mut Receiver) -> Option<String> {
    receiver.receive(NOW).unwrap().map(|received| received.message)
}

#[test]
fn messages_come_in_order_however_many_one_read_brings() {
    let (mut sender, mut receiver) = joined();
    assert_eq!(text(&mut receiver), None);
    for word in ["one", "two", "three"] {
        sender.queue(&word, &[]).unwrap();
    }
    assert_eq!(text(&mut receiver), None, "nothing was written yet");
    assert!(sender.flush().unwrap());
    assert!(sender.is_empty());
    for word in ["one", "two", "three"] {
        assert_eq!(text(&mut receiver).as_deref(), Some(word));
    }
    assert_eq!(text(&mut receiver), None);
}

#[test]
fn a_receiver_waits_for_as_long_as_it_was_told() {
    let (mut sender, mut receiver) = joined();
    let short = Some(Duration::from_millis(1));
    assert!(receiver.receive::<String>(short).unwrap().is_none());
    let waiting = thread::spawn(move || receiver.receive::<String>(None).unwrap().unwrap().message);
    sender.send(&"late", &[]).unwrap();
    assert_eq!(waiting.join().unwrap(), "late");
}

#[test]
fn a_message_is_longer_than_the_socket_and_the_buffer() {
    let (mut sender, mut receiver) = joined();
    narrow(sender.socket());
    let long = "long ".repeat(2_000_000);
    let sent = long.clone();
    let sending = thread::spawn(move || {
        sender.send(&sent, &[]).unwrap();
        sender.send(&"short", &[]).unwrap();
        sender
    });
    let came = receiver.receive::<String>(None).unwrap().unwrap();
    assert!(came.message == long);
    assert_eq!(receiver.receive::<String>(None).unwrap().unwrap().message, "short");
    drop(sending.join().unwrap());
}

#[test]
fn two_sides_that_read_while_they_write_never_wait_for_each_other() {
    const MESSAGES: usize = 40;
    /// Writes and reads on one thread, as a parent does.
    fn converse(socket: UnixStream) -> usize {
        narrow(&socket);
        let (mut sender, mut receiver) = split(socket);
        let long = "x".repeat(500_000);
        for _ in 0..MESSAGES {
            sender.queue(&long, &[]).unwrap();
        }
        let mut count = 0;
        let mut done = false;
        while !done || count < MESSAGES {
            let mut events = PollFlags::IN;
            events.set(PollFlags::OUT, !done);
            wait_for(&mut [PollFd::new(&receiver, events)], None).unwrap();
            done = done || sender.flush().unwrap();
            // The other side may be gone after its last one.
            while count < MESSAGES
                && let Some(message) = receiver.receive::<String>(NOW).unwrap()
            {
                assert_eq!(message.message.len(), long.len());
                count += 1;
            }
        }
        count
    }
    let (one, other) = pair().unwrap();
    let other = thread::spawn(move || converse(other));
    assert_eq!(converse(one), MESSAGES);
    assert_eq!(other.join().unwrap(), MESSAGES);
}

#[test]
fn descriptors_come_with_the_message_that_they_were_sent_with() {
    let (mut sender, mut receiver) = joined();
    let pipes: Vec<_> = (0..3).map(|_| io::pipe().unwrap()).collect();
    let (ends, starts): (Vec<_>, Vec<_>) = pipes.into_iter().unzip();
    sender.queue(&"none", &[]).unwrap();
    sender.queue(&"two", &[starts[0].as_fd(), starts[1].as_fd()]).unwrap();
    sender.queue(&"none", &[]).unwrap();
    sender.queue(&"one", &[starts[2].as_fd()]).unwrap();
    drop(starts);
    assert!(sender.flush().unwrap());

    let mut came = Vec::new();
    for count in [0, 2, 0, 1] {
        let next = receiver.receive::<String>(NOW).unwrap().unwrap();
        assert_eq!(next.descriptors.len(), count, "with {}", next.message);
        came.extend(next.descriptors);
    }
    for (number, descriptor) in (0_u8..).zip(came) {
        let flags = rustix::io::fcntl_getfd(&descriptor).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        File::from(descriptor).write_all(&[number]).unwrap();
    }
    // Each pipe has an end because the sender's own copies are closed, too.
    for (number, mut end) in (0_u8..).zip(ends) {
        let mut bytes = Vec::new();
        end.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, [number]);
    }
}

#[test]
fn as_many_descriptors_as_allowed_come_with_one_message_and_no_more() {
    let (mut sender, mut receiver) = joined();
    let (mut end, start) = io::pipe().unwrap();
    let many = vec![start.as_fd(); MOST_DESCRIPTORS + 1];
    let refused = sender.queue(&"too many", &many).unwrap_err();
    assert!(matches!(refused, WireError::TooLarge(_)), "{refused}");
    sender.send(&"many", &many[1..]).unwrap();
    drop(start);
    let many = receiver.receive::<String>(NOW).unwrap().unwrap();
    assert_eq!((many.message.as_str(), many.descriptors.len()), ("many", MOST_DESCRIPTORS));
    drop(many);
    assert_eq!(end.read(&mut [0]).unwrap(), 0, "all of them are closed");
}

#[test]
fn descriptors_that_were_never_written_or_never_asked_for_are_closed() {
    let (mut end, start) = io::pipe().unwrap();
    let (mut sender, receiver) = joined();
    sender.send(&"not asked for", &[start.as_fd()]).unwrap();
    sender.queue(&"not written", &[start.as_fd()]).unwrap();
    drop((start, sender, receiver));
    assert_eq!(end.read(&mut [0]).unwrap(), 0);
}

#[test]
fn what_was_sent_before_the_end_is_received_and_then_the_end() {
    let (mut sender, mut receiver) = joined();
    sender.send(&"last", &[]).unwrap();
    drop(sender);
    assert_eq!(text(&mut receiver).as_deref(), Some("last"));
    for _ in 0..2 {
        assert!(matches!(receiver.receive::<String>(None), Err(WireError::Closed)));
    }
}

#[test]
fn writing_to_a_closed_socket_is_an_error_and_no_signal() {
    let (mut sender, receiver) = joined();
    drop(receiver);
    assert!(matches!(sender.send(&"anybody?", &[]), Err(WireError::Closed)));
    assert!(sender.is_empty());
}

#[test]
fn a_message_that_cannot_be_sent_leaves_the_others_as_they_were() {
    use serde::ser::SerializeTuple;

    struct Unspeakable;
    impl serde::Serialize for Unspeakable {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut half = serializer.serialize_tuple(2)?;
            half.serialize_element("half of it")?;
            Err(serde::ser::Error::custom("no words for it"))
        }
    }
    let (mut sender, mut receiver) = joined();
    sender.queue(&"before", &[]).unwrap();
    let refused = sender.queue(&Unspeakable, &[]).unwrap_err();
    assert!(refused.to_string().ends_with("no words for it"), "{refused}");
    sender.send(&"after", &[]).unwrap();
    assert_eq!(text(&mut receiver).as_deref(), Some("before"));
    assert_eq!(text(&mut receiver).as_deref(), Some("after"));
}

/// What a receiver says to these bytes.
fn refusal(bytes: &[u8]) -> WireError {
    let (mut one, other) = pair().unwrap();
    one.write_all(bytes).unwrap();
    split(other).1.receive::<String>(NOW).expect_err("this is no message")
}

#[test]
fn what_is_no_message_is_refused() {
    // It is 2 GiB long, of which nobody waits for a byte.
    let long = refusal(&[0, 0, 0, 128, 0]);
    assert!(long.to_string().contains("it would have 2147483648 bytes"), "{long}");
    // A number instead of a text; half a text; bytes behind a text; a descriptor that is not there.
    for bytes in [&[1, 0, 0, 0, 0, 7][..], &[2, 0, 0, 0, 0, 0xa2, b'x'], &[0, 0, 0, 0, 0]] {
        assert!(matches!(refusal(bytes), WireError::Damaged(_)));
    }
    let behind = refusal(&[3, 0, 0, 0, 0, 0xa1, b'x', b'y']);
    assert!(behind.to_string().ends_with("1 bytes are behind its end"), "{behind}");
    let missing = refusal(&[2, 0, 0, 0, 1, 0xa1, b'x']);
    assert!(missing.to_string().ends_with("1 descriptors should have come, not 0"), "{missing}");
}

#[test]
fn half_a_message_is_not_there_yet() {
    let (mut one, other) = pair().unwrap();
    let mut receiver = split(other).1;
    for piece in [&[2, 0][..], &[0, 0, 0], &[0xa1]] {
        one.write_all(piece).unwrap();
        assert_eq!(text(&mut receiver), None);
    }
    one.write_all(b"x").unwrap();
    assert_eq!(text(&mut receiver).as_deref(), Some("x"));
}

#[test]
fn errors_of_the_system_say_what_they_mean() {
    assert!(matches!(WireError::from(Errno::PIPE), WireError::Closed));
    assert!(matches!(WireError::from(Errno::CONNRESET), WireError::Closed));
    let too_many = WireError::from(Errno::MFILE);
    assert!(too_many.to_string().contains("ulimit -n"), "{too_many}");
}
