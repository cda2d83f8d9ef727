//! Numbers as people read them, the same in pictures, terminals and notebooks.
//!
//! Three digits tell enough; a unit stands behind a space.

/// The units of sizes, each 1024 of the one before.
const BYTES: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// The units of numbers, each 1000 of the one before.
const THOUSANDS: [&str; 5] = ["", "k", "M", "G", "T"];

/// A size: `1.2 GiB`.
///
/// # Examples
///
/// ```
/// use mobula::monitor::human;
///
/// assert_eq!(human::bytes(999), "999 B");
/// assert_eq!(human::bytes(1536), "1.5 KiB");
/// assert_eq!(human::bytes(1_300_000_000), "1.21 GiB");
/// ```
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub fn bytes(bytes: u64) -> String {
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= 1023.5 && unit + 1 < BYTES.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{} {}", short(size), BYTES[unit])
}

/// A time in seconds: `12.3 ms`, `4.2 s`, `1 m 05 s`, `3 h 20 m`, `2 d 04 h`.
///
/// # Examples
///
/// ```
/// use mobula::monitor::human;
///
/// assert_eq!(human::seconds(0.000_012_34), "12.3 µs");
/// assert_eq!(human::seconds(4.2), "4.2 s");
/// assert_eq!(human::seconds(65.0), "1 m 05 s");
/// assert_eq!(human::seconds(12_000.0), "3 h 20 m");
/// ```
pub fn seconds(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "–".to_owned();
    }
    let size = seconds.abs();
    match size {
        0.0 => "0 s".to_owned(),
        ..0.999_5e-6 => format!("{} ns", short(seconds * 1e9)),
        ..0.999_5e-3 => format!("{} µs", short(seconds * 1e6)),
        ..0.999_5 => format!("{} ms", short(seconds * 1e3)),
        ..59.95 => format!("{} s", short(seconds)),
        _ => long(size, if seconds < 0.0 { "-" } else { "" }),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the time is positive, and one beyond 2^64 seconds stays there"
)]
fn long(seconds: f64, sign: &str) -> String {
    let whole = seconds.round() as u64;
    let (minutes, hours, days) = (whole / 60, whole / 3600, whole / 86400);
    if hours == 0 {
        format!("{sign}{minutes} m {:02} s", whole % 60)
    } else if days == 0 {
        format!("{sign}{hours} h {:02} m", minutes % 60)
    } else {
        format!("{sign}{days} d {:02} h", hours % 24)
    }
}

/// How many, all digits: `1,234,567`.
///
/// # Examples
///
/// ```
/// use mobula::monitor::human;
///
/// assert_eq!(human::count(999), "999");
/// assert_eq!(human::count(1_234_567), "1,234,567");
/// ```
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// About how many: `12.3 k`.
///
/// # Examples
///
/// ```
/// use mobula::monitor::human;
///
/// assert_eq!(human::about(999), "999");
/// assert_eq!(human::about(12_345), "12.3 k");
/// ```
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub fn about(count: u64) -> String {
    thousands(count as f64).trim_end().to_owned()
}

/// How often in a second: `12.3 k/s`.
///
/// # Examples
///
/// ```
/// use mobula::monitor::human;
///
/// assert_eq!(human::rate(12_345.0), "12.3 k/s");
/// assert_eq!(human::rate(0.5), "0.5 /s");
/// ```
pub fn rate(each_second: f64) -> String {
    if !each_second.is_finite() {
        return "–".to_owned();
    }
    format!("{}/s", thousands(each_second))
}

/// A share of 1: `25.6 %`.
///
/// # Examples
///
/// ```
/// assert_eq!(mobula::monitor::human::share(0.256), "25.6 %");
/// ```
pub fn share(share: f64) -> String {
    format!("{} %", short(share * 100.0))
}

/// How many columns a text takes in a terminal: the letters of East Asia take two.
///
/// # Examples
///
/// ```
/// use mobula::monitor::human;
///
/// assert_eq!(human::width("abc"), 3);
/// assert_eq!(human::width("日本"), 4);
/// ```
pub fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// A text of at most `most` columns: of a longer one the middle is left out, as keys differ at both ends.
///
/// # Examples
///
/// ```
/// use mobula::monitor::human;
///
/// assert_eq!(human::shortened("('x', 0)", 8), "('x', 0)");
/// assert_eq!(human::shortened("('random_sample', 0, 1)", 13), "('rand… 0, 1)");
/// ```
pub fn shortened(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let left = most.saturating_sub(1);
    let start = fitting(text.chars(), left.div_ceil(2));
    let end = fitting(text.chars().rev(), left - width(&start));
    start.chars().chain(['…']).chain(end.chars().rev()).collect()
}

/// As many letters as fit into some columns.
fn fitting(letters: impl Iterator<Item = char>, columns_left: usize) -> String {
    let mut taken = 0;
    let fits = |letter: &char| {
        taken += columns(*letter);
        taken <= columns_left
    };
    letters.take_while(fits).collect()
}

fn columns(letter: char) -> usize {
    match letter {
        '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200f}' | '\u{fe00}'..='\u{fe0f}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'.. => 2,
        _ => 1,
    }
}

/// Digits, a space, and the unit, which may be empty.
fn thousands(value: f64) -> String {
    let mut size = value;
    let mut unit = 0;
    while size.abs() >= 999.5 && unit + 1 < THOUSANDS.len() {
        size /= 1000.0;
        unit += 1;
    }
    format!("{} {}", short(size), THOUSANDS[unit])
}

/// At most three digits that tell something: 9.87, 98.7, 987.
fn short(value: f64) -> String {
    let size = value.abs();
    let digits = if size >= 99.95 {
        0
    } else if size >= 9.995 {
        1
    } else {
        2
    };
    let text = format!("{value:.digits$}");
    if digits == 0 {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::{about, bytes, count, rate, seconds, share, shortened, width};

    #[test]
    fn units_change_where_three_digits_end() {
        assert_eq!([bytes(0), bytes(1023), bytes(1024)], ["0 B", "1023 B", "1 KiB"]);
        assert_eq!(bytes(1024 * 1024 - 1), "1 MiB");
        assert_eq!(bytes(u64::MAX), "16 EiB");
        assert_eq!([about(0), about(999_499), about(999_500)], ["0", "999 k", "1 M"]);
        assert_eq!([rate(999.4), rate(999.6)], ["999 /s", "1 k/s"]);
    }

    #[test]
    fn times_have_the_unit_that_fits() {
        let texts = [0.0, 3e-9, 0.001, 0.9994, 0.9996, 59.9, 59.96, 3599.4, 3599.6, 90_000.0];
        let texts: Vec<String> = texts.into_iter().map(seconds).collect();
        assert_eq!(texts[..5], ["0 s", "3 ns", "1 ms", "999 ms", "1 s"]);
        assert_eq!(texts[5..], ["59.9 s", "1 m 00 s", "59 m 59 s", "1 h 00 m", "1 d 01 h"]);
        assert_eq!(seconds(-70.0), "-1 m 10 s");
        assert_eq!(seconds(f64::INFINITY), "–");
    }

    #[test]
    fn small_and_great_counts_and_shares_are_read() {
        assert_eq!([count(0), count(1000), count(12)], ["0", "1,000", "12"]);
        assert_eq!([share(0.0), share(1.0), share(0.012_34)], ["0 %", "100 %", "1.23 %"]);
    }

    #[test]
    fn the_middle_is_left_out_between_letters() {
        assert_eq!(shortened("äöüäöüäöü", 4), "äö…ü");
        assert_eq!([shortened("abc", 0), shortened("abc", 1)], ["…", "…"]);
        assert_eq!(shortened("日本日本日本", 6), "日…本");
        assert!((0..20).all(|most| width(&shortened("aé日本語のkey-0042", most)) <= most.max(1)));
    }
}
