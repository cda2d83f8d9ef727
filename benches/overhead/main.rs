//! What a task costs: graphs of trivial and of busy tasks, run by the subjects of [`peers`] in
//! interleaved rounds.
//!
//! `cargo bench --bench overhead -- [word...] [--rounds N] [--quick]`. A complete run writes its
//! figures to `benches/README.md` and `benches/results.json`; a selection only prints them. Run
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
use report::Section;
use sections::Topic;

mod alloc;
mod arguments;
mod child;
mod figures;
mod measure;
mod peers;
mod report;
mod sections;
mod shapes;
mod subject;
mod table;
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
    let arguments = Arguments::parse(&given)?;
    let wanted = Topic::ALL.into_iter().filter(|&topic| arguments.wants_topic(topic));
    let sections: Vec<Section> = wanted.map(|topic| topic.run(&arguments, workers)).collect();
    let text = report::render(&sections, &arguments.command(), arguments.rounds, workers);
    println!("\n{text}");
    if arguments.publishable() {
        report::publish("overhead", &text, &sections)?;
    }
    Ok(())
}
