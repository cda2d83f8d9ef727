//! What can be wrong with a graph before anything of it runs.

use super::Key;

/// Why a graph cannot run. Each message says which key is meant and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// Tasks that need each other. The path starts and ends with the same key; each key needs the
    /// one after it.
    #[error("the graph has a cycle, so none of these tasks could ever start: {}", path(.0))]
    Cycle(Vec<Key>),
    /// A key that is needed but not in the graph.
    #[error("key {key:?} is not in the graph, but {} needs it; add it to the graph or correct the name", who(.needed_by.as_ref()))]
    MissingKey {
        /// The key that is missing.
        key: Key,
        /// The task that names it; `None` if the caller asked for it as a result.
        needed_by: Option<Key>,
    },
    /// A key that was given twice.
    #[error("key {0:?} is in the graph twice; give one of the two tasks another key")]
    DuplicateKey(Key),
    /// A [`Node`](super::Node) of one graph was used in another one.
    #[error("a node of another graph was used in task {0:?}; name the task by its key instead")]
    ForeignNode(Key),
    /// More tasks, arguments or dependencies than 32-bit numbers count.
    #[error("the graph has more than {} tasks, arguments or dependencies; split it", u32::MAX)]
    TooLarge,
}

/// A long cycle is printed with its middle left out.
fn path(keys: &[Key]) -> String {
    const SHOWN: usize = 12;
    let names = |keys: &[Key]| keys.iter().map(|key| format!("{key:?}")).collect::<Vec<_>>();
    if keys.len() <= SHOWN {
        return names(keys).join(" -> ");
    }
    let (head, tail) = (&keys[..SHOWN / 2], &keys[keys.len() - SHOWN / 2..]);
    let left_out = keys.len() - SHOWN;
    format!(
        "{} -> ... {left_out} more ... -> {}",
        names(head).join(" -> "),
        names(tail).join(" -> ")
    )
}

fn who(needed_by: Option<&Key>) -> String {
    needed_by.map_or_else(|| "the caller".to_owned(), |key| format!("task {key:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_keys() {
        let cycle = GraphError::Cycle(vec!["a".into(), "b".into(), "a".into()]);
        assert!(cycle.to_string().ends_with("'a' -> 'b' -> 'a'"), "{cycle}");
        let missing = GraphError::MissingKey { key: "x".into(), needed_by: Some(("y", 0).into()) };
        assert!(missing.to_string().contains("task ('y', 0) needs it"), "{missing}");
    }

    #[test]
    fn a_long_cycle_is_shortened() {
        let keys: Vec<Key> = (0..1000).map(Key::from).collect();
        let message = GraphError::Cycle(keys).to_string();
        assert!(message.contains("... 988 more ..."), "{message}");
        assert!(message.ends_with("998 -> 999"), "{message}");
    }
}
