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

/// Writes the spans: how many each worker has, the key prefix of each task of each run, then by span, worker after
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
    for (run, places) in recording.runs.iter().zip(&summary.places) {
        pack.number(run.id)?;
        pack.number(run.prefixes.len() as u64)?;
        for prefix in &run.prefixes {
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
        pack.number(run.keys.len() as u64)?;
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
    for (key, prefix) in run.keys.iter().zip(&run.prefixes) {
        let key = key.as_bytes();
        let other = before.get(prefix).copied().unwrap_or_default();
        let shared = key.iter().zip(other).take_while(|(a, b)| a == b).count();
        let kept = &key[..key.len().min(shared.saturating_add(most))];
        before.insert(*prefix, kept);
        each(shared, &kept[shared..], kept.len() < key.len())?;
    }
    Ok(())
}
