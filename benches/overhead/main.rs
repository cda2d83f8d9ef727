//! What a task costs: graphs of trivial and of busy tasks, run by the subjects of [`peers`] in
//! interleaved rounds; and what Mobula's parts cost by themselves, beside what was promised.
//!
//! `cargo bench --bench overhead -- [word...] [--rounds N] [--quick] [--print]`. A complete run writes
//! its figures to `benches/README.md` and `benches/results.json`; a selection only prints them. Run
//! without cargo's `--bench`, as `cargo test --benches` does, it only tries everything once.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the figures and what went wrong are printed"
)]

use std::error::Error;
use std::process::ExitCode;
use std::thread::available_parallelism;

use arguments::Arguments;
use report::{Conditions, Section};
use sections::{STARTUP_FLAG, STORE_FLAG, Topic, serve_startup, serve_store};
use work::Unrest;

mod alloc;
mod arguments;
mod child;
mod figures;
mod keyed;
mod measure;
mod peers;
mod report;
mod rounds;
mod sections;
mod shapes;
mod subject;
mod table;
mod target;
mod work;

fn main() -> ExitCode {
    match bench() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Does what the command line says.
fn bench() -> Result<(), Box<dyn Error>> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let workers = available_parallelism()?.get();
    if let Some((child::FLAG, rest)) = given.split_first().map(|(flag, rest)| (flag.as_str(), rest))
    {
        return child::serve(rest, workers);
    }
    if let Some((STORE_FLAG, rest)) = given.split_first().map(|(flag, rest)| (flag.as_str(), rest))
    {
        return serve_store(rest, workers);
    }
    if given.first().is_some_and(|flag| flag == STARTUP_FLAG) {
        return serve_startup(workers);
    }
    let arguments = Arguments::parse(&given)?;
    let load = report::load();
    let mut unrest = Unrest::new();
    let mut sections: Vec<Section> = Vec::new();
    unrest.sample();
    for topic in Topic::ALL.into_iter().filter(|&topic| arguments.wants_topic(topic)) {
        sections.push(topic.run(&arguments, workers));
        unrest.sample();
    }
    let conditions = Conditions {
        command: arguments.command(),
        rounds: arguments.rounds,
        workers,
        load,
        unrest: unrest.factor(),
    };
    let text = report::render(&sections, &conditions);
    println!("\n{text}");
    if arguments.publishable() {
        report::publish("overhead", &text, &sections)?;
    }
    Ok(())
}
