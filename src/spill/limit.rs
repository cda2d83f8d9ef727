//! [`MemoryLimit`]: how much memory values may take, as it is written in settings.
//!
//! It does not measure what the process takes; the store counts its values.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::SettingError;
use super::memory::usable_memory;
use super::thresholds::share;

/// The share of the memory that [`MemoryLimit::Auto`] takes: values are not all that a process holds.
const AUTO_SHARE: f64 = 0.75;

/// How much memory the values of a cluster may take before they are spilled to the disk.
///
/// # Examples
///
/// ```
/// use mobula::spill::MemoryLimit;
///
/// assert_eq!("2 GiB".parse(), Ok(MemoryLimit::Bytes(2 << 30)));
/// assert_eq!("1.5GB".parse(), Ok(MemoryLimit::Bytes(1_500_000_000)));
/// assert_eq!("50%".parse(), Ok(MemoryLimit::Share(0.5)));
/// assert_eq!("none".parse(), Ok(MemoryLimit::Unlimited));
/// assert_eq!(MemoryLimit::from(1000).resolve(), Some(1000));
/// assert!("much".parse::<MemoryLimit>().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum MemoryLimit {
    /// Three quarters of what this process may use: what the machine has, or less if its control group
    /// (a container, a batch job) is limited.
    #[default]
    Auto,
    /// A share of what this process may use, between 0 and 1.
    Share(f64),
    /// So many bytes.
    Bytes(u64),
    /// No limit: nothing is spilled.
    Unlimited,
}

impl MemoryLimit {
    /// The limit in bytes; `None` if there is none.
    ///
    /// Where it is unknown what the process may use, which is so on systems other than Linux, a share of
    /// it is no limit, and a warning is logged.
    pub fn resolve(&self) -> Option<u64> {
        self.resolve_in(Path::new("/"))
    }

    /// The same on a system whose files lie in another place.
    fn resolve_in(self, root: &Path) -> Option<u64> {
        let part = match self {
            Self::Auto => AUTO_SHARE,
            // Whatever it is, it must not become no limit.
            Self::Share(part) if part.is_nan() => AUTO_SHARE,
            Self::Share(part) => part.clamp(0.0, 1.0),
            Self::Bytes(bytes) => return Some(bytes),
            Self::Unlimited => return None,
        };
        let usable = usable_memory(root);
        if usable.is_none() {
            log::warn!(
                "it is unknown how much memory this process may use, so values are not spilled; \
                 set a memory limit in bytes"
            );
        }
        usable.map(|bytes| share(bytes, part))
    }
}

/// So many bytes.
impl From<u64> for MemoryLimit {
    fn from(bytes: u64) -> Self {
        Self::Bytes(bytes)
    }
}

/// A share.
impl TryFrom<f64> for MemoryLimit {
    type Error = SettingError;

    fn try_from(share: f64) -> Result<Self, SettingError> {
        // Shares are checked where their texts are.
        format!("{}%", share * 100.0).parse()
    }
}

impl TryFrom<String> for MemoryLimit {
    type Error = SettingError;

    fn try_from(text: String) -> Result<Self, SettingError> {
        text.parse()
    }
}

impl TryFrom<&str> for MemoryLimit {
    type Error = SettingError;

    fn try_from(text: &str) -> Result<Self, SettingError> {
        text.parse()
    }
}

/// A size (`"2 GiB"`, `"512MiB"`, `"1.5GB"`, `"2e9"`), a share (`"50%"`, `"0.5"`), `"auto"`, or `"none"` or
/// `"unlimited"`. A number of at most one without a unit is a share.
impl FromStr for MemoryLimit {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        parse(&text.trim().to_ascii_lowercase())
            .map_err(|reason| SettingError::Limit { text: text.to_owned(), reason })
    }
}

fn parse(text: &str) -> Result<MemoryLimit, &'static str> {
    match text {
        "auto" => return Ok(MemoryLimit::Auto),
        "none" | "unlimited" => return Ok(MemoryLimit::Unlimited),
        _ => {}
    }
    let (number, unit) = split(text);
    let number: f64 = number.parse().map_err(|_| "it does not start with a number")?;
    if !number.is_finite() || number <= 0.0 {
        return Err("it must be more than nothing");
    }
    match unit {
        "%" if number <= 100.0 => return Ok(MemoryLimit::Share(number / 100.0)),
        "%" => return Err("a share is at most 100%"),
        "" if number <= 1.0 => return Ok(MemoryLimit::Share(number)),
        "" if number < f64::from(1 << 20) => {
            return Err("without a unit it is a number of bytes, and less than a mebibyte");
        }
        _ => {}
    }
    let factor =
        factor(unit).ok_or("its unit is none of B, kB, MB, GB, TB, KiB, MiB, GiB and TiB")?;
    bytes(number * factor)
}

/// The number and the unit, where an `e` with a digit behind it belongs to the number.
fn split(text: &str) -> (&str, &str) {
    let bytes = text.as_bytes();
    let belongs = |position: usize| match bytes[position] {
        b'0'..=b'9' | b'.' | b'_' => true,
        b'+' | b'-' => position == 0 || bytes[position - 1] == b'e',
        b'e' => {
            let sign = usize::from(matches!(bytes.get(position + 1), Some(b'+' | b'-')));
            bytes.get(position + 1 + sign).is_some_and(u8::is_ascii_digit)
        }
        _ => false,
    };
    let end = (0..bytes.len()).find(|&position| !belongs(position)).unwrap_or(bytes.len());
    (&text[..end], text[end..].trim_start())
}

fn factor(unit: &str) -> Option<f64> {
    let factor: u64 = match unit {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "t" | "tb" => 1_000_000_000_000,
        "ki" | "kib" => 1 << 10,
        "mi" | "mib" => 1 << 20,
        "gi" | "gib" => 1 << 30,
        "ti" | "tib" => 1 << 40,
        _ => return None,
    };
    #[expect(clippy::cast_precision_loss, reason = "all of them are exact")]
    Some(factor as f64)
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked"
)]
fn bytes(amount: f64) -> Result<MemoryLimit, &'static str> {
    let amount = amount.round();
    if amount < 1.0 {
        return Err("it is less than a byte");
    }
    if amount >= u64::MAX as f64 {
        return Err("no machine has that much");
    }
    Ok(MemoryLimit::Bytes(amount as u64))
}

/// As it can be read back.
impl fmt::Display for MemoryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Share(part) => write!(f, "{}%", part * 100.0),
            Self::Bytes(bytes) => write!(f, "{bytes} B"),
            Self::Unlimited => f.write_str("unlimited"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{MemoryLimit, SettingError};

    #[test]
    fn sizes_and_shares_are_read() {
        for (text, limit) in [
            ("auto", MemoryLimit::Auto),
            (" Auto ", MemoryLimit::Auto),
            ("none", MemoryLimit::Unlimited),
            ("unlimited", MemoryLimit::Unlimited),
            ("2 GiB", MemoryLimit::Bytes(2 << 30)),
            ("512MiB", MemoryLimit::Bytes(512 << 20)),
            ("512mib", MemoryLimit::Bytes(512 << 20)),
            ("1.5GB", MemoryLimit::Bytes(1_500_000_000)),
            ("1TiB", MemoryLimit::Bytes(1 << 40)),
            ("3 kB", MemoryLimit::Bytes(3000)),
            ("7 b", MemoryLimit::Bytes(7)),
            ("1 B", MemoryLimit::Bytes(1)),
            ("2e9", MemoryLimit::Bytes(2_000_000_000)),
            ("2e+9 B", MemoryLimit::Bytes(2_000_000_000)),
            ("1e-1 GB", MemoryLimit::Bytes(100_000_000)),
            ("2000000", MemoryLimit::Bytes(2_000_000)),
            ("50%", MemoryLimit::Share(0.5)),
            ("100 %", MemoryLimit::Share(1.0)),
            ("0.5", MemoryLimit::Share(0.5)),
            ("1", MemoryLimit::Share(1.0)),
        ] {
            assert_eq!(text.parse(), Ok(limit), "{text}");
            assert_eq!(MemoryLimit::try_from(text), Ok(limit), "{text}");
            assert_eq!(limit.to_string().parse(), Ok(limit), "{limit}");
        }
    }

    #[test]
    fn nonsense_is_named() {
        for (text, why) in [
            ("", "start with a number"),
            ("much", "start with a number"),
            ("1.2.3 GB", "start with a number"),
            ("60", "without a unit"),
            ("0", "more than nothing"),
            ("-1 GB", "more than nothing"),
            ("-5%", "more than nothing"),
            ("101%", "at most 100%"),
            ("2 GX", "its unit is none of"),
            ("2 ß", "its unit is none of"),
            ("1e30", "no machine"),
            ("0.1 B", "less than a byte"),
        ] {
            let error = text.parse::<MemoryLimit>().expect_err(text);
            assert!(matches!(&error, SettingError::Limit { text: told, .. } if told == text));
            let message = error.to_string();
            assert!(message.contains(why) && message.contains("2 GiB"), "{text}: {message}");
        }
    }

    #[test]
    fn a_share_is_one_of_what_the_process_may_use() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(MemoryLimit::Auto.resolve_in(root.path()), None);
        fs::create_dir(root.path().join("proc")).unwrap();
        fs::write(root.path().join("proc/meminfo"), "MemTotal: 1000 kB\n").unwrap();
        assert_eq!(MemoryLimit::Auto.resolve_in(root.path()), Some(768_000));
        assert_eq!(MemoryLimit::Share(0.5).resolve_in(root.path()), Some(512_000));
        assert_eq!(MemoryLimit::Share(f64::NAN).resolve_in(root.path()), Some(768_000));
        assert_eq!(MemoryLimit::Share(7.0).resolve_in(root.path()), Some(1_024_000));
        assert_eq!(MemoryLimit::Bytes(5).resolve_in(root.path()), Some(5));
        assert_eq!(MemoryLimit::Unlimited.resolve_in(root.path()), None);
    }
}
