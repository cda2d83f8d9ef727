//! Tests of the static order: laws on random graphs, exact peaks on named shapes, limits, cycles, and
//! graphs recorded from Dask with the peaks that Dask reaches.

use std::collections::HashMap;
use std::fs;

use super::*;

/// A graph as lists of dependencies.
#[derive(Clone, Debug, Default)]
struct Sample {
    dependencies: Vec<Vec<u32>>,
    outputs: Vec<u32>,
}

impl Sample {
    /// Adds a task and answers its number.
    fn add(&mut self, dependencies: impl IntoIterator<Item = u32>) -> u32 {
        self.dependencies.push(dependencies.into_iter().collect());
        self.len() - 1
    }

    fn add_roots(&mut self, count: u32) -> Vec<u32> {
        (0..count).map(|_| self.add([])).collect()
    }

    /// Adds a root and a chain of so many tasks behind it, and answers the last.
    fn add_chain(&mut self, length: u32) -> u32 {
        let root = self.add([]);
        (0..length).fold(root, |end, _| self.add([end]))
    }

    fn reduce(&mut self, mut values: Vec<u32>, width: usize) -> u32 {
        while values.len() > 1 {
            values = values.chunks(width).map(|part| self.add(part.iter().copied())).collect();
        }
        values[0]
    }

    fn len(&self) -> u32 {
        number(self.dependencies.len())
    }

    fn with_outputs(mut self, outputs: impl IntoIterator<Item = u32>) -> Self {
        self.outputs = outputs.into_iter().collect();
        self
    }

    /// Makes outputs of all tasks without dependents.
    fn with_sinks(self) -> Self {
        let mut is_sink = vec![true; self.dependencies.len()];
        for &value in self.dependencies.iter().flatten() {
            is_sink[value as usize] = false;
        }
        let sinks: Vec<u32> = (0..self.len()).filter(|&task| is_sink[task as usize]).collect();
        self.with_outputs(sinks)
    }

    /// The same graph with other numbers: task `t` becomes `numbers[t]`.
    fn renumbered(&self, numbers: &[u32]) -> Self {
        let renumber = |tasks: &[u32]| tasks.iter().map(|&task| numbers[task as usize]).collect();
        let mut dependencies = vec![Vec::new(); self.dependencies.len()];
        for (list, &task) in self.dependencies.iter().zip(numbers) {
            dependencies[task as usize] = renumber(list);
        }
        Self { dependencies, outputs: renumber(&self.outputs) }
    }

    fn lists(lists: &[Vec<u32>]) -> (Vec<u32>, Vec<u32>) {
        let mut starts = vec![0];
        starts.extend(lists.iter().scan(0, |end, list| {
            *end += number(list.len());
            Some(*end)
        }));
        (starts, lists.concat())
    }

    fn dependents(&self) -> Vec<Vec<u32>> {
        let mut dependents = vec![Vec::new(); self.dependencies.len()];
        for (task, list) in (0..).zip(&self.dependencies) {
            for &value in list {
                dependents[value as usize].push(task);
            }
        }
        dependents
    }

    fn with_shape<T>(&self, use_shape: impl FnOnce(&Shape<'_>) -> T) -> T {
        let dependencies = Self::lists(&self.dependencies);
        let dependents = Self::lists(&self.dependents());
        use_shape(&Shape {
            dependencies: Edges { starts: &dependencies.0, targets: &dependencies.1 },
            dependents: Edges { starts: &dependents.0, targets: &dependents.1 },
            outputs: &self.outputs,
        })
    }

    fn try_order(&self) -> Result<Vec<u32>, Cyclic> {
        self.with_shape(|shape| static_order(shape, |one, two| one.cmp(&two)))
    }

    /// The order, checked to hold each task once and after its dependencies.
    fn order(&self) -> Vec<u32> {
        let order = self.try_order().expect("the graph has no cycle");
        self.check(&order);
        order
    }

    fn check(&self, order: &[u32]) {
        assert_eq!(order.len(), self.dependencies.len());
        let mut has_run = vec![false; order.len()];
        for &task in order {
            let ready = self.dependencies[task as usize].iter().all(|&v| has_run[v as usize]);
            assert!(ready, "task {task} runs before its dependencies");
            assert!(!has_run[task as usize], "task {task} runs twice");
            has_run[task as usize] = true;
        }
    }

    fn peak(&self) -> usize {
        self.peak_of(&self.order())
    }

    fn peak_of(&self, order: &[u32]) -> usize {
        self.with_shape(|shape| peak_live(shape, order))
    }

    /// The smallest peak of all orders, by looking at every set of tasks that may have run.
    fn smallest_peak(&self) -> u32 {
        let readers: Vec<u32> = self
            .dependents()
            .iter()
            .map(|list| list.iter().fold(0, |set, reader| set | 1 << reader))
            .collect();
        let inputs: Vec<u32> = self
            .dependencies
            .iter()
            .map(|list| list.iter().fold(0, |set, value| set | 1 << value))
            .collect();
        let outputs = self.outputs.iter().fold(0_u32, |set, output| set | 1 << output);
        let all = (1_u32 << self.len()) - 1;
        let is_live = |task: u32, ran: u32| {
            ran & 1 << task != 0 && (outputs & 1 << task != 0 || readers[task as usize] & !ran != 0)
        };
        let live = |ran: u32| number((0..self.len()).filter(|&task| is_live(task, ran)).count());
        let mut best = HashMap::from([(0, 0)]);
        for ran in 0..all {
            let Some(&peak) = best.get(&ran) else { continue };
            for task in 0..self.len() {
                if ran & 1 << task == 0 && inputs[task as usize] & !ran == 0 {
                    let next = best.entry(ran | 1 << task).or_insert(u32::MAX);
                    *next = (*next).min(peak.max(live(ran) + 1));
                }
            }
        }
        best[&all]
    }
}

/// Numbers that look random and are the same in each run (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from((mixed ^ mixed >> 31) % u64::from(limit)).expect("it is below a u32")
    }

    fn shuffled(&mut self, count: u32) -> Vec<u32> {
        let mut numbers: Vec<u32> = (0..count).collect();
        for last in (1..count).rev() {
            numbers.swap(last as usize, self.below(last + 1) as usize);
        }
        numbers
    }

    /// A graph with duplicate edges and outputs anywhere; dependencies have lower numbers.
    fn ascending_graph(&mut self, tasks: u32, most: u32) -> Sample {
        let mut sample = Sample::default();
        let reach = 1 + self.below(tasks);
        for task in 0..tasks {
            let count = if task == 0 { 0 } else { self.below(most + 1) };
            let pick = |_| task - 1 - self.below(reach.min(task));
            let dependencies: Vec<u32> = (0..count).map(pick).collect();
            sample.add(dependencies);
        }
        let mut sample = sample.with_sinks();
        sample.outputs.extend((0..self.below(4)).map(|_| self.below(tasks)));
        sample
    }

    fn graph(&mut self, tasks: u32, most: u32) -> Sample {
        self.ascending_graph(tasks, most).renumbered(&self.shuffled(tasks))
    }
}

/// Each task reads three of the layer before; the last layer is wanted.
fn layers(width: u32, depth: u32, dice: &mut Dice) -> Sample {
    let mut sample = Sample::default();
    let mut layer = sample.add_roots(width);
    for _ in 1..depth {
        let before = layer;
        let mut pick = || before[dice.below(width) as usize];
        layer = (0..width).map(|_| sample.add([pick(), pick(), pick()])).collect();
    }
    sample.with_outputs(layer)
}

#[test]
fn a_value_counts_until_its_last_dependent_has_ended() {
    // Task 2 reads 0 twice and 1, nobody reads 3, and 0 stays.
    let mut sample = Sample::default();
    let roots = sample.add_roots(2);
    sample.add([roots[0], roots[1], roots[0]]);
    sample.add([]);
    assert_eq!(sample.peak_of(&[0, 1, 2, 3]), 3);
    assert_eq!(sample.peak_of(&[0, 3, 1, 2]), 3);
    let sample = sample.with_outputs([0, 2, 3, 3]);
    assert_eq!(sample.peak_of(&[0, 1, 2, 3]), 3);
    assert_eq!(sample.peak_of(&[3, 1, 0, 2]), 4);
    assert_eq!(Sample::default().peak_of(&[]), 0);
}

#[test]
fn every_task_comes_once_and_after_its_dependencies() {
    let mut dice = Dice(1);
    assert_eq!(Sample::default().order(), [0_u32; 0]);
    for size in 1..400 {
        for most in [1, 3, 10] {
            dice.graph(size, most).order();
        }
    }
}

#[test]
fn the_order_does_not_depend_on_the_numbers_of_the_tasks() {
    let mut dice = Dice(2);
    for size in [5, 50, 500, 2_000] {
        for most in [1, 2, 5] {
            let sample = dice.graph(size, most);
            let order = sample.order();
            assert_eq!(sample.order(), order);

            let numbers = dice.shuffled(size);
            let renumbered = sample.renumbered(&numbers);
            let mut names = vec![0; size as usize];
            for (name, &task) in (0..).zip(&numbers) {
                names[task as usize] = name;
            }
            let tie = |one: u32, two: u32| names[one as usize].cmp(&names[two as usize]);
            let again = renumbered.with_shape(|shape| static_order(shape, tie)).expect("no cycle");
            let again: Vec<u32> = again.iter().map(|&task| names[task as usize]).collect();
            assert_eq!(again, order);
        }
    }
}

#[test]
fn a_forest_gets_the_smallest_peak() {
    let mut dice = Dice(3);
    for _ in 0..200 {
        let mut parents = vec![Vec::new(); 12];
        for task in 1..12 {
            // Task 11 is a root of the forest, and so is who finds nobody above.
            let parent = task + dice.below(4);
            if parent < 12 {
                parents[parent as usize].push(task - 1);
            }
        }
        let sample = Sample { dependencies: parents, outputs: Vec::new() }.with_sinks();
        assert_eq!(number(sample.peak()), sample.smallest_peak(), "{sample:?}");
    }
}

#[test]
fn small_graphs_come_close_to_the_smallest_peak() {
    let mut dice = Dice(4);
    let (mut ours, mut smallest) = (0, 0);
    for round in 0..300 {
        let sample = dice.graph(11, 2 + round % 3);
        let (peak, least) = (number(sample.peak()), sample.smallest_peak());
        assert!(peak <= least + 2, "{peak} instead of {least}: {sample:?}");
        ours += peak;
        smallest += least;
    }
    assert!(ours * 100 <= smallest * 101, "{ours} instead of {smallest}");
}

#[test]
fn delay_and_splice_never_raise_the_peak() {
    let mut dice = Dice(5);
    for size in 1..200 {
        let sample = dice.ascending_graph(size, 4);
        sample.with_shape(|shape| {
            let orders = [0, 1].map(|_| depth_first(shape.dependencies, dice.shuffled(size)));
            let same = ascending(size);
            let (starts, targets) = renumbered(shape.dependencies, &same, &same);
            let dependencies = Edges { starts: &starts, targets: &targets };
            let (starts, targets) = transposed(dependencies);
            let dependents = Edges { starts: &starts, targets: &targets };
            let graph = Ranked::new(dependencies, dependents, shape.outputs);
            let [mut one, two] = orders.map(|order| {
                let order = order.expect("no cycle");
                let delayed = graph.delay(&order);
                sample.check(&delayed.order);
                assert!(sample.peak_of(&delayed.order) <= sample.peak_of(&order));
                assert_eq!(sample.peak_of(&delayed.order), delayed.peak() as usize);
                delayed
            });
            let least = one.peak().min(two.peak());
            one.splice(&two);
            sample.check(&one.order);
            assert_eq!(sample.peak_of(&one.order), one.peak() as usize);
            assert!(one.peak() <= least);
        });
    }
}

fn ascending(count: u32) -> Vec<u32> {
    (0..count).collect()
}

#[test]
fn a_run_keeps_only_what_it_needs() {
    // A chain: a value and the one before it.
    let mut chain = Sample::default();
    chain.add_chain(100);
    assert_eq!(chain.with_sinks().peak(), 2);

    // A merge needs all its inputs and room for itself.
    let mut merge = Sample::default();
    let roots = merge.add_roots(100);
    merge.add(roots);
    assert_eq!(merge.with_sinks().peak(), 101);

    // A binary tree: one finished half per level, and the two leaves' parent.
    let mut tree = Sample::default();
    let leaves = tree.add_roots(1 << 10);
    tree.reduce(leaves, 2);
    assert_eq!(tree.with_sinks().peak(), 12);

    // Chains in front of a tree: a whole chain goes before the next is begun.
    let mut chains = Sample::default();
    let ends = (0..256).map(|_| chains.add_chain(9)).collect();
    chains.reduce(ends, 4);
    assert_eq!(chains.with_sinks().peak(), 14);

    // Branches that join late cost one value each.
    let mut branches = Sample::default();
    let ends: Vec<u32> = (0..20).map(|_| branches.add_chain(30)).collect();
    branches.add(ends);
    assert_eq!(branches.with_sinks().peak(), 21);
}

#[test]
fn a_shared_value_goes_as_soon_as_all_have_read_it() {
    // Two trees over the same leaves grow side by side, as if they were one with pairs for values.
    let mut two = Sample::default();
    let leaves = two.add_roots(256);
    two.reduce(leaves.clone(), 2);
    two.reduce(leaves, 2);
    assert_eq!(two.with_sinks().peak(), 18);

    // A ladder: two values, and two made from both.
    let mut ladder = Sample::default();
    let mut rung = [ladder.add([]), ladder.add([])];
    for _ in 0..100 {
        rung = [ladder.add(rung), ladder.add(rung)];
    }
    assert_eq!(ladder.with_sinks().peak(), 4);

    // A butterfly: each pair makes the next pair in place, so one pair comes on top.
    let mut butterfly = Sample::default();
    let mut stage = butterfly.add_roots(64);
    for bit in 0..6 {
        stage = (0..64).map(|at| butterfly.add([stage[at], stage[at ^ 1 << bit]])).collect();
    }
    assert_eq!(butterfly.with_sinks().peak(), 66);

    // Neighbours along a line: one step is held, and little more than one value on top (42 is possible).
    let mut line = Sample::default();
    let mut stage = line.add_roots(40);
    for _ in 0..40 {
        let near = |at: usize| stage[at.saturating_sub(1)..(at + 2).min(40)].to_vec();
        stage = (0..40).map(|at| line.add(near(at))).collect();
    }
    assert_eq!(line.with_sinks().peak(), 43);

    // A wave over a square holds one front of it.
    let mut wave = Sample::default();
    for at in 0..900 {
        let (row, column) = (at / 30, at % 30);
        let above = (row > 0).then(|| at - 30);
        wave.add(above.into_iter().chain((column > 0).then(|| at - 1)));
    }
    assert_eq!(wave.with_sinks().peak(), 31);
}

#[test]
fn an_exchange_of_all_with_all_holds_one_side() {
    // A product of matrices: one factor, a row of the other, the terms of one entry; entries stay.
    let size = 8;
    let mut product = Sample::default();
    let left = product.add_roots(size * size);
    let right = product.add_roots(size * size);
    for row in 0..size {
        for column in 0..size {
            let terms: Vec<u32> = (0..size)
                .map(|k| {
                    let factors = (row * size + k, k * size + column);
                    product.add([left[factors.0 as usize], right[factors.1 as usize]])
                })
                .collect();
            product.add(terms);
        }
    }
    assert_eq!(product.with_sinks().peak(), 135);

    // A shuffle: the inputs, the parts of the output before the last, and the outputs until then.
    let size = 20;
    let mut shuffle = Sample::default();
    let inputs = shuffle.add_roots(size);
    for _ in 0..size {
        let parts: Vec<u32> = inputs.iter().map(|&input| shuffle.add([input])).collect();
        shuffle.add(parts);
    }
    assert_eq!(shuffle.with_sinks().peak(), 59);
}

#[test]
fn wide_layers_stay_close_to_one_layer() {
    let mut dice = Dice(6);
    assert_eq!(layers(10, 100, &mut dice).peak(), 13);
    assert_eq!(layers(100, 100, &mut dice).peak(), 109);
    assert_eq!(layers(300, 40, &mut dice).peak(), 322);
}

#[test]
fn a_task_may_name_a_dependency_twice() {
    let mut square = Sample::default();
    let root = square.add([]);
    let end = (0..50).fold(root, |end, _| square.add([end, end]));
    let square = square.with_outputs([end, end]);
    assert_eq!(square.order(), ascending(51));
    assert_eq!(square.peak(), 2);
}

#[test]
fn ties_go_by_the_caller_alone() {
    let mut merge = Sample::default();
    let roots = merge.add_roots(5);
    merge.add(roots);
    let backwards = |one: u32, two: u32| two.cmp(&one);
    let order = merge.with_shape(|shape| static_order(shape, backwards));
    assert_eq!(order, Ok(vec![4, 3, 2, 1, 0, 5]));
}

#[test]
fn a_cycle_is_found_wherever_it_is() {
    let cyclic = |lists: &[&[u32]]| {
        let dependencies = lists.iter().map(|list| list.to_vec()).collect();
        Sample { dependencies, outputs: vec![0] }.try_order().map_err(|cyclic| cyclic.task)
    };
    assert_eq!(cyclic(&[&[0]]), Err(0));
    assert_eq!(cyclic(&[&[1], &[2], &[0]]), Err(0));
    // The cycle is behind the output, in front of it, and in another part of the graph.
    assert_eq!(cyclic(&[&[1], &[2, 3], &[], &[1]]), Err(1));
    assert_eq!(cyclic(&[&[], &[2, 0], &[1]]), Err(1));
    assert_eq!(cyclic(&[&[], &[], &[1, 2]]), Err(2));

    let mut long: Vec<Vec<u32>> = (1..100_000).map(|next| vec![next]).collect();
    long.push(vec![50_000]);
    let found = Sample { dependencies: long, outputs: vec![0] }.try_order();
    assert_eq!(found, Err(Cyclic { task: 50_000 }));
}

#[test]
fn a_hundred_thousand_tasks_in_a_row_or_side_by_side_are_no_strain() {
    const MANY: u32 = 100_000;
    let mut chain = Sample::default();
    chain.add_chain(MANY);
    assert_eq!(chain.with_sinks().peak(), 2);

    let mut fan_in = Sample::default();
    let roots = fan_in.add_roots(MANY);
    fan_in.add(roots);
    assert_eq!(fan_in.with_sinks().peak(), 100_001);

    let mut fan_out = Sample::default();
    let root = fan_out.add([]);
    for _ in 0..MANY {
        fan_out.add([root]);
    }
    assert_eq!(fan_out.with_sinks().peak(), 100_001);

    // Out and in again, and once more, with a chain that reads the source all along.
    let mut both = Sample::default();
    let source = both.add([]);
    let middle: Vec<u32> = (0..MANY).map(|_| both.add([source])).collect();
    let waist = both.add(middle);
    let ends: Vec<u32> = (0..MANY).map(|_| both.add([waist, source])).collect();
    both.add(ends);
    (0..MANY).fold(source, |end, _| both.add([end, source]));
    assert_eq!(both.with_sinks().peak(), 100_002);

    // Two merges of the same tasks, each of which two other tasks read too.
    let mut shared = Sample::default();
    let roots = shared.add_roots(MANY / 2);
    shared.add(roots.clone());
    shared.add(roots.iter().copied().rev());
    for pair in roots.windows(2) {
        shared.add(pair.to_vec());
    }
    assert_eq!(shared.with_sinks().peak(), 50_003);
}

#[test]
fn graphs_too_large_for_everything_are_ordered_as_well() {
    let mut dice = Dice(7);
    let sample = layers(300, 300, &mut dice);
    assert!(sample.dependencies.concat().len() > THOROUGH);
    assert_eq!(sample.peak(), 333);
}

/// A recorded graph; the format is described beside the files.
struct Recorded {
    name: String,
    sample: Sample,
    dask_order_peak: usize,
    dask_local_peak: usize,
}

impl Recorded {
    fn parse(text: &str) -> Self {
        let mut lines = text.lines();
        let mut head = lines.next().expect("a head").split(' ');
        let name = head.next().expect("a name").to_owned();
        let mut figure = || head.next().and_then(|word| word.parse().ok()).expect("a figure");
        let (count, dask_order_peak, dask_local_peak) = (figure(), figure(), figure());
        let outputs = Self::numbers(lines.next().expect("the outputs"));
        let mut dependencies = Vec::new();
        for line in lines {
            if let Some(roots) = line.strip_prefix('*') {
                let roots: usize = roots.parse().expect("a count");
                dependencies.resize(dependencies.len() + roots, Vec::new());
            } else {
                dependencies.push(Self::numbers(line));
            }
        }
        assert_eq!(dependencies.len(), count, "{name}");
        Self { name, sample: Sample { dependencies, outputs }, dask_order_peak, dask_local_peak }
    }

    fn numbers(line: &str) -> Vec<u32> {
        let range = |word: &str| {
            let (first, last) = word.split_once('-').unwrap_or((word, word));
            let number = |digits: &str| digits.parse::<u32>().expect("a number");
            number(first)..=number(last)
        };
        line.split(' ').flat_map(range).collect()
    }

    fn all() -> Vec<Self> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/order");
        let files = fs::read_dir(folder).expect("the recorded graphs are there");
        let paths = files.map(|file| file.expect("a file").path());
        let mut paths: Vec<_> =
            paths.filter(|path| path.extension().is_some_and(|end| end == "txt")).collect();
        paths.sort();
        let read = |path| Self::parse(&fs::read_to_string(path).expect("a readable file"));
        paths.iter().map(read).collect()
    }
}

#[test]
fn recorded_graphs_stay_under_the_peaks_of_dask() {
    let all = Recorded::all();
    assert!(all.len() >= 20, "only {} recorded graphs were read", all.len());
    let (mut ours, mut order, mut local) = (0, 0, 0);
    for recorded in &all {
        let peak = recorded.sample.peak();
        let dask = recorded.dask_order_peak.min(recorded.dask_local_peak);
        assert!(peak * 100 <= dask * 110, "{}: {peak} instead of {dask}", recorded.name);
        ours += peak;
        order += recorded.dask_order_peak;
        local += recorded.dask_local_peak;
    }
    assert!(ours < order && ours < local, "{ours} instead of {order} and {local}");
}
