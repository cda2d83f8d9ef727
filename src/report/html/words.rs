//! Numbers and text as they stand in a page: the same words as `page/format.js`, and text that is only text.

use std::fmt::{self, Display, Write as _};

/// Text in a page, in which nothing is markup.
#[derive(Debug)]
pub(super) struct Text<'a>(pub(super) &'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'', '\0']) {
            f.write_str(&rest[..at])?;
            f.write_str(match rest.as_bytes()[at] {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'"' => "&quot;",
                b'\'' => "&#39;",
                _ => "\u{fffd}",
            })?;
            rest = &rest[at + 1..];
        }
        f.write_str(rest)
    }
}

/// At most three digits that tell something: 9.87, 98.7, 987.
fn short(value: f64) -> String {
    let digits = match value {
        value if value >= 99.95 => 0,
        value if value >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    if digits == 0 {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// 1536 is "1.5 KiB".
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut size = count as f64;
    let mut unit = 0;
    while size >= 1023.5 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{} {}", short(size), UNITS[unit])
}

/// 4,200,000 is "4.2 ms".
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(super) fn time(nanoseconds: u64) -> String {
    let seconds = nanoseconds as f64 / 1e9;
    match seconds {
        0.0 => "0 s".to_owned(),
        s if s < 0.9995e-6 => format!("{} ns", short(s * 1e9)),
        s if s < 0.9995e-3 => format!("{} µs", short(s * 1e6)),
        s if s < 0.9995 => format!("{} ms", short(s * 1e3)),
        s if s < 59.95 => format!("{} s", short(s)),
        _ => {
            let whole = (nanoseconds + 500_000_000) / 1_000_000_000;
            let (minutes, hours, days) = (whole / 60, whole / 3600, whole / 86_400);
            match (hours, days) {
                (0, _) => format!("{minutes} m {:02} s", whole % 60),
                (_, 0) => format!("{hours} h {:02} m", minutes % 60),
                _ => format!("{days} d {:02} h", hours % 24),
            }
        }
    }
}

/// 1234567 is "1,234,567".
pub(super) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// "1 task", "2 tasks".
pub(super) fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", count(number), if number == 1 { "" } else { "s" })
}

/// 0.256 is "25.6 %".
pub(super) fn share(share: f64) -> String {
    format!("{} %", short(share * 100.0))
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
    use super::{Text, bytes, count, counted, moment, part, share, time};

    #[test]
    fn text_is_never_markup() {
        let text = Text("</script><b a=\"1\" b='2'>&amp;\0é").to_string();
        assert_eq!(
            text,
            "&lt;/script&gt;&lt;b a=&quot;1&quot; b=&#39;2&#39;&gt;&amp;amp;\u{fffd}é"
        );
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([0, 1023, 1536, 1 << 20].map(bytes), ["0 B", "1023 B", "1.5 KiB", "1 MiB"]);
        assert_eq!([0, 999, 4_200_000].map(time), ["0 s", "999 ns", "4.2 ms"]);
        assert_eq!([999_600, 98_760_000_000].map(time), ["1 ms", "1 m 39 s"]);
        assert_eq!([187_000_000_000, 3_781_000_000_000].map(time), ["3 m 07 s", "1 h 03 m"]);
        assert_eq!([0, 12, 1234, 1_234_567].map(count), ["0", "12", "1,234", "1,234,567"]);
        assert_eq!([counted(1, "task"), counted(1000, "task")], ["1 task", "1,000 tasks"]);
        assert_eq!([0.0, 0.256, 1.0].map(share), ["0 %", "25.6 %", "100 %"]);
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
