//! Interleaved rounds of anything: in each round every contender has one go, in an order that rotates
//! from round to round, so that a slow moment of the machine hits all of them alike.
//!
//! The races of whole graphs between subjects have more to do between the goes; they are in `measure`.

use crate::subject::Failure;

/// Something that is measured beside others.
pub(crate) struct Contender<'a, Sample> {
    /// The name that stands in the tables and is given on the command line.
    pub(crate) name: &'static str,
    go: Box<dyn FnMut() -> Result<Sample, Failure> + 'a>,
}

impl<'a, Sample> Contender<'a, Sample> {
    /// A contender whose go is that function; it reads the clock itself, around what counts.
    pub(crate) fn new(
        name: &'static str,
        go: impl FnMut() -> Result<Sample, Failure> + 'a,
    ) -> Self {
        Self { name, go: Box::new(go) }
    }
}

/// How often each contender has a go.
#[derive(Clone, Copy)]
pub(crate) struct Rounds {
    /// Rounds whose samples are thrown away.
    pub(crate) warm_up: usize,
    /// Rounds that count.
    pub(crate) counted: usize,
}

/// What one contender has shown: a sample a round, in the order of the rounds.
pub(crate) struct Samples<Sample> {
    /// Who.
    pub(crate) name: &'static str,
    /// What.
    pub(crate) samples: Vec<Sample>,
}

/// Runs all rounds; a contender that fails is left out, with a note.
pub(crate) fn interleaved<Sample>(
    mut contenders: Vec<Contender<'_, Sample>>,
    rounds: Rounds,
    notes: &mut Vec<String>,
) -> Vec<Samples<Sample>> {
    let mut all: Vec<Samples<Sample>> = contenders
        .iter()
        .map(|contender| Samples { name: contender.name, samples: Vec::new() })
        .collect();
    for round in 0..rounds.warm_up + rounds.counted {
        let mut failed = Vec::new();
        for turn in 0..contenders.len() {
            let place = (turn + round) % contenders.len();
            match (contenders[place].go)() {
                Ok(_) if round < rounds.warm_up => {}
                Ok(sample) => all[place].samples.push(sample),
                Err(failure) => {
                    notes.push(format!("{}: {failure}", contenders[place].name));
                    failed.push(contenders[place].name);
                }
            }
        }
        contenders.retain(|contender| !failed.contains(&contender.name));
        all.retain(|one| !failed.contains(&one.name));
    }
    all
}

/// The samples of the contender of that name.
pub(crate) fn of<'a, Sample>(all: &'a [Samples<Sample>], name: &str) -> Option<&'a [Sample]> {
    all.iter().find(|one| one.name == name).map(|one| one.samples.as_slice())
}
