//! The main job: a year of real flights (all that left New York in 2013) through a graph, timed and
//! cached by callbacks, and checked against a plain loop over the same rows.
//!
//! ```text
//! cargo run --release --example flights [DIRECTORY]
//! ```
//!
//! Prints, with other times:
//!
//! ```text
//! carrier  flights   mean arrival delay   mean departure delay
//! …
//! EV         54173           15.796 min             19.955 min
//! …
//! HA           342           -6.915 min              4.901 min
//! …
//! UA         58665            3.558 min             12.106 min
//! …
//! worst route: EWR-CAE, 104 flights, 44.585 min late on average
//!
//! arrival delay in minutes
//! below -30     20084 ##########
//! -30 .. -15    70416 ###################################
//! …
//! from 480 on      65
//!
//! first pass: 159 tasks; the slowest, by key prefix:
//! …
//! second pass: 48 tasks were answered by the cache actor, 33.4 ms saved;
//! 60 tasks that only those need did not run, 51 tasks ran:
//! …
//! flights=336776
//! carriers=16
//! worst_route=EWR-CAE
//! tasks=159
//! workers=2
//! first_pass_ms=34.0
//! second_pass_ms=0.6
//! plain_ms=60.8
//! speedup=1.79
//! cache_hits=48
//! answered_share=0.302
//! tasks_not_run=60
//! peak_rss_mib=9.9
//! ```
//!
//! The directory, by default that of the repository, holds months as `2013-01.csv.gz`.

#![expect(clippy::print_stdout, reason = "an example shows its results")]
#![expect(clippy::disallowed_methods, reason = "this job measures time")]

mod flights;
mod pipeline;
mod report;
mod summary;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mobula::diagnostics::cache::ReadStats;
use mobula::{BoxError, CacheCallback, Cluster, Plan, SimpleCacheActor, TimerCallback};
use report::Report;

/// What was made in less time is not worth keeping.
const THRESHOLD: Duration = Duration::from_micros(100);

fn main() -> Result<(), BoxError> {
    let argument = std::env::args_os().nth(1).map(PathBuf::from);
    let own_data = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data");
    let months = flights::months(argument.as_deref().unwrap_or(&own_data))?;
    let plan = Arc::new(Plan::new(pipeline::graph(&months), pipeline::REPORT)?);
    let tasks = plan.len();

    let cluster = Cluster::builder().start()?;
    let timer = TimerCallback::new();
    let cache = cluster.start_state(SimpleCacheActor::with_bytes(64 << 20))?;
    // The summaries take long to make and little room; the texts behind them are large.
    let caching = CacheCallback::new(cache.clone()).threshold(THRESHOLD).prefixes(["aggregate"]);
    let _timing = cluster.register(timer.clone());
    let _caching = cluster.register(caching);

    let pass = || -> Result<Report, BoxError> {
        let results = cluster.run(Arc::clone(&plan)).wait()?;
        results.into_data().map_err(|value| format!("{value:?} is no report").into())
    };

    let (first, first_time) = timed(pass)?;
    println!("{first}");
    println!("first pass: {tasks} tasks; the slowest, by key prefix:");
    print_slowest(&timer);

    timer.clear();
    let (second, second_time) = timed(pass)?;
    let answered = usize::try_from(cache.ask(ReadStats)?.hits)?;
    let run: usize = timer.by_prefix().iter().map(|prefix| prefix.tasks).sum();
    let needless = tasks - answered - run;
    let saved = milliseconds(first_time.saturating_sub(second_time));
    println!(
        "\nsecond pass: {answered} tasks were answered by the cache actor, {saved:.1} ms saved;"
    );
    println!("{needless} tasks that only those need did not run, {run} tasks ran:");
    print_slowest(&timer);

    // The same without a graph, to check the results and to compare the times.
    let (expected, plain_time) = timed(|| pipeline::plain(&months))?;
    assert_eq!(first, expected, "the graph and the plain loop must agree");
    assert_eq!(second, expected, "the cache must not change anything");
    assert!(answered > 0, "reading the rows of a part takes longer than {THRESHOLD:?}");
    if argument.is_none() {
        check_2013(&first);
    }

    println!("\nflights={}", first.flights());
    println!("carriers={}", first.carriers.len());
    println!("worst_route={}", first.worst_route_name());
    println!("tasks={tasks}");
    println!("workers={}", cluster.workers());
    println!("first_pass_ms={:.1}", milliseconds(first_time));
    println!("second_pass_ms={:.1}", milliseconds(second_time));
    println!("plain_ms={:.1}", milliseconds(plain_time));
    println!("speedup={:.2}", plain_time.as_secs_f64() / first_time.as_secs_f64());
    println!("cache_hits={answered}");
    println!("answered_share={:.3}", share(answered, tasks));
    println!("tasks_not_run={needless}");
    if let Some(peak) = peak_memory() {
        println!("peak_rss_mib={peak:.1}");
    }
    Ok(())
}

/// What is known of these data from elsewhere.
fn check_2013(report: &Report) {
    assert_eq!(report.flights(), 336_776);
    let known = [
        (b"UA", 58_665, "3.558", "12.106"),
        (b"EV", 54_173, "15.796", "19.955"),
        (b"HA", 342, "-6.915", "4.901"),
    ];
    for (code, flights, arrival, departure) in known {
        let carrier = &report.carriers[code];
        assert_eq!(carrier.flights, flights);
        assert_eq!(format!("{:.3}", carrier.arrival_delay.value()), arrival);
        assert_eq!(format!("{:.3}", carrier.departure_delay.value()), departure);
    }
}

fn print_slowest(timer: &TimerCallback) {
    for prefix in timer.by_prefix().into_iter().take(3) {
        let (total, longest) = (milliseconds(prefix.total), milliseconds(prefix.longest));
        let (name, tasks) = (prefix.prefix, prefix.tasks);
        println!("    {name:<11} {tasks:>3} tasks {total:>8.3} ms, longest {longest:>7.3} ms");
    }
}

fn timed<T>(job: impl FnOnce() -> Result<T, BoxError>) -> Result<(T, Duration), BoxError> {
    let start = Instant::now();
    Ok((job()?, start.elapsed()))
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[expect(clippy::cast_precision_loss, reason = "counts of tasks are small")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

/// The most memory that this process has used so far, in MiB, where the system tells.
fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u32 = peak.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(f64::from(kib) / 1024.0)
}
