//! The command line: words that select what to measure, the number of rounds, a quick look.

use crate::sections::Topic;
use crate::shapes::Kind;

/// What is said when the command line makes no sense.
const USAGE: &str =
    "usage: cargo bench --bench overhead -- [word...] [--rounds N] [--quick] [--print]
Words name sections, shapes and subjects; several of one sort add up, sorts restrict each other.";

/// What to measure.
pub(crate) struct Arguments {
    /// Sections by name; empty means all of them. The same holds for the next two.
    topics: Vec<String>,
    kinds: Vec<String>,
    subjects: Vec<String>,
    /// The number of timed rounds.
    pub(crate) rounds: usize,
    /// How much to measure.
    pub(crate) extent: Extent,
    /// Whether the figures are not to be written down.
    only_print: bool,
    /// The arguments as given, to be named with the figures.
    pub(crate) given: Vec<String>,
}

/// How much to measure.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// The sizes that the figures are stated for.
    Whole,
    /// Smaller graphs and fewer rounds: to see where one stands.
    Quick,
    /// The smallest graphs once: whether everything runs. This is what `cargo test` does.
    Smoke,
}

impl Arguments {
    /// Reads the arguments. Cargo gives `--bench` when benchmarking, and not when testing.
    pub(crate) fn parse(given: &[String]) -> Result<Self, String> {
        let benchmarking = given.iter().any(|argument| argument == "--bench");
        let given: Vec<String> =
            given.iter().filter(|argument| *argument != "--bench").cloned().collect();
        let (mut topics, mut kinds, mut subjects) = (Vec::new(), Vec::new(), Vec::new());
        let mut extent = if benchmarking { Extent::Whole } else { Extent::Smoke };
        let (mut rounds, mut only_print) = (None, false);
        let mut rest = given.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--quick" => extent = Extent::Quick,
                "--print" => only_print = true,
                "--rounds" => {
                    let number = rest.next().and_then(|number| number.parse::<usize>().ok());
                    rounds = Some(number.filter(|&number| number > 0).ok_or(USAGE)?);
                }
                word if Topic::ALL.iter().any(|topic| topic.name() == word) => {
                    topics.push(word.to_owned());
                }
                word if Kind::named(word).is_some() => kinds.push(word.to_owned()),
                word if Topic::ALL.iter().any(|topic| topic.subjects().contains(&word)) => {
                    subjects.push(word.to_owned());
                }
                word => return Err(format!("`{word}` is not known\n{USAGE}\n{}", names())),
            }
        }
        let rounds = rounds.unwrap_or(match extent {
            Extent::Whole => 7,
            Extent::Quick => 3,
            Extent::Smoke => 1,
        });
        Ok(Self { topics, kinds, subjects, rounds, extent, only_print, given })
    }

    /// Whether this section is wanted.
    pub(crate) fn wants_topic(&self, topic: Topic) -> bool {
        wanted(&self.topics, topic.name())
    }

    /// Whether this shape is wanted.
    pub(crate) fn wants_kind(&self, kind: Kind) -> bool {
        wanted(&self.kinds, kind.name())
    }

    /// Whether this subject is wanted.
    pub(crate) fn wants_subject(&self, subject: &str) -> bool {
        wanted(&self.subjects, subject)
    }

    /// Whether everything is measured at its full size, so that the figures may be published.
    pub(crate) fn publishable(&self) -> bool {
        let nothing_left_out =
            self.topics.is_empty() && self.kinds.is_empty() && self.subjects.is_empty();
        nothing_left_out && self.extent == Extent::Whole && !self.only_print
    }

    /// The command that leads to these figures.
    pub(crate) fn command(&self) -> String {
        let mut command = String::from("cargo bench --bench overhead");
        if !self.given.is_empty() {
            command += " -- ";
            command += &self.given.join(" ");
        }
        command
    }
}

/// Whether a name is selected.
fn wanted(selected: &[String], name: &str) -> bool {
    selected.is_empty() || selected.iter().any(|word| word == name)
}

/// All words that can be given.
fn names() -> String {
    let topics = Topic::ALL.iter().map(|topic| topic.name());
    let kinds = Kind::ALL.iter().map(|kind| kind.name());
    let mut words: Vec<&str> = topics.chain(kinds).collect();
    for subject in Topic::ALL.iter().flat_map(|topic| topic.subjects()) {
        if !words.contains(&subject) {
            words.push(subject);
        }
    }
    format!("words: {}", words.join(" "))
}
