//! [`Recorder`]: a callback with all hooks that writes down what it hears.

use std::sync::{Arc, Mutex, PoisonError};

use mobula::{
    BoxError, Callback, Failure, HookResult, Key, ObjectRef, ObjectRefs, Plan, PreState, Results,
    RunView, TaskView, Value,
};

/// Writes one line a hook: its own name, the hook's name, the key or what else there is to say.
#[derive(Clone, Debug)]
pub(super) struct Recorder {
    name: &'static str,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    pub(super) fn new() -> Self {
        Self { name: "", lines: Arc::default() }
    }

    /// Another callback that writes into the same list.
    pub(super) fn beside(&self, name: &'static str) -> Self {
        Self { name, lines: Arc::clone(&self.lines) }
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The lines of one hook, or of one key.
    pub(super) fn lines_with(&self, word: &str) -> Vec<String> {
        let has = |line: &String| line.split(' ').any(|other| other == word);
        self.lines().into_iter().filter(has).collect()
    }

    fn note(&self, what: &str) {
        let space = if self.name.is_empty() { "" } else { " " };
        let line = format!("{}{space}{what}", self.name);
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

/// Names separated by commas.
fn names<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(",")
}

impl Callback for Recorder {
    fn name(&self) -> &str {
        self.name
    }

    fn lookup(&self, keys: &[&Key]) -> Result<Vec<Option<Value>>, BoxError> {
        self.note(&format!("lookup {}", names(keys)));
        Ok(Vec::new())
    }

    fn presubmit(
        &self,
        task: &TaskView<'_>,
        key: &Key,
        deps: &ObjectRefs<'_>,
    ) -> Result<Option<Value>, BoxError> {
        assert_eq!(task.key(), key);
        self.note(format!("presubmit {key} {}", names(deps.iter().map(|(key, _)| key))).trim_end());
        Ok(None)
    }

    fn postsubmit(
        &self,
        task: &TaskView<'_>,
        key: &Key,
        _: &ObjectRefs<'_>,
        object_ref: &ObjectRef,
    ) -> HookResult {
        assert_eq!((task.key(), object_ref.key()), (key, key));
        self.note(&format!("postsubmit {key}"));
        Ok(())
    }

    fn pretask(&self, key: &Key, _: &ObjectRefs<'_>) -> Result<PreState, BoxError> {
        self.note(&format!("pretask {key}"));
        Ok(Some(Box::new(format!("{}{key}", self.name))))
    }

    fn posttask(&self, key: &Key, result: &Value, pre_state: PreState) -> HookResult {
        let state = pre_state.and_then(|state| state.downcast::<String>().ok());
        assert_eq!(state.as_deref(), Some(&format!("{}{key}", self.name)));
        let shown = result.downcast_ref::<i64>().map_or("?".to_owned(), i64::to_string);
        self.note(&format!("posttask {key} {shown}"));
        Ok(())
    }

    fn postsubmit_all(&self, object_refs: &[ObjectRef], graph: &Plan) -> HookResult {
        let refs = names(object_refs.iter().map(ObjectRef::key));
        self.note(&format!("postsubmit_all {refs} of {}", graph.len()));
        Ok(())
    }

    fn finish(&self, result: &Results) -> HookResult {
        let shown = result.values().into_iter().filter_map(|value| value.downcast_ref::<i64>());
        self.note(&format!("finish {}", names(shown)));
        Ok(())
    }

    fn graph_start(&self, graph: &Plan) -> HookResult {
        self.note(&format!("graph_start {}", graph.len()));
        Ok(())
    }

    fn graph_start_state(&self, _: &Plan, state: &RunView<'_>) -> HookResult {
        self.note(&format!("graph_start_state {} {}", state.tasks(), state.started()));
        Ok(())
    }

    fn graph_pretask(&self, key: &Key, _: &Plan, _: &RunView<'_>) -> HookResult {
        self.note(&format!("graph_pretask {key}"));
        Ok(())
    }

    fn graph_posttask(&self, key: &Key, _: &Plan, _: &RunView<'_>) -> HookResult {
        self.note(&format!("graph_posttask {key}"));
        Ok(())
    }

    fn graph_finish(&self, _: &Plan, _: &RunView<'_>, errored: bool) -> HookResult {
        self.note(&format!("graph_finish {errored}"));
        Ok(())
    }

    fn error(&self, key: &Key, failure: &Failure) -> HookResult {
        self.note(&format!("error {key}: {failure}"));
        Ok(())
    }

    fn retry(&self, key: &Key, attempt: u32) -> HookResult {
        self.note(&format!("retry {key} {attempt}"));
        Ok(())
    }
}
