//! Numbers and text as they stand in a page: the same words as everywhere (`page/format.js` has them, too), and text
//! that is only text.

use std::fmt::Write as _;

pub(super) use crate::markup::Escaped;
use crate::monitor::human;
pub(super) use crate::monitor::human::{bytes, count, share};

/// 4,200,000 nanoseconds are "4.2 ms".
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(super) fn time(nanoseconds: u64) -> String {
    human::seconds(nanoseconds as f64 / 1e9)
}

/// "1 task", "2 tasks".
pub(super) fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", count(number), if number == 1 { "" } else { "s" })
}

/// `part` of `whole`, from 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "for people")]
pub(super) fn part(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Seconds since 1970 as "2026-01-31 08:05:09 UTC".
///
/// The days are counted as Howard Hinnant does in "chrono-Compatible Low-Level Date Algorithms": years begin
/// in March, so that the leap day is the last one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rounded down, and positive"
)]
pub(super) fn moment(unix_time: f64) -> String {
    let seconds = unix_time.max(0.0) as u64;
    let days = seconds / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let (year, clock) = (era * 400 + year + next, seconds % 86_400);
    let mut text = format!("{year}-{month:02}-{day:02} ");
    write!(text, "{:02}:{:02}:{:02} UTC", clock / 3600, clock % 3600 / 60, clock % 60)
        .expect("a string takes everything");
    text
}

#[cfg(test)]
mod tests {
    use super::{counted, moment, part, share, time};

    #[test]
    fn numbers_are_told_with_what_they_count() {
        assert_eq!([0, 999, 4_200_000].map(time), ["0 s", "999 ns", "4.2 ms"]);
        assert_eq!([counted(1, "task"), counted(1000, "task")], ["1 task", "1,000 tasks"]);
        assert_eq!([part(1, 0), part(1, 2)].map(share), ["0 %", "50 %"]);
    }

    #[test]
    fn days_are_counted_through_leap_years() {
        let moments = [0.0, 951_782_399.0, 951_827_697.9, 4_107_542_400.0].map(moment);
        assert_eq!(moments[0], "1970-01-01 00:00:00 UTC");
        assert_eq!(moments[1], "2000-02-28 23:59:59 UTC");
        assert_eq!(moments[2], "2000-02-29 12:34:57 UTC");
        assert_eq!(moments[3], "2100-03-01 00:00:00 UTC");
    }
}
