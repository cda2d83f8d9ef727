//! What looking at a cluster costs its tasks: with a monitor whose updates somebody reads, and with a
//! journal.
//!
//! All variants run the same plan on the same cluster, one after the other in each round, so often that it
//! takes at least half a second: what is written or counted late is paid for in the same sample. Nobody waits
//! for the memory of a run, whose plan is known to who looks a moment longer. The figure is the ratio to the
//! sample of the same round that nobody looks at.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use futures::StreamExt;
use futures::executor::block_on;
use futures::stream::{AbortHandle, abortable};
use mobula::monitor::{Journal, Monitor};
use mobula::{Cluster, Plan};

use crate::arguments::{Arguments, Extent};
use crate::figures::{median, micros_a_task};
use crate::measure::timed;
use crate::peers::mobula::{plan, run as run_plan, wait_for_release};
use crate::report::{Cost, Row, Section};
use crate::rounds::{Contender, Rounds, Samples, interleaved, of};
use crate::shapes::{Kind, Scale, Shape};
use crate::subject::Failure;
use crate::table::pivot;
use crate::target::Target;
use crate::work::Work;

/// The section's name.
pub(super) const NAME: &str = "watching";

const NONE: &str = "none";
const MONITOR: &str = "monitor";
const JOURNAL: &str = "journal";

/// The names of the variants.
pub(super) const SUBJECTS: [&str; 3] = [NONE, MONITOR, JOURNAL];

/// How long a sample takes at least.
const LONG_ENOUGH: Duration = Duration::from_millis(500);

/// Somebody who looks.
struct Looker {
    _monitor: Monitor,
    journal: Option<(Journal, PathBuf)>,
    reader: Option<(AbortHandle, JoinHandle<usize>)>,
}

impl Looker {
    fn new(name: &str, cluster: &Cluster) -> Result<Option<Self>, Failure> {
        if name == NONE {
            return Ok(None);
        }
        let monitor = cluster.monitor()?;
        // The first look is the dearest.
        monitor.look_blocking()?;
        let journal = if name == JOURNAL {
            let path = std::env::temp_dir().join(format!("mobula-bench-{}", std::process::id()));
            Some((monitor.journal_blocking(&path)?, path))
        } else {
            None
        };
        let reader = (name == MONITOR).then(|| {
            // As a page does that is open: each update is written as JSON.
            let (mut updates, end) = abortable(monitor.updates());
            let reader = std::thread::spawn(move || {
                let mut bytes = 0;
                while let Some(update) = block_on(updates.next()) {
                    bytes += serde_json::to_string(&*update.snapshot).map_or(0, |text| text.len());
                }
                bytes
            });
            (end, reader)
        });
        Ok(Some(Self { _monitor: monitor, journal, reader }))
    }

    /// Nobody looks any more.
    fn end(self) -> Result<(), Failure> {
        if let Some((journal, path)) = self.journal {
            journal.close_blocking()?;
            let written = std::fs::metadata(&path)?.len();
            std::fs::remove_file(path)?;
            if written == 0 {
                return Err("the journal is empty".into());
            }
        }
        if let Some((end, reader)) = self.reader {
            end.abort();
            if reader.join().unwrap_or_default() == 0 {
                return Err("no update has come".into());
            }
        }
        Ok(())
    }
}

/// Measures the section.
pub(super) fn run(arguments: &Arguments, workers: usize) -> Section {
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    if let Err(failure) = measure(arguments, workers, &mut rows, &mut notes) {
        notes.push(format!("{NAME}: {failure}"));
    }
    Section { text: text(&rows), rows, notes }
}

fn measure(
    arguments: &Arguments,
    workers: usize,
    rows: &mut Vec<Row>,
    notes: &mut Vec<String>,
) -> Result<(), Failure> {
    let scale = match arguments.extent {
        Extent::Whole => Scale::Full,
        Extent::Quick => Scale::Tenth,
        Extent::Smoke => Scale::Small,
    };
    for kind in [Kind::Chain, Kind::Layers, Kind::Independent] {
        if !arguments.wants_kind(kind) {
            continue;
        }
        println!("{NAME}: {}", kind.name());
        let shape = Shape::new(kind, scale);
        let plan = Arc::new(plan(&shape, Work::Trivial)?);
        let cluster = Cluster::builder().workers(workers).start()?;
        let (first, result) = timed(|| run_plan(&cluster, &plan));
        result?;
        let smoke = matches!(arguments.extent, Extent::Smoke);
        let fit = LONG_ENOUGH.as_nanos() / first.as_nanos().max(1) + 1;
        let times = if smoke { 1 } else { u32::try_from(fit)? };
        let wanted = SUBJECTS.iter().filter(|name| **name == NONE || arguments.wants_subject(name));
        let contenders = wanted.map(|&name| {
            let (cluster, plan, shape) = (&cluster, &plan, &shape);
            Contender::new(name, move || go(name, cluster, plan, shape, times))
        });
        let rounds = Rounds { warm_up: 1, counted: arguments.rounds };
        let all = interleaved(contenders.collect(), rounds, notes);
        rows.extend(all.iter().map(|samples| row(kind, &shape, samples, &all)));
    }
    Ok(())
}

/// Some runs that are looked at, or not; answers what one of them took.
fn go(
    name: &str,
    cluster: &Cluster,
    plan: &Arc<Plan>,
    shape: &Shape,
    times: u32,
) -> Result<Duration, Failure> {
    let looker = Looker::new(name, cluster)?;
    // Whoever looked before has gone when this is over.
    run_plan(cluster, plan)?;
    wait_for_release(plan);
    let (time, result) = timed(|| {
        let mut result = run_plan(cluster, plan)?;
        for _ in 1..times {
            result = run_plan(cluster, plan)?;
        }
        Ok::<_, Failure>(result)
    });
    if let Some(looker) = looker {
        looker.end()?;
    }
    wait_for_release(plan);
    match result? {
        result if result == shape.expected() => Ok(time / times),
        result => Err(format!("the result {result} is wrong").into()),
    }
}

fn row(kind: Kind, shape: &Shape, samples: &Samples<Duration>, all: &[Samples<Duration>]) -> Row {
    let each = |times: &[Duration]| micros_a_task(times, shape.tasks());
    let own = each(&samples.samples);
    let none = of(all, NONE).map(each).unwrap_or_default();
    let ratio = median(own.iter().zip(&none).map(|(own, none)| own / none));
    let bound = match samples.name {
        MONITOR => Some(1.02),
        JOURNAL => Some(1.05),
        // The others are only told.
        _ => None,
    };
    let promise = format!("{NAME}: {}, `{}` is times slower", kind.name(), samples.name);
    let target = bound.map(|bound| Target::at_most(promise, ratio, bound, ""));
    Row {
        bench: NAME,
        shape: kind.name().to_owned(),
        subject: samples.name.to_owned(),
        cost: Some(Cost::new(&own, shape.tasks())),
        rounds: own.len(),
        figures: BTreeMap::from([("ratio", ratio)]),
        targets: target.into_iter().collect(),
    }
}

fn text(rows: &[Row]) -> String {
    let cell = |row: &Row| Some(format!("{:.3} ({:.3})", row.figure("ratio"), row.us_per_task()?));
    format!("### Looking: times as slow as without (µs a task)\n\n{}", pivot(rows, cell))
}
