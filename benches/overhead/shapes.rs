//! The graphs that every subject runs: one neutral description, numbered so that inputs come first.
//!
//! A task's value is the wrapping sum of its inputs' values plus its own number; a root's value is
//! its number. Every shape ends in one task that needs all the others, directly or not, so nothing
//! can be culled and one value checks the whole run. Nothing here knows how a task is executed.

/// The kinds of graph, from "everything at once" to "nothing at once".
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Tasks without inputs, and one merge that takes all of them.
    Independent,
    /// Each task takes its predecessor.
    Chain,
    /// A binary reduction of leaves.
    Tree,
    /// As many layers as each is wide; three random inputs of the layer before; one merge.
    Layers,
    /// Layers ten wide, three random inputs of the layer before; one merge.
    Narrow,
    /// Layers two wide, each task takes both of the layer before; one merge.
    Ladder,
}

impl Kind {
    /// All kinds, in the order of the tables.
    pub(crate) const ALL: [Self; 6] =
        [Self::Independent, Self::Chain, Self::Tree, Self::Layers, Self::Narrow, Self::Ladder];

    /// The kind of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The name that stands in the tables and is given on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Independent => "independent",
            Self::Chain => "chain",
            Self::Tree => "tree",
            Self::Layers => "layers",
            Self::Narrow => "narrow",
            Self::Ladder => "ladder",
        }
    }
}

/// How large the graphs of a section are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// About 100,000 tasks: the cost of scheduling outweighs that of starting.
    Full,
    /// About 10,000 tasks: tasks that take time, and a quick look.
    Tenth,
    /// About 2,000 tasks: what every crate can finish.
    Small,
}

impl Scale {
    /// All scales, so that a name can be read back.
    const ALL: [Self; 3] = [Self::Full, Self::Tenth, Self::Small];

    /// The word by which a child process is told the scale.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Tenth => "tenth",
            Self::Small => "small",
        }
    }

    /// The scale of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scale| scale.name() == name)
    }

    /// Tasks of the plain shapes, leaves of the tree, side of the square of layers.
    fn sizes(self) -> (u32, u32, u32) {
        match self {
            Self::Full => (100_000, 1 << 16, 300),
            Self::Tenth => (10_000, 1 << 12, 100),
            Self::Small => (2_000, 1 << 10, 44),
        }
    }
}

/// One graph. The edges lie in flat arrays, once in each direction.
pub(crate) struct Shape {
    /// Whom each task needs; every number is smaller than the task's own.
    inputs: Edges,
    /// Who needs each task, in ascending order.
    dependents: Edges,
    /// The value of the last task by plain sequential evaluation.
    expected: u64,
}

impl Shape {
    /// The graph of that kind and scale; the same one each time.
    pub(crate) fn new(kind: Kind, scale: Scale) -> Self {
        let (tasks, leaves, side) = scale.sizes();
        let mut inputs = Edges::default();
        match kind {
            Kind::Independent => {
                (0..tasks).for_each(|_| inputs.push([]));
                inputs.push(0..tasks);
            }
            Kind::Chain => (0..tasks).for_each(|task| inputs.push(task.checked_sub(1))),
            Kind::Tree => {
                (0..leaves).for_each(|_| inputs.push([]));
                (0..leaves - 1).for_each(|pair| inputs.push([2 * pair, 2 * pair + 1]));
            }
            Kind::Layers => layered(&mut inputs, side, side, 3),
            Kind::Narrow => layered(&mut inputs, tasks / 10, 10, 3),
            Kind::Ladder => layered(&mut inputs, tasks / 2, 2, 2),
        }
        Self::of(inputs)
    }

    /// `depth` layers of `width` tasks, three inputs each, and a merge, as [`Kind::Layers`].
    pub(crate) fn layers(depth: u32, width: u32) -> Self {
        let mut inputs = Edges::default();
        layered(&mut inputs, depth, width, 3.min(width as usize));
        Self::of(inputs)
    }

    /// `count` chains of `length` tasks that know nothing of each other, and a merge of their ends.
    pub(crate) fn chains(count: u32, length: u32) -> Self {
        let mut inputs = Edges::default();
        for task in 0..count * length {
            inputs.push(task.checked_sub(1).filter(|_| task % length > 0));
        }
        inputs.push((1..=count).map(|chain| chain * length - 1));
        Self::of(inputs)
    }

    /// Each task takes its predecessor and two random ones of all that come before: the inputs lie
    /// anywhere in memory, and values live long.
    pub(crate) fn scattered(tasks: u32) -> Self {
        let mut inputs = Edges::default();
        let mut random = Random(0x0073_6361_7474_6572);
        for task in 0..tasks {
            let mut picked: Vec<u32> = task.checked_sub(1).into_iter().collect();
            while picked.len() < 3.min(task as usize) {
                let other = random.below(task);
                if !picked.contains(&other) {
                    picked.push(other);
                }
            }
            inputs.push(picked);
        }
        Self::of(inputs)
    }

    /// One task that needs nothing.
    pub(crate) fn single() -> Self {
        let mut inputs = Edges::default();
        inputs.push([]);
        Self::of(inputs)
    }

    fn of(inputs: Edges) -> Self {
        let dependents = inputs.reversed();
        let expected = evaluate(&inputs, u64::from);
        Self { inputs, dependents, expected }
    }

    /// The number of tasks, the merge included.
    pub(crate) fn tasks(&self) -> u32 {
        self.inputs.rows()
    }

    /// The numbers of all tasks, inputs before those who need them.
    pub(crate) fn ids(&self) -> std::ops::Range<u32> {
        0..self.tasks()
    }

    /// The tasks whose values this one takes; none of them twice.
    pub(crate) fn inputs(&self, task: u32) -> &[u32] {
        self.inputs.of(task)
    }

    /// The tasks that take this one's value.
    pub(crate) fn dependents(&self, task: u32) -> &[u32] {
        self.dependents.of(task)
    }

    /// The tasks without inputs.
    pub(crate) fn roots(&self) -> impl Iterator<Item = u32> + '_ {
        self.ids().filter(|&task| self.inputs(task).is_empty())
    }

    /// The task whose value is the result.
    pub(crate) fn output(&self) -> u32 {
        self.tasks() - 1
    }

    /// The value that the output must have.
    pub(crate) fn expected(&self) -> u64 {
        self.expected
    }

    /// The value of the output if each task adds one to the sum of its inputs.
    pub(crate) fn expected_of_ones(&self) -> u64 {
        evaluate(&self.inputs, |_| 1)
    }
}

/// Lists of task numbers, one for each task, end to end in one array.
struct Edges {
    /// Where each list begins; one more than there are lists.
    offsets: Vec<u32>,
    /// The lists.
    targets: Vec<u32>,
}

impl Default for Edges {
    fn default() -> Self {
        Self { offsets: vec![0], targets: Vec::new() }
    }
}

impl Edges {
    /// Appends the list of the next task.
    fn push(&mut self, list: impl IntoIterator<Item = u32>) {
        self.targets.extend(list);
        self.offsets.push(count(self.targets.len()));
    }

    /// The number of lists.
    fn rows(&self) -> u32 {
        count(self.offsets.len() - 1)
    }

    /// The list of one task.
    fn of(&self, task: u32) -> &[u32] {
        let row = task as usize;
        &self.targets[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }

    /// The same edges, read from the other end.
    fn reversed(&self) -> Self {
        let rows = self.rows();
        let mut offsets = vec![0; rows as usize + 1];
        for &target in &self.targets {
            offsets[target as usize + 1] += 1;
        }
        for row in 1..offsets.len() {
            offsets[row] += offsets[row - 1];
        }
        let mut next = offsets.clone();
        let mut targets = vec![0; self.targets.len()];
        for task in 0..rows {
            for &target in self.of(task) {
                targets[next[target as usize] as usize] = task;
                next[target as usize] += 1;
            }
        }
        Self { offsets, targets }
    }
}

/// `depth` layers of `width` tasks, each with `fan` different inputs of the layer before, and a
/// merge of the last layer. The first input runs through a shuffle, so no task is left unused.
fn layered(inputs: &mut Edges, depth: u32, width: u32, fan: usize) {
    let mut random = Random(0x006d_6f62_756c_6121);
    (0..width).for_each(|_| inputs.push([]));
    let mut shuffled: Vec<u32> = (0..width).collect();
    for layer in 1..depth {
        let before = (layer - 1) * width;
        for last in (1..width).rev() {
            shuffled.swap(last as usize, random.below(last + 1) as usize);
        }
        for &first in &shuffled {
            let mut picked = vec![before + first];
            while picked.len() < fan {
                let other = before + random.below(width);
                if !picked.contains(&other) {
                    picked.push(other);
                }
            }
            inputs.push(picked);
        }
    }
    inputs.push((depth - 1) * width..depth * width);
}

/// The value of the last task, by one pass in numerical order; `own` is what a task adds by itself.
fn evaluate(inputs: &Edges, own: impl Fn(u32) -> u64) -> u64 {
    let mut values: Vec<u64> = Vec::with_capacity(inputs.rows() as usize);
    for task in 0..inputs.rows() {
        let sum = inputs.of(task).iter().map(|&input| values[input as usize]);
        values.push(sum.fold(own(task), u64::wrapping_add));
    }
    values.pop().expect("every shape has a task")
}

/// A length as a task number.
fn count(length: usize) -> u32 {
    u32::try_from(length).expect("shapes stay below 2^32 edges")
}

/// The `SplitMix64` generator (Steele, Lea, Flood 2014): the same numbers on every machine.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `bound`, evenly enough for this purpose.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        u32::try_from(mixed % u64::from(bound)).expect("a remainder is below its divisor")
    }
}
