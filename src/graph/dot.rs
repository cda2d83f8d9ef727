//! A graph as text for `GraphViz`. It draws nothing itself.

use std::fmt::Write;

use super::plan::Plan;

impl Plan {
    /// The plan in the DOT language: one box a task, labelled with key and function and numbered by
    /// the static order, an arrow from each task to those that need it, wanted tasks with a double
    /// frame. Text in keys is escaped.
    ///
    /// # Examples
    ///
    /// ```
    /// use mobula::{Plan, graph};
    ///
    /// fn inc(x: i64) -> i64 {
    ///     x + 1
    /// }
    ///
    /// let plan = Plan::new(graph! { "x" => (inc, 1), "y" => (inc, "x") }, "y")?;
    /// let dot = plan.to_dot();
    /// assert!(dot.starts_with("digraph mobula {"));
    /// assert!(dot.contains("t0 -> t1;"));
    /// # Ok::<(), mobula::GraphError>(())
    /// ```
    pub fn to_dot(&self) -> String {
        let mut dot = String::from(
            "digraph mobula {\n  rankdir=BT;\n  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n",
        );
        let written = self.tasks().try_for_each(|task| {
            let label = format!("{}\n{} · {}", self.key(task), self.func(task).name(), task.0);
            let frame =
                if self.outputs().binary_search(&task).is_ok() { ", peripheries=2" } else { "" };
            writeln!(dot, "  {task:?} [label=\"{}\"{frame}];", escaped(&label))?;
            let mut previous = None;
            for dependent in self.dependents(task) {
                if previous.replace(dependent) != Some(dependent) {
                    writeln!(dot, "  {task:?} -> {dependent:?};")?;
                }
            }
            Ok::<(), std::fmt::Error>(())
        });
        written.expect("writing to a string does not fail");
        dot.push_str("}\n");
        dot
    }
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
