//! Codecs of small types of the standard library that have values of their own to guard.
//!
//! Each writes at least one byte, so that a count of such items is bounded by the bytes there are.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::{Codec, CodecError, Source, raw};

pub(in crate::value) fn unit() -> Codec<()> {
    Codec::robust(|(), out| Ok(out.write_all(&[0])?), |source| flag(source, &[()]))
}

pub(in crate::value) fn boolean() -> Codec<bool> {
    Codec::robust(
        |truth, out| Ok(out.write_all(&[u8::from(*truth)])?),
        |source| flag(source, &[false, true]),
    )
}

/// The choice that the next byte stands for.
pub(super) fn flag<T: Copy>(source: &mut Source<'_>, choices: &[T]) -> Result<T, CodecError> {
    let byte = source.read_byte()?;
    let choice = choices.get(usize::from(byte)).copied();
    choice.ok_or_else(|| CodecError::data(format!("the byte {byte} stands for nothing here")))
}

pub(in crate::value) fn character() -> Codec<char> {
    Codec::robust(
        |character, out| Ok(out.write_all(&u32::from(*character).to_ne_bytes())?),
        |source| {
            let code = u32::from_ne_bytes(array(source)?);
            let invalid = || CodecError::data(format!("{code:#x} is no character"));
            char::from_u32(code).ok_or_else(invalid)
        },
    )
}

pub(in crate::value) fn duration() -> Codec<Duration> {
    Codec::robust(|duration, out| write_duration(*duration, out), read_duration)
}

/// As the way from the Unix epoch, and whether it leads back in time.
pub(in crate::value) fn system_time() -> Codec<SystemTime> {
    Codec::robust(
        |time, out| {
            let (before, way) = match time.duration_since(SystemTime::UNIX_EPOCH) {
                Ok(after) => (0, after),
                Err(error) => (1, error.duration()),
            };
            out.write_all(&[before])?;
            write_duration(way, out)
        },
        |source| {
            let before = flag(source, &[false, true])?;
            let way = read_duration(source)?;
            let epoch = SystemTime::UNIX_EPOCH;
            let time = if before { epoch.checked_sub(way) } else { epoch.checked_add(way) };
            time.ok_or_else(|| CodecError::data(format!("a time {way:?} from the epoch")))
        },
    )
}

pub(in crate::value) fn path() -> Codec<PathBuf> {
    Codec::robust(
        |path, out| raw::write(path.as_os_str().as_encoded_bytes(), out),
        |source| os_string(raw::read(source)?).map(PathBuf::from),
    )
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "on other systems not all bytes are a path")]
fn os_string(bytes: Vec<u8>) -> Result<OsString, CodecError> {
    Ok(std::os::unix::ffi::OsStringExt::from_vec(bytes))
}

#[cfg(not(unix))]
fn os_string(bytes: Vec<u8>) -> Result<OsString, CodecError> {
    String::from_utf8(bytes).map(OsString::from).map_err(CodecError::data)
}

fn write_duration(duration: Duration, out: &mut dyn Write) -> Result<(), CodecError> {
    out.write_all(&duration.as_secs().to_ne_bytes())?;
    Ok(out.write_all(&duration.subsec_nanos().to_ne_bytes())?)
}

fn read_duration(source: &mut Source<'_>) -> Result<Duration, CodecError> {
    let seconds = u64::from_ne_bytes(array(source)?);
    let nanoseconds = u32::from_ne_bytes(array(source)?);
    // `Duration::new` would carry them over, and panic where there is no room.
    if nanoseconds >= 1_000_000_000 {
        return Err(CodecError::data(format!("{nanoseconds} nanoseconds in a second")));
    }
    Ok(Duration::new(seconds, nanoseconds))
}

fn array<const N: usize>(source: &mut Source<'_>) -> Result<[u8; N], CodecError> {
    let mut bytes = [0; N];
    source.read_exact(&mut bytes)?;
    Ok(bytes)
}
