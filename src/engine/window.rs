//! [`Window`]: how many calls a worker sends ahead to where they are made. Reads no clock itself.
//!
//! A call that is sent when the one before it has ended costs the place where it is made a round trip,
//! in which it does nothing; one that is sent ahead waits there while somebody else may be idle. So short
//! calls go in large batches, and long ones alone. Where the guess is wrong, what was not begun is called
//! back by whoever is idle.

use std::time::Duration;

/// How many calls may be under way at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// How many there may be in all.
    pub most: usize,
    /// How many there must be left before more are sent: sending a few at a time costs as much as sending
    /// many.
    pub few: usize,
}

/// So much work is sent ahead.
const AHEAD: Duration = Duration::from_millis(2);

/// Beside a call of this length a round trip is nothing.
const LONG: Duration = Duration::from_millis(2);

/// The most calls under way: more would only keep the first answer waiting.
const MOST: u32 = 256;

impl Window {
    /// One call at a time.
    pub const ONE: Self = Self { most: 1, few: 0 };

    /// The window for calls that take so long; `None` before the first one was measured.
    pub fn of(call: Option<Duration>) -> Self {
        let Some(call) = call.filter(|call| *call < LONG) else { return Self::ONE };
        let fit = AHEAD.as_nanos() / call.as_nanos().max(1);
        let most = u32::try_from(fit).unwrap_or(MOST).clamp(2, MOST) as usize;
        Self { most, few: most / 2 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_and_what_is_long_goes_alone() {
        assert_eq!(Window::of(None), Window::ONE);
        assert_eq!(Window::of(Some(Duration::from_millis(27))), Window::ONE);
    }

    #[test]
    fn short_calls_go_in_batches_of_bounded_size() {
        assert_eq!(Window::of(Some(Duration::from_micros(100))), Window { most: 20, few: 10 });
        assert_eq!(Window::of(Some(Duration::from_nanos(100))).most, 256);
        assert_eq!(Window::of(Some(Duration::from_micros(1900))), Window { most: 2, few: 1 });
    }
}
