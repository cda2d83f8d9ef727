//! `mobula top`: a cluster while it works, in the terminal.
//!
//! `frame.rs` says what is shown, `screen.rs` how it gets onto a terminal and off it again.

mod frame;
mod screen;

use std::io::Write;
use std::time::Duration;

use super::address::Address;
use super::failure::Failure;
use super::http;
use crate::diagnostics::progress::{Line, Room, Tone};
use crate::monitor::Snapshot;
use frame::frame;
use screen::{Next, Screen};

/// How large a frame is that goes to a file.
const PAPER: Room = Room { width: 100, lines: 60 };

/// Shows how things stand, once.
pub(super) fn show(address: &Address, out: &mut dyn Write) -> Result<(), Failure> {
    let snapshot = ask(address)?;
    for line in frame(&snapshot, PAPER) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// Shows how things stand, again and again, until somebody ends it or the program has ended.
pub(super) fn watch(
    address: &Address,
    interval: Duration,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    // What is wrong from the start is told without touching the screen.
    let mut snapshot = ask(address)?;
    let mut screen = Screen::open(out)?;
    let mut has_ended = false;
    let end = loop {
        let room = screen.room();
        if let Err(error) = screen.draw(&frame(&snapshot, room)) {
            break Err(Failure::Output(error));
        }
        match screen.wait(interval) {
            Next::Look => {}
            Next::End => break Ok(()),
        }
        match ask(address) {
            Ok(next) => snapshot = next,
            Err(Failure::Unreachable { .. }) => {
                has_ended = true;
                break Ok(());
            }
            Err(other) => break Err(other),
        }
    };
    // The last frame stays where the command was called, so that it can be read afterwards.
    let room = screen.room();
    let mut last = frame(&snapshot, room);
    if has_ended {
        last.push(Line::new(
            "The program, or its dashboard, has ended; this was the last look.",
            Tone::Soft,
        ));
    }
    screen.close(&last)?;
    end
}

fn ask(address: &Address) -> Result<Snapshot, Failure> {
    http::ask(address, "/api/snapshot", &[])
}
