//! [`Screen`]: a terminal that is drawn on, and left as it was.
//!
//! The view has a screen of its own, and keys are read as they are pressed, so that Ctrl-C is a key among others:
//! whoever presses it gets the old screen back, without a handler of signals, which a library must not set.

use std::io::{self, Write};
use std::time::Duration;

use console::Term;

use crate::diagnostics::progress::{Line, Room};

/// To a screen of its own and back, with the cursor hidden and shown.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// To the upper left corner; the rest of a line away; all below away.
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// What comes after a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Look,
    End,
}

/// A terminal while it is drawn on.
pub(super) struct Screen<'a> {
    out: &'a mut dyn Write,
    term: Term,
    is_colored: bool,
    /// Whether this has a screen of its own; without keys to end it, it has none.
    keys: Option<Keys>,
}

impl<'a> Screen<'a> {
    pub(super) fn open(out: &'a mut dyn Write) -> io::Result<Self> {
        let is_dumb = std::env::var_os("TERM").is_none_or(|kind| kind == "dumb");
        let keys = if is_dumb { None } else { Keys::open() };
        if keys.is_some() {
            out.write_all(ENTER.as_bytes())?;
            out.flush()?;
        }
        Ok(Self { out, term: Term::stdout(), is_colored: console::colors_enabled(), keys })
    }

    pub(super) fn room(&self) -> Room {
        let (height, width) = self.term.size();
        Room { width: usize::from(width).max(1), lines: usize::from(height).max(2) - 1 }
    }

    /// Draws a frame over the one before.
    pub(super) fn draw(&mut self, frame: &[Line]) -> io::Result<()> {
        let mut text = String::new();
        if self.keys.is_some() {
            text.push_str(HOME);
        }
        for line in frame {
            text.push_str(&self.text(line));
            if self.keys.is_some() {
                // In raw mode a line does not begin at the left by itself.
                text.push_str(CLEAR_LINE);
                text.push('\r');
            }
            text.push('\n');
        }
        if self.keys.is_some() {
            text.push_str(CLEAR_BELOW);
        }
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// Waits for the next look, or for a key that ends it.
    pub(super) fn wait(&mut self, interval: Duration) -> Next {
        if let Some(keys) = &mut self.keys {
            return keys.wait(interval);
        }
        #[expect(clippy::disallowed_methods, reason = "nothing is reported to a view but time")]
        std::thread::sleep(interval);
        Next::Look
    }

    /// Gives the terminal back and leaves a last frame there.
    pub(super) fn close(mut self, frame: &[Line]) -> io::Result<()> {
        let was_own = self.keys.is_some();
        self.leave()?;
        if was_own { self.draw(frame) } else { Ok(()) }
    }

    fn leave(&mut self) -> io::Result<()> {
        if self.keys.take().is_some() {
            self.out.write_all(LEAVE.as_bytes())?;
            self.out.flush()?;
        }
        Ok(())
    }

    fn text(&self, line: &Line) -> String {
        if self.is_colored { line.colored() } else { line.to_string() }
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        // Whoever has no terminal any more needs nothing back.
        self.leave().ok();
    }
}

#[cfg(unix)]
use keys::Keys;
#[cfg(not(unix))]
use no_keys::Keys;

#[cfg(unix)]
mod keys {
    //! Keys as they are pressed.

    use std::fs::File;
    use std::io::Read;
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

    use super::Next;

    /// The keyboard of the terminal, in a mode where each key comes at once and stops nothing.
    pub(super) struct Keys {
        terminal: File,
        before: Termios,
    }

    impl Keys {
        pub(super) fn open() -> Option<Self> {
            let terminal = File::open("/dev/tty").ok()?;
            let before = tcgetattr(&terminal).ok()?;
            let mut raw = before.clone();
            raw.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
            tcsetattr(&terminal, OptionalActions::Now, &raw).ok()?;
            Some(Self { terminal, before })
        }

        pub(super) fn wait(&mut self, interval: Duration) -> Next {
            let timeout = Timespec {
                tv_sec: i64::try_from(interval.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: interval.subsec_nanos().into(),
            };
            let mut ready = [PollFd::new(&self.terminal, PollFlags::IN)];
            match poll(&mut ready, Some(&timeout)) {
                // After somebody else's signal it looks once more than was asked for.
                Ok(0) | Err(rustix::io::Errno::INTR) => Next::Look,
                Ok(_) => self.read(),
                Err(_) => Next::End,
            }
        }

        /// q, Ctrl-C, Ctrl-D and Ctrl-\ end it; so does a keyboard that is gone.
        fn read(&mut self) -> Next {
            let mut keys = [0; 64];
            match self.terminal.read(&mut keys) {
                Ok(0) | Err(_) => Next::End,
                Ok(count) if keys[..count].iter().any(|key| b"qQ\x03\x04\x1c".contains(key)) => {
                    Next::End
                }
                Ok(_) => Next::Look,
            }
        }
    }

    impl Drop for Keys {
        fn drop(&mut self) {
            // A terminal that is gone has no mode to get back.
            tcsetattr(&self.terminal, OptionalActions::Now, &self.before).ok();
        }
    }
}

#[cfg(not(unix))]
mod no_keys {
    //! Where there is no way to read keys as they are pressed: frames are written below each other, and the system
    //! ends the program on Ctrl-C.

    use std::time::Duration;

    use super::Next;

    pub(super) enum Keys {}

    impl Keys {
        pub(super) fn open() -> Option<Self> {
            None
        }

        pub(super) fn wait(&mut self, _: Duration) -> Next {
            match *self {}
        }
    }
}
