//! The static order of a task graph: which task goes first, so that few values are alive at once.
//!
//! A value is alive from the end of its task to the end of its last dependent; an output stays. To
//! find the order with the smallest peak is NP-hard, so a few good orders are made, each is improved,
//! and the best is taken. All of it works on flat arrays of numbers, without recursion, in a time that
//! grows with tasks and edges; sorting a list of dependencies and a heap of goals add a logarithm.
//!
//! 1. **Base order.** Depth first from the sinks, the dependency with the greatest *need* first: as
//!    many values as are alive while its cone runs, if nothing is shared (Sethi and Ullman, 1970).
//!    Where no value has two dependents this is the best order. The first walk, which is for the
//!    needs, also finds a cycle. Tasks are renumbered: their *rank* settles all later ties.
//! 2. **Candidates.** When nothing else is to do they start the lowest rank, and differ in their goal:
//!    - *last reader*: finish off a value with one reader left, else read any value that is alive;
//!    - *newest first*: Kahn's algorithm (1962) with a stack, as in Dask's local scheduler, good where
//!      one source feeds several reductions;
//!    - *first reader*: the lowest rank among the tasks that read a value which is alive.
//!
//!    The first and the last make what the goal lacks depth first, and run at once whatever is ready
//!    and the last reader of something, which is never wrong. To finish what was begun before more is
//!    loaded is the lesson of `dask.order`.
//! 3. **Delay.** Backwards through each candidate, a task moves to just before its first dependent if
//!    at most one of its inputs must live longer for that. This never raises the peak, and takes back
//!    what a candidate did too early. How many values are alive beside each task falls out of it.
//! 4. **Splice.** Wherever two candidates have run the same set of tasks, what comes before and what
//!    comes after are independent, and of each part the better one is taken.
//!
//! Graphs over [`THOROUGH`] do without the third candidate and with a simpler delay. Over 500 graphs,
//! most of them Dask's, the peaks add up to a fifth less than with `dask.order`.
//!
//! What this deliberately does not know: sizes in bytes, durations, how many workers there are. The
//! engine learns them while it runs, and falls back on this order.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// For each task a list of tasks: the list of `t` is `targets[starts[t]..starts[t + 1]]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edges<'a> {
    /// One entry more than there are tasks.
    pub(crate) starts: &'a [u32],
    /// The lists one after the other. A list may name a task more than once.
    pub(crate) targets: &'a [u32],
}

/// What the order is made from. Tasks and edges together must be fewer than 2³¹.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape<'a> {
    /// The tasks whose values a task reads.
    pub(crate) dependencies: Edges<'a>,
    /// The same edges from the other end.
    pub(crate) dependents: Edges<'a>,
    /// The tasks whose values stay alive to the end.
    pub(crate) outputs: &'a [u32],
}

/// The tasks cannot be ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("task {task} needs its own value")]
pub(crate) struct Cyclic {
    /// A task on a cycle.
    pub(crate) task: u32,
}

/// The tasks in the order in which they should run: dependencies first, few values alive at once.
///
/// `tie` decides where the shape gives no reason to prefer one task (usually it compares keys). The
/// answer depends on nothing else, so it does not change with the numbers of the tasks unless `tie`
/// finds two of them equal.
///
/// # Errors
///
/// [`Cyclic`] if the graph has a cycle.
pub(crate) fn static_order(
    shape: &Shape<'_>,
    tie: impl Fn(u32, u32) -> Ordering,
) -> Result<Vec<u32>, Cyclic> {
    let topological = depth_first(shape.dependencies, 0..shape.dependencies.count())?;
    let (dependencies, sinks) = neediest_first(shape, &topological, tie);
    let sorted = Edges { targets: &dependencies, ..shape.dependencies };
    let base = depth_first(sorted, sinks)?;
    if is_forest(shape) {
        return Ok(base);
    }
    let mut rank = vec![0; base.len()];
    for (position, &task) in (0..).zip(&base) {
        rank[task as usize] = position;
    }
    let (starts, targets) = renumbered(shape.dependencies, &base, &rank);
    let dependencies = Edges { starts: &starts, targets: &targets };
    let (starts, targets) = transposed(dependencies);
    let dependents = Edges { starts: &starts, targets: &targets };
    let outputs: Vec<u32> = shape.outputs.iter().map(|&output| rank[output as usize]).collect();
    let schedule = Ranked::new(dependencies, dependents, &outputs).schedule();
    let order: Vec<u32> = schedule.order.iter().map(|&rank| base[rank as usize]).collect();
    debug_assert_eq!(peak_live(shape, &order), schedule.peak() as usize, "both count the same");
    Ok(order)
}

/// How many values are alive at most when one worker runs the tasks in this order.
///
/// A task's own value counts while its inputs are still there.
pub(crate) fn peak_live(shape: &Shape<'_>, order: &[u32]) -> usize {
    let mut uses = vec![0_u32; order.len()];
    for &value in shape.dependencies.targets.iter().chain(shape.outputs) {
        uses[value as usize] += 1;
    }
    let (mut live, mut peak) = (0, 0);
    for &task in order {
        live += 1;
        peak = peak.max(live);
        for &value in shape.dependencies.of(task) {
            uses[value as usize] -= 1;
            live -= usize::from(uses[value as usize] == 0);
        }
        live -= usize::from(uses[task as usize] == 0);
    }
    peak
}

impl<'a> Edges<'a> {
    fn count(self) -> u32 {
        number(self.starts.len() - 1)
    }

    #[inline]
    fn of(self, task: u32) -> &'a [u32] {
        let task = task as usize;
        &self.targets[self.starts[task] as usize..self.starts[task + 1] as usize]
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).expect("tasks and edges are fewer than 2³¹")
}

/// Everything that the starts need, each task after its dependencies, these in the order of the lists.
fn depth_first(
    dependencies: Edges<'_>,
    starts: impl IntoIterator<Item = u32>,
) -> Result<Vec<u32>, Cyclic> {
    #[derive(Clone, Copy, PartialEq)]
    enum Visit {
        New,
        Open,
        Done,
    }
    let count = dependencies.starts.len() - 1;
    let mut visits = vec![Visit::New; count];
    let mut order = Vec::with_capacity(count);
    // The open tasks, each with the edges that are left.
    let mut path = Vec::new();
    for start in starts {
        if visits[start as usize] == Visit::New {
            visits[start as usize] = Visit::Open;
            path.push((start, dependencies.of(start).iter()));
        }
        while let Some((task, edges)) = path.last_mut() {
            let Some(&next) = edges.next() else {
                visits[*task as usize] = Visit::Done;
                order.push(*task);
                path.pop();
                continue;
            };
            match visits[next as usize] {
                Visit::New => {
                    visits[next as usize] = Visit::Open;
                    path.push((next, dependencies.of(next).iter()));
                }
                Visit::Open => return Err(Cyclic { task: next }),
                Visit::Done => {}
            }
        }
    }
    Ok(order)
}

/// The lists of dependencies, in each the greatest need first, and the sinks in the same way.
fn neediest_first(
    shape: &Shape<'_>,
    topological: &[u32],
    tie: impl Fn(u32, u32) -> Ordering,
) -> (Vec<u32>, Vec<u32>) {
    let starts = shape.dependencies.starts;
    let mut dependencies = shape.dependencies.targets.to_vec();
    let mut sinks = Vec::new();
    let mut need = vec![0_u32; topological.len()];
    let compare = |need: &[u32], one: u32, two: u32| {
        let by_need = need[two as usize].cmp(&need[one as usize]);
        if one == two { by_need } else { by_need.then_with(|| tie(one, two)).then(one.cmp(&two)) }
    };
    for &task in topological {
        let list = starts[task as usize] as usize..starts[task as usize + 1] as usize;
        dependencies[list.clone()].sort_by(|&one, &two| compare(&need, one, two));
        // While one dependency is made, the values of those before it are held.
        let distinct = dependencies[list].chunk_by(u32::eq);
        let needs = (0..).zip(distinct).map(|(held, same)| held + need[same[0] as usize].max(2));
        need[task as usize] = needs.max().unwrap_or(1);
        if shape.dependents.of(task).is_empty() {
            sinks.push(task);
        }
    }
    sinks.sort_by(|&one, &two| compare(&need, one, two));
    (dependencies, sinks)
}

/// Whether no value has two dependents, nor an output one.
fn is_forest(shape: &Shape<'_>) -> bool {
    shape.dependents.starts.windows(2).all(|pair| pair[1] - pair[0] <= 1)
        && shape.outputs.iter().all(|&output| shape.dependents.of(output).is_empty())
}

/// Tasks and edges up to which a graph gets everything (about 20 ms).
const THOROUGH: usize = 1 << 18;

/// Added to the number of readers of an output, so that no reader is the last.
const KEPT: u32 = 1 << 31;

/// Stands where a count would be, of a task that has its place.
const PLACED: u32 = u32::MAX;

/// The graph renumbered by the base order, with each list ascending and without duplicates.
struct Ranked<'a> {
    dependencies: Edges<'a>,
    dependents: Edges<'a>,
    /// How each task stands before anything runs.
    tasks: Vec<Task>,
    /// How many outputs there are.
    outputs: u32,
}

/// One task during a run; who needs its value are its readers.
#[derive(Clone, Copy)]
struct Task {
    /// Dependencies that have not run, or [`PLACED`] when the task has.
    missing: u32,
    /// Dependents that have not run, plus [`KEPT`] for an output.
    readers: u32,
    /// The exclusive or of the ranks of these dependents: with one left, its rank.
    heir: u32,
    /// Dependencies of which this task is the last reader.
    frees: u32,
}

fn renumbered(edges: Edges<'_>, order: &[u32], rank: &[u32]) -> (Vec<u32>, Vec<u32>) {
    let mut starts = Vec::with_capacity(edges.starts.len());
    let mut targets = Vec::with_capacity(edges.targets.len());
    let mut list = Vec::new();
    starts.push(0);
    for &task in order {
        list.clear();
        list.extend(edges.of(task).iter().map(|&other| rank[other as usize]));
        list.sort_unstable();
        list.dedup();
        targets.extend_from_slice(&list);
        starts.push(number(targets.len()));
    }
    (starts, targets)
}

fn transposed(edges: Edges<'_>) -> (Vec<u32>, Vec<u32>) {
    let mut starts = vec![0_u32; edges.starts.len()];
    for &target in edges.targets {
        starts[target as usize] += 1;
    }
    let mut total = 0;
    for start in &mut starts {
        total += *start;
        *start = total;
    }
    // Each start is now the end of its list, and moves down while the list is filled.
    let mut targets = vec![0; edges.targets.len()];
    for task in (0..edges.count()).rev() {
        for &target in edges.of(task) {
            starts[target as usize] -= 1;
            targets[starts[target as usize] as usize] = task;
        }
    }
    (starts, targets)
}

impl<'a> Ranked<'a> {
    fn new(dependencies: Edges<'a>, dependents: Edges<'a>, outputs: &[u32]) -> Self {
        let task = |task| Task {
            missing: number(dependencies.of(task).len()),
            readers: number(dependents.of(task).len()),
            heir: dependents.of(task).iter().fold(0, |all, reader| all ^ reader),
            frees: 0,
        };
        let mut tasks: Vec<Task> = (0..dependencies.count()).map(task).collect();
        for &output in outputs {
            tasks[output as usize].readers |= KEPT;
        }
        let outputs = number(tasks.iter().filter(|task| task.readers >= KEPT).count());
        Self { dependencies, dependents, tasks, outputs }
    }

    fn is_small(&self) -> bool {
        self.tasks.len() + self.dependencies.targets.len() <= THOROUGH
    }

    /// The best of the candidates.
    fn schedule(&self) -> Schedule {
        // No order stays under the widest task or the outputs.
        let bound = self.tasks.iter().map(|task| task.missing + 1).fold(self.outputs, u32::max);
        let mut best = self.delay(&Run::new(self).toward(Goal::LastReader));
        if best.peak() > bound {
            best.splice(&self.delay(&self.newest_first()));
        }
        if best.peak() > bound && self.is_small() {
            best.splice(&self.delay(&Run::new(self).toward(Goal::FirstReader)));
        }
        best
    }

    /// The order in which a stack of ready tasks empties.
    fn newest_first(&self) -> Vec<u32> {
        let mut missing: Vec<u32> = self.tasks.iter().map(|task| task.missing).collect();
        let mut order = Vec::with_capacity(missing.len());
        let mut ready = Vec::new();
        for (root, task) in (0..).zip(&self.tasks) {
            if task.missing == 0 {
                ready.push(root);
            }
            while let Some(task) = ready.pop() {
                order.push(task);
                for &reader in self.dependents.of(task).iter().rev() {
                    missing[reader as usize] -= 1;
                    if missing[reader as usize] == 0 {
                        ready.push(reader);
                    }
                }
            }
        }
        order
    }

    /// The same order with tasks moved to the back where that costs nothing; see the module's text.
    fn delay(&self, order: &[u32]) -> Schedule {
        /// One task on the way from the end to the start.
        #[derive(Clone, Copy)]
        struct Late {
            /// Readers without a place, plus [`KEPT`] if the value is alive here (which an output is
            /// from the start), or [`PLACED`].
            readers: u32,
            /// Dependencies that are not alive here. Set when the readers have their places, then
            /// kept up to date in small graphs only.
            fresh: u32,
        }
        let keep_up = self.is_small();
        let mut tasks: Vec<Late> =
            self.tasks.iter().map(|task| Late { readers: task.readers, fresh: 0 }).collect();
        let mut schedule = Schedule { order: vec![0; order.len()], live: vec![0; order.len()] };
        let mut live = self.outputs;
        let mut position = order.len();
        let mut ready = Vec::new();
        for &next in order.iter().rev() {
            if tasks[next as usize].readers != PLACED {
                ready.push(next);
            }
            while let Some(task) = ready.pop() {
                // A value that nobody reads is alive only now.
                live += u32::from(tasks[task as usize].readers != KEPT);
                tasks[task as usize].readers = PLACED;
                for &value in self.dependencies.of(task) {
                    let is_fresh = tasks[value as usize].readers < KEPT;
                    tasks[value as usize].readers |= KEPT;
                    live += u32::from(is_fresh);
                    if is_fresh && keep_up {
                        for &reader in self.dependents.of(value) {
                            let late = &mut tasks[reader as usize];
                            if late.readers == KEPT && late.fresh > 1 {
                                late.fresh -= 1;
                                if late.fresh == 1 {
                                    ready.push(reader);
                                }
                            }
                        }
                    }
                }
                for &value in self.dependencies.of(task) {
                    tasks[value as usize].readers -= 1;
                    if tasks[value as usize].readers == KEPT {
                        let inputs = self.dependencies.of(value).iter();
                        let is_fresh = |input: &&u32| tasks[**input as usize].readers < KEPT;
                        let fresh = number(inputs.filter(is_fresh).count());
                        tasks[value as usize].fresh = fresh;
                        if fresh <= 1 {
                            ready.push(value);
                        }
                    }
                }
                position -= 1;
                schedule.order[position] = task;
                schedule.live[position] = live;
                live -= 1;
            }
        }
        schedule
    }
}

/// An order, and beside each task how many values are alive when it ends.
struct Schedule {
    order: Vec<u32>,
    live: Vec<u32>,
}

impl Schedule {
    fn peak(&self) -> u32 {
        weight(&self.live).0
    }

    /// Takes from the other order each part that is better.
    fn splice(&mut self, other: &Self) {
        let mut position = vec![0; self.order.len()];
        for (at, &task) in self.order.iter().enumerate() {
            position[task as usize] = at;
        }
        let (mut start, mut reach) = (0, 0);
        for at in 0..self.order.len() {
            reach = reach.max(position[other.order[at] as usize]);
            if reach > at {
                continue;
            }
            let part = start..=at;
            start = at + 1;
            if weight(&other.live[part.clone()]) < weight(&self.live[part.clone()]) {
                self.order[part.clone()].copy_from_slice(&other.order[part.clone()]);
                self.live[part.clone()].copy_from_slice(&other.live[part]);
            }
        }
    }
}

/// Peak and sum.
fn weight(live: &[u32]) -> (u32, u64) {
    live.iter().fold((0, 0), |(peak, sum), &live| (peak.max(live), sum + u64::from(live)))
}

/// What a run goes for when nothing can be freed at once.
#[derive(Clone, Copy)]
enum Goal {
    LastReader,
    FirstReader,
}

/// A run of the graph by one worker, task by task.
struct Run<'a> {
    graph: &'a Ranked<'a>,
    tasks: Vec<Task>,
    order: Vec<u32>,
    ready: Vec<u32>,
}

impl<'a> Run<'a> {
    fn new(graph: &'a Ranked<'a>) -> Self {
        let order = Vec::with_capacity(graph.tasks.len());
        Self { graph, tasks: graph.tasks.clone(), order, ready: Vec::new() }
    }

    fn has_run(&self, task: u32) -> bool {
        self.tasks[task as usize].missing == PLACED
    }

    /// The order in which one goal after the other is reached.
    fn toward(mut self, goal: Goal) -> Vec<u32> {
        let dependencies = self.graph.dependencies;
        let mut goals = Goals::new(goal, self.graph);
        // The tasks to reach, each with the dependencies that may not have run.
        let mut path = Vec::new();
        while let Some(next) = goals.next(&self) {
            path.push((next, dependencies.of(next).iter()));
            while let Some((task, values)) = path.last_mut() {
                if let Some(&value) = values.find(|&&value| !self.has_run(value)) {
                    path.push((value, dependencies.of(value).iter()));
                    continue;
                }
                if !self.has_run(*task) {
                    let before = self.order.len();
                    self.run(*task);
                    goals.note(&self, before);
                }
                path.pop();
            }
        }
        self.order
    }

    /// Runs a task, and then all that is ready and frees something.
    fn run(&mut self, first: u32) {
        self.ready.push(first);
        while let Some(task) = self.ready.pop() {
            self.order.push(task);
            for &value in self.graph.dependencies.of(task) {
                let value = &mut self.tasks[value as usize];
                value.readers -= 1;
                value.heir ^= task;
                if value.readers == 1 {
                    let heir = value.heir;
                    let last = &mut self.tasks[heir as usize];
                    last.frees += 1;
                    if last.frees == 1 && last.missing == 0 {
                        self.ready.push(heir);
                    }
                }
            }
            let value = &mut self.tasks[task as usize];
            value.missing = PLACED;
            if value.readers == 1 {
                let heir = value.heir;
                self.tasks[heir as usize].frees += 1;
            }
            for &reader in self.graph.dependents.of(task).iter().rev() {
                let waiting = &mut self.tasks[reader as usize];
                waiting.missing -= 1;
                if waiting.missing == 0 && waiting.frees > 0 {
                    self.ready.push(reader);
                }
            }
        }
    }
}

/// Finds the next goal of a run.
struct Goals {
    goal: Goal,
    /// Values with one reader left, or tasks that read a value which is alive.
    first: BinaryHeap<Reverse<u32>>,
    /// Values with several readers left.
    second: BinaryHeap<Reverse<u32>>,
    /// For each value its first reader that may not have run.
    readers: Vec<u32>,
    /// All ranks below have run.
    root: u32,
}

impl Goals {
    fn new(goal: Goal, graph: &Ranked<'_>) -> Self {
        let readers = graph.dependents.starts.to_vec();
        Self { goal, first: BinaryHeap::new(), second: BinaryHeap::new(), readers, root: 0 }
    }

    /// Takes in the tasks that ran since the order was so long.
    fn note(&mut self, run: &Run<'_>, before: usize) {
        for &task in &run.order[before..] {
            match self.goal {
                Goal::LastReader => {
                    for &value in run.graph.dependencies.of(task) {
                        if run.tasks[value as usize].readers == 1 {
                            self.first.push(Reverse(value));
                        }
                    }
                    match run.tasks[task as usize].readers {
                        0 | KEPT => {}
                        1 => self.first.push(Reverse(task)),
                        2.. => self.second.push(Reverse(task)),
                    }
                }
                Goal::FirstReader => {
                    let readers = run.graph.dependents.of(task).iter();
                    self.first.extend(readers.map(|&reader| Reverse(reader)));
                }
            }
        }
    }

    fn next(&mut self, run: &Run<'_>) -> Option<u32> {
        while let Some(&Reverse(rank)) = self.first.peek() {
            let task = &run.tasks[rank as usize];
            match self.goal {
                Goal::LastReader if task.readers == 1 => return Some(task.heir),
                Goal::FirstReader if task.missing != PLACED => return Some(rank),
                Goal::LastReader | Goal::FirstReader => drop(self.first.pop()),
            }
        }
        while let Some(&Reverse(value)) = self.second.peek() {
            if matches!(run.tasks[value as usize].readers, 0 | 1 | KEPT) {
                self.second.pop();
                continue;
            }
            let edge = &mut self.readers[value as usize];
            let readers = &run.graph.dependents.targets;
            while run.has_run(readers[*edge as usize]) {
                *edge += 1;
            }
            return Some(readers[*edge as usize]);
        }
        let count = number(run.tasks.len());
        while self.root < count && run.has_run(self.root) {
            self.root += 1;
        }
        (self.root < count).then_some(self.root)
    }
}

#[cfg(test)]
// Named, because `self_named_module_files` takes an unnamed one for a part of the module.
#[path = "order/tests.rs"]
mod tests;
