//! The stream of what happens, as server-sent events.
//!
//! A page gets the state of things at most four times a second, and with it what workers did since. A page
//! that reads slowly gets less often, never more: what waits for it is bounded, and the last state always comes.
//! Pages that are told the same state share its text, and long tracebacks are not in it: a page asks for them when
//! somebody reads them.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::web::Bytes;
use futures::{Stream, StreamExt};
use serde::Serialize;

use crate::monitor::{Block, ErrorSnapshot, Monitor, Snapshot, Update, Updates};

/// How long it takes at most until a reader sees that the dashboard ends.
const LOOK_UP: Duration = Duration::from_millis(100);

/// So many pages are told what happens.
const MOST_READERS: usize = 64;

/// How far apart two events are at least.
const APART: Duration = Duration::from_millis(250);

/// After so long without an event a comment is sent, so that nobody takes the connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// So many blocks wait for the next event; what is beyond them is not shown.
const MOST_BLOCKS: usize = 8_192;

/// Details of an error that are longer are left out: there may be many, four times a second.
const LONG_DETAILS: usize = 4_096;

/// One who reads.
struct Reader {
    updates: Updates,
    /// What is to be told next.
    snapshot: Option<Arc<Snapshot>>,
    blocks: Vec<Block>,
    /// When something was told last.
    told: Instant,
    has_ended: bool,
    readers: Arc<Readers>,
}

/// Those who read.
#[derive(Debug, Default)]
pub(super) struct Readers {
    count: AtomicUsize,
    /// True when there is nothing more to tell, because the dashboard ends.
    is_over: AtomicBool,
    /// The state that was told last, as text: most of those who read are told the same one.
    told: Mutex<Option<(Arc<Snapshot>, Bytes)>>,
}

impl Readers {
    /// Counts one more who reads, if there is room for him.
    pub(super) fn add(&self) -> bool {
        let more = |count: usize| (count < MOST_READERS).then_some(count + 1);
        self.count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Tells all of them that there is nothing more to come.
    pub(super) fn dismiss(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    /// A state as an event.
    fn event(&self, snapshot: &Arc<Snapshot>) -> Bytes {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, text)) = told.as_ref().filter(|(last, _)| Arc::ptr_eq(last, snapshot)) {
            return text.clone();
        }
        let text = Bytes::from(state(snapshot));
        *told = Some((Arc::clone(snapshot), text.clone()));
        text
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.readers.count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What workers did, in columns of one length.
#[derive(Default, Serialize)]
struct Columns<'a> {
    run: Vec<u64>,
    worker: Vec<u32>,
    prefix: Vec<u32>,
    from: Vec<f64>,
    to: Vec<f64>,
    tasks: Vec<u32>,
    failed: Vec<u8>,
    key: Vec<&'a str>,
}

/// What happens, for one more who reads: `readers` has counted him already.
pub(super) fn stream(
    monitor: &Monitor,
    readers: Arc<Readers>,
) -> impl Stream<Item = Result<Bytes, Infallible>> + use<> {
    let reader = Reader {
        updates: monitor.updates(),
        snapshot: Some(monitor.snapshot()),
        blocks: Vec::new(),
        told: long_ago(),
        has_ended: false,
        readers,
    };
    let events = futures::stream::unfold(reader, |mut reader| async move {
        let events = reader.next().await?;
        Some((futures::stream::iter(events), reader))
    });
    events.flatten().map(Ok)
}

#[expect(clippy::disallowed_methods, reason = "events are sent at intervals")]
fn now() -> Instant {
    Instant::now()
}

fn long_ago() -> Instant {
    now().checked_sub(APART).unwrap_or_else(now)
}

impl Reader {
    /// The next events, once they are due; `None` behind the last one.
    async fn next(&mut self) -> Option<Vec<Bytes>> {
        if self.has_ended {
            return None;
        }
        loop {
            if self.readers.is_over.load(Ordering::Acquire) {
                return Some(self.end());
            }
            let since = now().saturating_duration_since(self.told);
            let due = if self.snapshot.is_some() { APART } else { KEEP_ALIVE };
            let Some(left) = due.checked_sub(since).filter(|left| !left.is_zero()) else {
                self.told = now();
                return Some(self.take().unwrap_or_else(|| vec![Bytes::from_static(b":\n\n")]));
            };
            let next = actix_rt::time::timeout(left.min(LOOK_UP), self.updates.next()).await;
            match next {
                Ok(Some(update)) => self.hear(&update),
                Ok(None) => return Some(self.end()),
                Err(_) => {}
            }
        }
    }

    /// The last events.
    fn end(&mut self) -> Vec<Bytes> {
        self.has_ended = true;
        let mut last = self.take().unwrap_or_default();
        last.push(Bytes::from_static(b"event: end\ndata: {}\n\n"));
        last
    }

    fn hear(&mut self, update: &Update) {
        self.snapshot = Some(Arc::clone(&update.snapshot));
        let room = MOST_BLOCKS.saturating_sub(self.blocks.len());
        self.blocks.extend(update.blocks.iter().take(room).cloned());
    }

    /// What is to be told, as events.
    fn take(&mut self) -> Option<Vec<Bytes>> {
        let snapshot = self.snapshot.take()?;
        let mut events = vec![self.readers.event(&snapshot)];
        let blocks = std::mem::take(&mut self.blocks);
        if !blocks.is_empty() {
            events.push(event("blocks", &columns(&blocks)).into());
        }
        Some(events)
    }
}

/// A state as an event, without long details.
fn state(snapshot: &Snapshot) -> String {
    let is_long = |error: &ErrorSnapshot| error.details.len() > LONG_DETAILS;
    if !snapshot.errors.iter().any(is_long) {
        return event("snapshot", snapshot);
    }
    let mut short = snapshot.clone();
    for error in short.errors.iter_mut().filter(|error| is_long(error)) {
        error.details.clear();
    }
    event("snapshot", &short)
}

fn columns(blocks: &[Block]) -> Columns<'_> {
    let mut columns = Columns::default();
    for block in blocks {
        columns.run.push(block.run);
        columns.worker.push(block.worker);
        columns.prefix.push(block.prefix);
        columns.from.push(block.from);
        columns.to.push(block.to);
        columns.tasks.push(block.tasks);
        columns.failed.push(u8::from(block.failed));
        columns.key.push(&block.key);
    }
    columns
}

/// An event; JSON has no line breaks of its own.
fn event(name: &str, data: &impl Serialize) -> String {
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {name}\ndata: {data}\n\n")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Block, ErrorSnapshot, LONG_DETAILS, Readers, Snapshot, columns, event};

    #[test]
    fn each_block_has_its_place_in_all_columns() {
        let mut blocks = vec![Block::default(), Block::default()];
        blocks[0].tasks = 3;
        (blocks[1].run, blocks[1].failed, blocks[1].key) = (7, true, "a\n\"b\"".to_owned());
        let told = event("blocks", &columns(&blocks));
        let data = r#"{"run":[0,7],"worker":[0,0],"prefix":[0,0],"from":[0.0,0.0],"to":[0.0,0.0],"tasks":[3,0],"failed":[0,1],"key":["","a\n\"b\""]}"#;
        assert_eq!(told, format!("event: blocks\ndata: {data}\n\n"));
    }

    #[test]
    fn those_who_are_told_the_same_share_its_text_without_long_details() {
        let error = |length| ErrorSnapshot { details: "x".repeat(length), ..Default::default() };
        let errors = vec![error(LONG_DETAILS), error(LONG_DETAILS + 1)];
        let snapshot = Arc::new(Snapshot { errors, ..Snapshot::default() });
        let readers = Readers::default();
        let [one, other] = [0, 1].map(|_| readers.event(&snapshot));
        assert_eq!(one.as_ptr(), other.as_ptr());
        let told = one.strip_prefix(b"event: snapshot\ndata: ").expect("it is that event");
        let told: Snapshot = serde_json::from_slice(told).expect("it is a snapshot");
        let lengths: Vec<usize> = told.errors.iter().map(|error| error.details.len()).collect();
        assert_eq!(lengths, [LONG_DETAILS, 0]);
        assert_ne!(readers.event(&Arc::new(Snapshot::default())), one);
    }
}
