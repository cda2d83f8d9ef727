//! What a page knows of each task, in few bytes: numbers column by column, deflated, as base64.
//!
//! `report.js` reads it in the same order. All numbers are varints: seven bits a byte, the lowest first; one that
//! may be negative is doubled first, minus one if it was (zigzag).
//!
//! Times are counted in ticks, the shortest power of ten nanoseconds of which 2^36 span the recording: a
//! nanosecond up to a minute, a microsecond up to 19 hours. Of a size the first eight bits are kept.

use std::collections::HashMap;
use std::io::{self, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::base64::Base64;
use crate::monitor::{RecordedRun, Recording, Span};
use crate::report::order::each_worker;
use crate::report::summary::Summary;

/// How many bytes the parts of keys may take that they do not share with the key before. Beyond that, which takes
/// millions of keys or random ones, each is shortened.
const KEY_BUDGET: usize = 8_000_000;

/// The fewest bytes that are left of the part of a key that it does not share.
const SHORTEST: usize = 8;

/// What stands at the end of a key that was shortened. A character that was cut apart is shown as a question mark.
const CUT: &[u8] = "…".as_bytes();

/// Numbers on their way into a page.
struct Pack<'a, W: Write> {
    encoder: ZlibEncoder<Base64<'a, W>>,
    /// What the encoder has not seen yet: it likes large pieces better.
    waiting: Vec<u8>,
}

impl<'a, W: Write> Pack<'a, W> {
    fn new(out: &'a mut W) -> Self {
        Self {
            encoder: ZlibEncoder::new(Base64::new(out), Compression::new(6)),
            waiting: Vec::new(),
        }
    }

    fn number(&mut self, mut number: u64) -> io::Result<()> {
        while number >= 128 {
            self.waiting.push((number & 127) as u8 | 128);
            number >>= 7;
        }
        self.waiting.push((number & 127) as u8);
        self.drain(1 << 16)
    }

    fn difference(&mut self, from: u64, to: u64) -> io::Result<()> {
        if to >= from { self.number((to - from) << 1) } else { self.number(((from - to) << 1) - 1) }
    }

    fn text(&mut self, text: &[u8]) -> io::Result<()> {
        self.number(text.len() as u64)?;
        self.waiting.extend_from_slice(text);
        self.drain(1 << 16)
    }

    fn drain(&mut self, most: usize) -> io::Result<()> {
        if self.waiting.len() >= most {
            self.encoder.write_all(&self.waiting)?;
            self.waiting.clear();
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        self.drain(1)?;
        self.encoder.finish()?.finish()
    }
}

/// How many nanoseconds a tick takes.
pub(super) fn tick(elapsed: u64) -> u64 {
    let mut tick = 1;
    while elapsed / tick >= 1 << 36 {
        tick *= 10;
    }
    tick
}

/// Writes the spans: how many each worker has, how many runs and tasks there are, the key prefix of each task of each
/// run, then by span, worker after
/// worker, the columns start (as the difference to the end before), duration, run and task (both as differences to
/// the span before) and size; at last the places of those that failed.
pub(super) fn write_spans(
    recording: &Recording,
    summary: &Summary,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut pack = Pack::new(out);
    let tick = tick(summary.elapsed);
    let rows: Vec<&[u32]> = {
        let mut rows = vec![&[][..]; summary.workers.len()];
        for (id, places) in each_worker(recording, &summary.order) {
            let row = summary.workers.binary_search_by_key(&id, |worker| worker.id);
            rows[row.expect("the workers of all spans are known")] = places;
        }
        rows
    };
    pack.number(rows.len() as u64)?;
    for row in &rows {
        pack.number(row.len() as u64)?;
    }
    pack.number(recording.runs.len() as u64)?;
    pack.number(recording.runs.iter().map(|run| run.graph.prefixes.len() as u64).sum())?;
    for (run, places) in recording.runs.iter().zip(&summary.places) {
        pack.number(run.id)?;
        pack.number(run.graph.prefixes.len() as u64)?;
        for prefix in &run.graph.prefixes {
            pack.number(u64::from(places[*prefix as usize]))?;
        }
    }
    let span = |place: &u32| &recording.spans[*place as usize];
    let ticks = |time: u64| time.saturating_sub(recording.began) / tick;
    for row in &rows {
        let mut before = 0;
        for one in row.iter().map(span) {
            pack.difference(before, ticks(one.from))?;
            before = ticks(one.to);
        }
    }
    for one in rows.iter().flat_map(|row| row.iter()).map(span) {
        pack.number(ticks(one.to).saturating_sub(ticks(one.from)))?;
    }
    let columns: [fn(&Span) -> u32; 2] = [|span| span.run, |span| span.task];
    for column in columns {
        for row in &rows {
            let mut before = 0;
            for one in row.iter().map(span) {
                let number = u64::from(column(one));
                pack.difference(before, number)?;
                before = number;
            }
        }
    }
    for one in rows.iter().flat_map(|row| row.iter()).map(span) {
        pack.number(eight_bits(one.bytes))?;
    }
    let spans = rows.iter().flat_map(|row| row.iter()).map(span);
    let failed: Vec<u64> = (0..).zip(spans).filter(|(_, one)| one.failed).map(|(n, _)| n).collect();
    pack.number(failed.len() as u64)?;
    let mut before = 0;
    for place in failed {
        pack.number(place - before)?;
        before = place;
    }
    pack.finish()
}

/// The number with its first eight bits only.
fn eight_bits(number: u64) -> u64 {
    let rest = (64 - number.leading_zeros()).saturating_sub(8);
    number >> rest << rest
}

/// Writes the keys of all runs, and says whether they had to be shortened. By run: how many there are, then by
/// key how many bytes it shares with the last one of its prefix, and the rest of it.
pub(super) fn write_keys(recording: &Recording, out: &mut impl Write) -> io::Result<bool> {
    let (mut rests, mut keys) = (0, 0);
    for run in &recording.runs {
        each_key(run, usize::MAX, |_, rest, _| {
            rests += rest.len();
            keys += 1;
            Ok(())
        })?;
    }
    let most = if rests <= KEY_BUDGET { usize::MAX } else { (KEY_BUDGET / keys).max(SHORTEST) };
    let mut were_cut = false;
    let mut pack = Pack::new(out);
    pack.number(recording.runs.len() as u64)?;
    for run in &recording.runs {
        pack.number(run.graph.keys.len() as u64)?;
        each_key(run, most, |shared, rest, is_cut| {
            were_cut |= is_cut;
            pack.number(shared as u64)?;
            if is_cut { pack.text(&[rest, CUT].concat()) } else { pack.text(rest) }
        })?;
    }
    pack.finish()?;
    Ok(were_cut)
}

/// Calls `each` for every key with the number of bytes that it shares with the key before of its prefix, at most
/// `most` bytes of the rest of it, and whether that is not all of it.
fn each_key(
    run: &RecordedRun,
    most: usize,
    mut each: impl FnMut(usize, &[u8], bool) -> io::Result<()>,
) -> io::Result<()> {
    // What is kept of the last key of each prefix.
    let mut before: HashMap<u32, &[u8]> = HashMap::new();
    for (key, prefix) in run.graph.keys.iter().zip(&run.graph.prefixes) {
        let key = key.as_bytes();
        let other = before.get(prefix).copied().unwrap_or_default();
        let shared = key.iter().zip(other).take_while(|(a, b)| a == b).count();
        let kept = &key[..key.len().min(shared.saturating_add(most))];
        before.insert(*prefix, kept);
        each(shared, &kept[shared..], kept.len() < key.len())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::Arc;

    use flate2::read::ZlibDecoder;

    use super::{each_key, eight_bits, tick, write_keys, write_spans};
    use crate::monitor::{RecordedGraph, RecordedRun};
    use crate::report::samples::{EVIL, failed};
    use crate::report::summary::Summary;

    /// Undoes base64 and deflate.
    fn unpacked(text: &[u8]) -> Vec<u8> {
        let digit = |byte: &u8| match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            _ => 63,
        };
        let mut bytes = Vec::new();
        for four in text.chunks(4) {
            let kept = four.iter().take_while(|byte| **byte != b'=');
            let bits =
                kept.map(digit).chain([0; 4]).take(4).fold(0, |bits, d| bits << 6 | u32::from(d));
            bytes.extend_from_slice(&bits.to_be_bytes()[1..]);
        }
        let mut all = Vec::new();
        ZlibDecoder::new(&bytes[..]).read_to_end(&mut all).expect("it was deflated");
        all
    }

    fn number(bytes: &mut impl Iterator<Item = u8>) -> Option<u64> {
        let mut number = 0;
        for shift in (0..).step_by(7) {
            let byte = bytes.next()?;
            number |= u64::from(byte & 127) << shift;
            if byte < 128 {
                break;
            }
        }
        Some(number)
    }

    #[test]
    fn spans_are_packed_column_by_column() {
        let recording = failed();
        let mut out = Vec::new();
        write_spans(&recording, &Summary::of(&recording), &mut out).expect("it fits");
        let mut bytes = unpacked(&out).into_iter();
        let numbers: Vec<u64> = std::iter::from_fn(|| number(&mut bytes)).collect();
        let expected: [&[u64]; 8] = [
            // Two workers with two and three spans; a run, all tasks, its number, its tasks and their prefixes.
            &[2, 2, 3, 1, 6, 7, 6, 0, 0, 1, 1, 1, 0],
            // Starts: 1000, then 3500 before the end before; 1000, 2000 before, 1000 behind.
            &[2000, 6999, 2000, 3999, 2000],
            &[4500, 1000, 3000, 3000, 3000],
            // Runs, all the first one.
            &[0, 0, 0, 0, 0],
            // Tasks: 0, 1; 2, 3, 4.
            &[0, 2, 4, 2, 2],
            // Sizes, rounded.
            &[8, 300, 1_228_800, 0, 0],
            // The last one failed.
            &[1],
            &[4],
        ];
        assert_eq!(numbers, expected.concat());
    }

    #[test]
    fn keys_share_what_they_can() {
        let recording = failed();
        let mut out = Vec::new();
        assert!(!write_keys(&recording, &mut out).expect("it fits"), "no key was cut");
        let mut bytes = unpacked(&out).into_iter();
        assert_eq!((number(&mut bytes), number(&mut bytes)), (Some(1), Some(6)));
        assert_eq!(
            (number(&mut bytes), number(&mut bytes)),
            (Some(0), Some(EVIL.len() as u64 + 2))
        );
        let first: Vec<u8> = bytes.by_ref().take(EVIL.len() + 2).collect();
        assert_eq!(first, format!("{EVIL}-0").into_bytes());
        // The second one differs in its last digit.
        assert_eq!(
            (number(&mut bytes), number(&mut bytes)),
            (Some(EVIL.len() as u64 + 1), Some(1))
        );
        assert_eq!(bytes.next(), Some(b'1'));
    }

    #[test]
    fn a_key_that_is_cut_shares_with_what_was_kept() {
        let keys = ["inc-0123456789", "inc-0123999999", "inc-7"].map(str::to_owned).to_vec();
        let graph = RecordedGraph { keys, prefixes: vec![0; 3], ..RecordedGraph::default() };
        let run = RecordedRun { graph: Arc::new(graph), ..RecordedRun::default() };
        let mut told = Vec::new();
        each_key(&run, 6, |shared, rest, is_cut| {
            told.push((shared, String::from_utf8_lossy(rest).into_owned(), is_cut));
            Ok(())
        })
        .expect("nothing is written");
        let expected = [(0, "inc-01", true), (6, "239999", true), (4, "7", false)];
        let expected = expected.map(|(shared, rest, is_cut)| (shared, rest.to_owned(), is_cut));
        assert_eq!(told, expected);
    }

    #[test]
    fn ticks_and_sizes_have_as_many_digits_as_are_shown() {
        assert_eq!([0, (1 << 36) - 1, 1 << 36, u64::MAX].map(tick), [1, 1, 10, 1_000_000_000]);
        assert_eq!([0, 255, 256, 257, u64::MAX].map(eight_bits), [0, 255, 256, 256, 255 << 56]);
    }
}
