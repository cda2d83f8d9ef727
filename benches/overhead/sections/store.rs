//! The store: data larger than its memory, beside what the disk can do; and what keeping an account costs.
//!
//! Blocks of `f64` are made, and either read once, pair by pair, up to one block (`tree_sum`), or all kept
//! and then read back one by one (`persist`). Each goes in a process of its own, which says how much memory
//! it had at its most. In the same rounds `dd` writes a file of as many bytes into the same directory and
//! reads it back, with the same block size. The clock stops when the last block is kept, and when the last
//! one was read; nobody waits for the medium, neither here nor there.
//!
//! The account is the difference between the same graphs on two clusters, with a memory limit that is
//! never reached and without one.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use mobula::{CallbackBuilder, Cluster, Delayed, Func, Graph, Key, Plan, Task, delayed, lit};

use crate::arguments::{Arguments, Extent};
use crate::figures::{median, micros};
use crate::measure::{Clock, timed};
use crate::peers::mobula::{run as run_plan, wait_for_release};
use crate::report::{Row, Section};
use crate::rounds::{Contender, Rounds, Samples, interleaved};
use crate::shapes::Shape;
use crate::subject::Failure;
use crate::table::grid;
use crate::target::Target;

/// The section's name.
pub(super) const NAME: &str = "store";

/// The argument that makes this program process blocks, print what it took, and end.
pub(crate) const FLAG: &str = "--store";

const TREE_SUM: &str = "tree_sum";
const PERSIST: &str = "persist";
const DD: &str = "dd";
const SMALL: &str = "small_values";
const LARGE: &str = "large_values";

/// The names of all that is measured, the peer's included.
pub(super) const SUBJECTS: [&str; 5] = [TREE_SUM, PERSIST, DD, SMALL, LARGE];

/// What the process may take in all, where its values may take 512 MiB.
const MOST_RESIDENT: f64 = 700.0;

/// How many blocks there are, and how large they and the memory limit are.
#[derive(Clone, Copy)]
struct Ground {
    blocks: u64,
    block_mib: u64,
    limit_mib: u64,
}

impl Ground {
    fn of(extent: Extent) -> Self {
        match extent {
            Extent::Whole => Self { blocks: 256, block_mib: 16, limit_mib: 512 },
            Extent::Quick => Self { blocks: 64, block_mib: 16, limit_mib: 256 },
            Extent::Smoke => Self { blocks: 8, block_mib: 1, limit_mib: 4 },
        }
    }

    fn bytes(self) -> u64 {
        (self.blocks * self.block_mib) << 20
    }
}

/// What a process took.
#[derive(Default)]
struct Sample {
    write: Duration,
    read: Duration,
    /// The most memory that the process had, in MiB.
    resident: f64,
    /// What was written to disk, in MiB.
    written: f64,
}

/// Measures the section.
pub(super) fn run(arguments: &Arguments, workers: usize) -> Section {
    println!("{NAME}");
    let mut notes = Vec::new();
    let mut rows = match blocks(arguments, &mut notes) {
        Ok(rows) => rows,
        Err(failure) => {
            notes.push(format!("{NAME}: {failure}"));
            Vec::new()
        }
    };
    match account(arguments, workers, &mut notes) {
        Ok(more) => rows.extend(more),
        Err(failure) => notes.push(format!("{NAME}: {failure}")),
    }
    Section { text: text(&rows), rows, notes }
}

fn blocks(arguments: &Arguments, notes: &mut Vec<String>) -> Result<Vec<Row>, Failure> {
    let ground = Ground::of(arguments.extent);
    let directory = std::env::temp_dir().join(format!("mobula-bench-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let contenders = [
        Contender::new(TREE_SUM, || process(TREE_SUM, &directory, ground)),
        Contender::new(DD, || dd(&directory, ground)),
        Contender::new(PERSIST, || process(PERSIST, &directory, ground)),
    ];
    let wanted = contenders.into_iter().filter(|one| arguments.wants_subject(one.name));
    let counted = if arguments.extent == Extent::Smoke { 1 } else { arguments.rounds.min(5) };
    let all = interleaved(wanted.collect(), Rounds { warm_up: 0, counted }, notes);
    fs::remove_dir_all(&directory)?;
    let throughput = |samples: &Samples<Sample>| {
        let all = samples.samples.iter().map(|one| (one.write + one.read).as_secs_f64());
        2.0 * mebibytes(ground.bytes()) / median(all)
    };
    let disk = all.iter().find(|samples| samples.name == DD).map(throughput);
    Ok(all.iter().map(|samples| block_row(samples, throughput(samples), disk, ground)).collect())
}

#[expect(clippy::cast_precision_loss, reason = "a size for people")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn block_row(samples: &Samples<Sample>, throughput: f64, disk: Option<f64>, ground: Ground) -> Row {
    let greatest = |part: fn(&Sample) -> f64| {
        samples.samples.iter().map(part).fold(f64::NEG_INFINITY, f64::max)
    };
    let seconds = |part: fn(&Sample) -> Duration| {
        median(samples.samples.iter().map(|sample| part(sample).as_secs_f64()))
    };
    let mut figures = BTreeMap::from([
        ("seconds_write", seconds(|sample| sample.write)),
        ("seconds_read", seconds(|sample| sample.read)),
        ("written_mib", greatest(|sample| sample.written)),
    ]);
    let mut targets = Vec::new();
    let Ground { blocks, block_mib, limit_mib } = ground;
    if samples.name != DD {
        let resident = greatest(|sample| sample.resident);
        figures.insert("resident_mib", resident);
        if limit_mib == 512 {
            let promise = format!("{NAME}: {}, peak resident memory", samples.name);
            targets.push(Target::at_most(promise, resident, MOST_RESIDENT, "MiB"));
        }
    }
    if samples.name == TREE_SUM {
        let promise = format!("{NAME}: {TREE_SUM}, written to disk");
        targets.push(Target::at_most(promise, figures["written_mib"], 0.0, "MiB"));
    } else {
        figures.insert("mib_per_second", throughput);
    }
    if let Some(disk) = disk.filter(|_| samples.name == PERSIST) {
        let share = throughput / disk;
        figures.insert("share_of_dd", share);
        let promise = format!("{NAME}: {PERSIST}, throughput of write and restore by dd's");
        targets.push(Target::at_least(promise, share, 0.6, ""));
    }
    Row {
        bench: NAME,
        shape: format!("{blocks}_blocks_of_{block_mib}_mib"),
        subject: samples.name.to_owned(),
        cost: None,
        rounds: samples.samples.len(),
        figures,
        targets,
    }
}

/// Lets a process of its own do it.
fn process(what: &str, directory: &Path, ground: Ground) -> Result<Sample, Failure> {
    let Ground { blocks, block_mib, limit_mib } = ground;
    let numbers = [blocks, block_mib, limit_mib].map(|number| number.to_string());
    let output = Command::new(std::env::current_exe()?)
        .args([FLAG, what])
        .arg(directory)
        .args(numbers)
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("{what} ended with {}", output.status).into());
    }
    let line = String::from_utf8(output.stdout)?;
    let numbers: Vec<f64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let &[write, read, resident, written] = &numbers[..] else {
        return Err(format!("{what} said {line:?}").into());
    };
    let seconds = Duration::from_secs_f64;
    Ok(Sample { write: seconds(write), read: seconds(read), resident, written })
}

/// What the flag asks for.
pub(crate) fn serve(rest: &[String], workers: usize) -> Result<(), Box<dyn Error>> {
    let [what, directory, numbers @ ..] = rest else { return Err("what, and where?".into()) };
    let numbers: Vec<u64> =
        numbers.iter().map(|number| number.parse()).collect::<Result<_, _>>()?;
    let &[blocks, block_mib, limit_mib] = &numbers[..] else {
        return Err("how many blocks, and how large are they and the memory limit?".into());
    };
    let ground = Ground { blocks, block_mib, limit_mib };
    let cluster = Cluster::builder()
        .workers(workers)
        .memory_limit(limit_mib << 20)
        .spill_directory(PathBuf::from(directory))
        .start()?;
    let (write, read) = match what.as_str() {
        TREE_SUM => (tree_sum(&cluster, ground)?, Duration::ZERO),
        PERSIST => persist(&cluster, ground)?,
        other => return Err(format!("nobody knows {other:?}").into()),
    };
    let written = mebibytes(cluster.stats_blocking()?.disk.written_bytes);
    let (write, read) = (write.as_secs_f64(), read.as_secs_f64());
    println!("{write} {read} {} {written}", resident_mib()?);
    Ok(())
}

/// The most memory that this process had, in MiB, where the system says so.
fn resident_mib() -> Result<f64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")).ok_or("no VmHWM")?;
    Ok(kibibytes.trim().parse::<f64>()? / 1024.0)
}

/// A block whose numbers are all `number`.
fn block(number: u64, length: usize) -> Vec<f64> {
    vec![f64::from(u32::try_from(number).unwrap_or(u32::MAX)); length]
}

fn length(ground: Ground) -> Result<usize, Box<dyn Error>> {
    Ok(usize::try_from(ground.block_mib << 20)? / size_of::<f64>())
}

#[expect(clippy::float_cmp, reason = "sums of small whole numbers are exact")]
fn tree_sum(cluster: &Cluster, ground: Ground) -> Result<Duration, Box<dyn Error>> {
    fn one_more(mut block: Vec<f64>) -> Vec<f64> {
        for number in &mut block {
            *number += 1.0;
        }
        block
    }
    fn add(mut one: Vec<f64>, other: &[f64]) -> Vec<f64> {
        for (sum, number) in one.iter_mut().zip(other) {
            *sum += number;
        }
        one
    }
    let length = length(ground)?;
    let make = delayed(move |number: u64| block(number, length));
    let blocks = (0..ground.blocks).map(|number| delayed(one_more).call(make.call(number)));
    let mut level: Vec<Delayed<Vec<f64>>> = blocks.collect();
    while level.len() > 1 {
        let sums = level.chunks(2).map(|pair| match pair {
            [one, other] => delayed(add).call((one, other)),
            rest => rest[0].clone(),
        });
        level = sums.collect();
    }
    let (time, sum) = timed(|| cluster.compute_blocking(&level[0]));
    let expected = f64::from(u32::try_from(ground.blocks * (ground.blocks + 1) / 2)?);
    if sum?.iter().any(|sum| *sum != expected) {
        return Err("the sum is wrong".into());
    }
    Ok(time)
}

#[expect(clippy::float_cmp, reason = "the numbers were written as they are")]
fn persist(cluster: &Cluster, ground: Ground) -> Result<(Duration, Duration), Box<dyn Error>> {
    let length = length(ground)?;
    let mut graph = Graph::new();
    let keys: Vec<Key> = (0..ground.blocks).map(|number| Key::from(("block", number))).collect();
    for (number, key) in (0..ground.blocks).zip(&keys) {
        let make = Func::new(move |number: u64| block(number, length));
        graph.insert(key.clone(), Task::new(make, [lit(number)]));
    }
    let (sender, ended) = channel();
    let tell = CallbackBuilder::new().finish(move |_| Ok(sender.send(())?));
    let telling = cluster.register(tell);
    let clock = Clock::start();
    let refs = cluster.persist(graph, keys)?;
    ended.recv()?;
    let write = clock.elapsed();
    drop(telling);
    let clock = Clock::start();
    for (number, object_ref) in (0..).zip(&refs) {
        let values = cluster.gather_blocking(std::slice::from_ref(object_ref))?;
        let block = values[0].downcast_ref::<Vec<f64>>().ok_or("a block is something else")?;
        let expected = f64::from(number);
        if block.len() != length || block[0] != expected || block[length - 1] != expected {
            return Err(format!("block {number} came back as another one").into());
        }
    }
    Ok((write, clock.elapsed()))
}

/// What the disk does without us.
fn dd(directory: &Path, ground: Ground) -> Result<Sample, Failure> {
    let file = directory.join("dd");
    let size = format!("bs={}M", ground.block_mib);
    let (input, output) = (format!("if={}", file.display()), format!("of={}", file.display()));
    let dd = |arguments: &[&str]| -> Result<Duration, Failure> {
        let (time, status) =
            timed(|| Command::new("dd").args(arguments).stderr(Stdio::null()).status());
        if status?.success() { Ok(time) } else { Err("dd failed".into()) }
    };
    let write = dd(&["if=/dev/zero", &output, &size, &format!("count={}", ground.blocks)]);
    let read = write.and_then(|write| Ok((write, dd(&[&input, "of=/dev/null", &size])?)));
    fs::remove_file(&file)?;
    let (write, read) = read?;
    Ok(Sample { write, read, ..Sample::default() })
}

/// What keeping an account costs a task.
fn account(
    arguments: &Arguments,
    workers: usize,
    notes: &mut Vec<String>,
) -> Result<Vec<Row>, Failure> {
    let (width, chains) = match arguments.extent {
        Extent::Whole => (224, 5000),
        Extent::Quick => (100, 1000),
        Extent::Smoke => (10, 10),
    };
    let limited = Cluster::builder().workers(workers).memory_limit("1 TiB").start()?;
    let unlimited = Cluster::builder().workers(workers).memory_limit("none").start()?;
    let small = small_values(width)?;
    let large = large_values(chains)?;
    let mut rows = Vec::new();
    for (name, plan) in [(SMALL, &small), (LARGE, &large)] {
        if !arguments.wants_subject(name) {
            continue;
        }
        let time = |cluster: &Cluster| -> Result<f64, Failure> {
            let (time, result) = timed(|| run_plan(cluster, plan));
            result?;
            wait_for_release(plan);
            Ok(micros(time) / f64::from(u32::try_from(plan.len())?))
        };
        let contenders = vec![
            Contender::new("limited", || time(&limited)),
            Contender::new("unlimited", || time(&unlimited)),
        ];
        let counted = if arguments.extent == Extent::Smoke { 1 } else { 5 * arguments.rounds };
        let all = interleaved(contenders, Rounds { warm_up: 2, counted }, notes);
        rows.extend(account_row(name, plan, &all));
    }
    Ok(rows)
}

fn account_row(name: &str, plan: &Plan, all: &[Samples<f64>]) -> Option<Row> {
    let of = |name: &str| {
        let samples = all.iter().find(|samples| samples.name == name)?;
        Some((median(samples.samples.iter().copied()), samples.samples.len()))
    };
    let ((limited, rounds), (unlimited, _)) = (of("limited")?, of("unlimited")?);
    let account = (limited - unlimited).max(0.0);
    let promise = format!("{NAME}: {name}, what the account adds to a task");
    Some(Row {
        bench: NAME,
        shape: format!("{}_tasks", plan.len()),
        subject: name.to_owned(),
        cost: None,
        rounds,
        figures: BTreeMap::from([
            ("us_limited", limited),
            ("us_unlimited", unlimited),
            ("us_account", account),
        ]),
        targets: vec![Target::at_most(promise, account, 0.1, "µs")],
    })
}

/// Layers of numbers, none of which the store looks after.
fn small_values(width: u32) -> Result<Arc<Plan>, Failure> {
    let shape = Shape::layers(width, width);
    let (graph, output) = crate::keyed::Naming::Handle.build(&shape, &[]);
    Ok(Arc::new(Plan::new(graph, output)?))
}

/// Chains of two tasks: one makes 64 KiB, the other reads them.
fn large_values(chains: u32) -> Result<Arc<Plan>, Failure> {
    fn make(number: u64) -> Vec<u64> {
        vec![number; 8192]
    }
    fn first(block: &[u64]) -> u64 {
        block[0]
    }
    #[expect(clippy::needless_pass_by_value, reason = "a task that takes a list by value")]
    fn sum(numbers: Vec<u64>) -> u64 {
        numbers.iter().sum()
    }
    let read: Vec<Delayed<u64>> = (0..u64::from(chains))
        .map(|number| delayed(first).call(delayed(make).call(number)))
        .collect();
    Ok(Arc::new(delayed(sum).call(read).plan()?))
}

fn text(rows: &[Row]) -> String {
    let (blocks, accounts): (Vec<&Row>, Vec<&Row>) =
        rows.iter().partition(|row| row.figures.contains_key("seconds_write"));
    let mut text = "### The store: blocks that are summed in pairs, and blocks that are all kept and read back\n\n".to_owned();
    let lines: Vec<Vec<String>> = blocks
        .iter()
        .map(|row| {
            let figure = |name: &str, digits: usize| match row.figures.get(name) {
                Some(figure) => format!("{figure:.digits$}"),
                None => "–".to_owned(),
            };
            vec![
                format!("{}, {}", row.subject, row.shape.replace('_', " ")),
                figure("seconds_write", 2),
                figure("seconds_read", 2),
                figure("mib_per_second", 0),
                figure("written_mib", 0),
                figure("resident_mib", 0),
            ]
        })
        .collect();
    let headings = [
        "subject",
        "s, made and kept",
        "s, read back",
        "MiB/s, both",
        "MiB written (most)",
        "MiB resident (most)",
    ];
    text += &grid(&headings, &lines);
    text += "\n### What the account of memory adds to a task, µs\n\n";
    let lines: Vec<Vec<String>> = accounts
        .iter()
        .map(|row| {
            let figure = |name: &str| format!("{:.3}", row.figure(name));
            let name = format!("{}, {}", row.subject, row.shape.replace('_', " "));
            vec![name, figure("us_limited"), figure("us_unlimited"), figure("us_account")]
        })
        .collect();
    text += &grid(&["subject", "with a limit", "without", "difference"], &lines);
    text
}
