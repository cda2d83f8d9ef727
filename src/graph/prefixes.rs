//! [`Prefixes`]: to which group of keys each task of a plan belongs.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Plan, TaskId};

/// The key prefixes of a plan's tasks.
#[derive(Debug, Default)]
pub(crate) struct Prefixes {
    /// In the order in which they come.
    pub(crate) names: Vec<Arc<str>>,
    /// By task: its prefix, as a place among the names.
    pub(crate) of: Vec<u32>,
}

impl Prefixes {
    pub(super) fn new(plan: &Plan) -> Self {
        let mut names: Vec<Arc<str>> = Vec::new();
        let mut places: HashMap<Arc<str>, u32> = HashMap::new();
        // Tasks with one prefix mostly follow each other.
        let mut last: Option<(Option<&str>, u32)> = None;
        let of = plan.tasks().map(|task| {
            let name = plan.key(task).name();
            if let Some((_, place)) = last.filter(|(last, _)| *last == name) {
                return place;
            }
            let prefix = plan.key(task).prefix();
            if let Some((_, place)) = last.filter(|(_, last)| *names[*last as usize] == *prefix) {
                return place;
            }
            let place = places.get(&*prefix).copied().unwrap_or_else(|| {
                let place = u32::try_from(names.len()).unwrap_or(u32::MAX);
                let name: Arc<str> = prefix.into();
                names.push(Arc::clone(&name));
                places.insert(name, place);
                place
            });
            last = Some((name, place));
            place
        });
        let of = of.collect();
        Self { names, of }
    }

    /// The prefix of a task, as a place among the names.
    #[inline]
    pub(crate) fn place(&self, task: TaskId) -> u32 {
        self.of.get(task.index()).copied().unwrap_or(0)
    }

    /// How many of so many tasks, whose numbers follow each other, have the prefix of the first one.
    #[inline]
    pub(crate) fn alike(&self, first: TaskId, count: u32) -> u32 {
        let prefix = self.place(first);
        let end = first.0 + count;
        let other = (first.0 + 1..end).find(|other| self.place(TaskId(*other)) != prefix);
        other.unwrap_or(end) - first.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Graph, Key};
    use super::*;

    #[test]
    fn those_are_alike_that_have_one_prefix() {
        // A chain, so that the tasks stand in this order.
        let keys = ["a-1", "a-2", "b-1", "a-3", "a-4", "a-5"];
        let mut graph = Graph::new();
        graph.insert(keys[0], (|one: i64| one, 1_i64));
        for pair in keys.windows(2) {
            graph.insert(pair[1], (|one: i64| one, Key::from(pair[0])));
        }
        let plan = Plan::new(graph, keys[5]).expect("the graph is right");
        let prefixes = plan.prefixes();
        let names: Vec<&str> = prefixes.names.iter().map(|name| &**name).collect();
        assert_eq!(names, ["a", "b"]);
        let alike = [(0, 6), (1, 5), (2, 1), (3, 3), (3, 2)];
        let alike = alike.map(|(first, count)| prefixes.alike(TaskId(first), count));
        assert_eq!(alike, [2, 1, 1, 3, 2]);
    }
}
