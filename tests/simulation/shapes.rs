//! Which random graphs there are: shapes of real work, with everything that a graph may hold.

use mobula::Key;

use crate::plan::{Blueprint, Kind, Node, Part, Script, Wanted};
use crate::rng::Rng;

/// How likely it is, in percent, that something is done to a task.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Odds {
    /// An attempt fails.
    pub(crate) fails: u64,
    /// It may be tried again.
    pub(crate) retries: u64,
    /// It is asynchronous.
    pub(crate) asynchronous: u64,
    /// A callback answers for it when it is to start.
    pub(crate) answered: u64,
    /// Its value weighs something.
    pub(crate) heavy: u64,
    /// Something other than the value of a task stands as an argument or a key.
    pub(crate) decorated: u64,
}

/// How long the tasks of a graph take, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lengths {
    pub(crate) shortest: u64,
    pub(crate) longest: u64,
}

/// The shapes that a graph may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Chains,
    Fan,
    Independent,
    Ladder,
    Layers,
    Random,
    Tree,
    Turned,
}

impl Shape {
    pub(crate) const ALL: [Self; 8] = [
        Self::Chains,
        Self::Fan,
        Self::Independent,
        Self::Ladder,
        Self::Layers,
        Self::Random,
        Self::Tree,
        Self::Turned,
    ];
}

/// Makes a graph of about `size` tasks.
pub(crate) fn blueprint(
    rng: &mut Rng,
    shape: Shape,
    size: usize,
    odds: Odds,
    lengths: Lengths,
) -> Blueprint {
    let mut grower = Grower { rng, odds, lengths, nodes: Vec::new() };
    let ends = match shape {
        Shape::Chains => grower.chains(size),
        Shape::Fan => grower.fan(size),
        Shape::Independent => grower.calls(size, &[]),
        Shape::Ladder => grower.ladder(size),
        Shape::Layers => grower.layers(size),
        Shape::Random => grower.random(size),
        Shape::Tree => grower.tree(size),
        Shape::Turned => grower.turned(size),
    };
    let outputs = grower.wanted(&ends);
    Blueprint { nodes: grower.nodes, outputs }
}

/// Makes sizes of any magnitude from those of one: up to 3 MiB, and down to 6 KiB.
fn weight(drawn: usize) -> usize {
    (drawn >> (3 * (drawn % 4))).max(1)
}

struct Grower<'a> {
    rng: &'a mut Rng,
    odds: Odds,
    lengths: Lengths,
    nodes: Vec<Node>,
}

impl Grower<'_> {
    fn chains(&mut self, size: usize) -> Vec<usize> {
        let count = self.rng.count(1, 4);
        let mut ends = self.calls(count, &[]);
        for step in count..size {
            let chain = step % count;
            ends[chain] = self.call(&[ends[chain]]);
        }
        ends
    }

    fn fan(&mut self, size: usize) -> Vec<usize> {
        let source = self.call(&[]);
        let parts = self.calls(size.saturating_sub(2), &[source]);
        vec![self.call(&parts)]
    }

    fn ladder(&mut self, size: usize) -> Vec<usize> {
        let mut rung = self.calls(2, &[]);
        for _ in 1..size / 2 {
            rung = self.calls(2, &rung);
        }
        rung
    }

    fn layers(&mut self, size: usize) -> Vec<usize> {
        let width = self.rng.count(1, 2 * size.isqrt() + 1);
        let mut layer = self.calls(width, &[]);
        for _ in 1..size / width {
            let next = |_| {
                let inputs = self.some(&layer, 3);
                self.call(&inputs)
            };
            layer = (0..width).map(next).collect();
        }
        layer
    }

    fn random(&mut self, size: usize) -> Vec<usize> {
        let mut tasks = Vec::new();
        for _ in 0..size {
            let inputs = self.some(&tasks, 4);
            tasks.push(self.call(&inputs));
        }
        tasks.split_off(size.saturating_sub(3))
    }

    /// Many leaves, merged until one task is left.
    fn tree(&mut self, size: usize) -> Vec<usize> {
        let mut level = self.calls(size / 2 + 1, &[]);
        while level.len() > 1 {
            let arity = self.rng.count(2, 4);
            level = level.chunks(arity).map(|inputs| self.call(inputs)).collect();
        }
        level
    }

    /// A tree the other way around: each task needs one other, and several need it.
    fn turned(&mut self, size: usize) -> Vec<usize> {
        let mut tasks = self.calls(1, &[]);
        for number in 1..size {
            let parent = tasks[number / 2];
            tasks.push(self.call(&[parent]));
        }
        tasks.split_off(size / 2)
    }

    /// Up to `most` of the tasks, the later ones more often.
    fn some(&mut self, tasks: &[usize], most: usize) -> Vec<usize> {
        let count = self.rng.count(0, most.min(tasks.len()));
        let near = |rng: &mut Rng| rng.index(tasks.len()).max(rng.index(tasks.len()));
        (0..count).map(|_| tasks[near(self.rng)]).collect()
    }

    fn calls(&mut self, count: usize, inputs: &[usize]) -> Vec<usize> {
        (0..count).map(|_| self.call(inputs)).collect()
    }

    /// A task with these inputs, which may come by a detour.
    fn call(&mut self, inputs: &[usize]) -> usize {
        let mut parts: Vec<Part> = inputs.iter().map(|input| self.part(*input)).collect();
        if self.decorates() {
            let number = self.rng.small();
            parts.push(if self.rng.chance(50) {
                Part::Literal(number)
            } else {
                Part::Node(self.push(Kind::Literal(number)))
            });
        }
        let node = self.push(Kind::Call(parts));
        self.nodes[node].script = self.script();
        node
    }

    fn part(&mut self, input: usize) -> Part {
        let node = Part::Node(input);
        if !self.decorates() {
            return node;
        }
        match self.rng.index(5) {
            0 => Part::Node(self.push(Kind::Alias(input))),
            1 => Part::List(vec![node, Part::Literal(self.rng.small())]),
            2 => Part::Call(self.rng.small(), vec![node, Part::Node(input)]),
            3 => Part::List(vec![Part::Call(self.rng.small(), vec![node]), Part::List(Vec::new())]),
            _ => {
                let list = self.push(Kind::List(vec![node, Part::Literal(1)]));
                self.nodes[list].script.duration = self.lengths.shortest;
                Part::Node(list)
            }
        }
    }

    fn script(&mut self) -> Script {
        let Odds { fails, retries, asynchronous, answered, heavy, .. } = self.odds;
        let (rng, Lengths { shortest, longest }) = (&mut *self.rng, self.lengths);
        let duration = rng.magnitude(shortest, longest);
        Script {
            duration,
            awaited: rng.chance(asynchronous).then(|| rng.magnitude(shortest, longest)),
            fails: if rng.chance(fails) { rng.pick(&[1, 1, 1, 2, 3]) } else { 0 },
            retries: if rng.chance(retries) { rng.pick(&[1, 2, 3]) } else { 0 },
            // Nothing is drawn for it, so a seed stays the world that it was before there were delays.
            backoff: if duration % 2 == 1 { duration } else { 0 },
            answer: rng.chance(answered).then(|| rng.small()),
            bytes: if rng.chance(heavy) { weight(rng.count(1, 3 << 20)) } else { 0 },
        }
    }

    fn decorates(&mut self) -> bool {
        let percent = self.odds.decorated;
        self.rng.chance(percent)
    }

    fn push(&mut self, kind: Kind) -> usize {
        let at = self.nodes.len();
        let number = i64::try_from(at).expect("a blueprint is small");
        let key = match self.rng.index(3) {
            0 => Key::from(number),
            1 => Key::from(format!("x-{number}")),
            _ => Key::from(("x", number)),
        };
        self.nodes.push(Node { key, kind, script: Script::default() });
        at
    }

    /// The ends, or anything else, in any shape.
    fn wanted(&mut self, ends: &[usize]) -> Wanted {
        let one = |at: &usize| Wanted::One(*at);
        let mut wanted: Vec<Wanted> = ends.iter().map(one).collect();
        if self.decorates() && !self.nodes.is_empty() {
            wanted.truncate(self.rng.count(0, wanted.len()));
            for _ in 0..self.rng.count(0, 5) {
                let any = Wanted::One(self.rng.index(self.nodes.len()));
                let nested = self.rng.chance(30).then(|| vec![any.clone(), Wanted::default()]);
                wanted.push(nested.map_or(any, Wanted::Many));
            }
        }
        match wanted.pop() {
            Some(only) if wanted.is_empty() => only,
            Some(last) => Wanted::Many([wanted, vec![last]].concat()),
            None => Wanted::default(),
        }
    }
}
