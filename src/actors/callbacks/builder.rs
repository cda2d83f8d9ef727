//! [`CallbackBuilder`]: a callback made of closures.

use super::super::store::ObjectRef;
use super::callback::{Callback, HookResult, ObjectRefs, PreState, RunView, TaskView};
use crate::engine::{Failure, TaskId};
use crate::graph::{BoxError, Key, Plan, Results};
use crate::value::Value;

/// Defines the builder: one optional closure a hook.
macro_rules! builder {
    ($($(#[$doc:meta])* $hook:ident($($argument:ident: $type:ty),*) -> $answer:ty, else $default:expr;)*) => {
        /// A callback made of closures: one for each hook that is wanted.
        ///
        /// # Examples
        ///
        /// ```
        /// use mobula::{CallbackBuilder, Cluster, Value, graph};
        ///
        /// fn inc(x: i64) -> i64 {
        ///     x + 1
        /// }
        ///
        /// // Answers for "y", so that it does not run.
        /// let known = CallbackBuilder::new().presubmit(|_task, key, _deps| {
        ///     Ok((key.as_str().as_deref() == Some("y")).then(|| Value::new(100_i64)))
        /// });
        ///
        /// let cluster = Cluster::builder().workers(1).start()?;
        /// let _guard = cluster.register(known);
        /// let z = cluster.get_blocking(graph! { "y" => (inc, 1), "z" => (inc, "y") }, "z")?;
        /// assert_eq!(z.into_data::<i64>().unwrap(), 101);
        /// # Ok::<(), mobula::Error>(())
        /// ```
        pub struct CallbackBuilder {
            name: String,
            $($hook: Option<Box<dyn Fn($($type),*) -> $answer + Send + Sync>>,)*
        }

        impl CallbackBuilder {
            /// A callback that does nothing yet.
            pub fn new() -> Self {
                Self { name: "callback".to_owned(), $($hook: None,)* }
            }

            $($(#[$doc])*
            #[must_use]
            pub fn $hook(
                mut self,
                hook: impl Fn($($type),*) -> $answer + Send + Sync + 'static,
            ) -> Self {
                self.$hook = Some(Box::new(hook));
                self
            })*
        }

        impl Callback for CallbackBuilder {
            fn name(&self) -> &str {
                &self.name
            }

            $(fn $hook(&self, $($argument: $type),*) -> $answer {
                match &self.$hook {
                    Some(hook) => hook($($argument),*),
                    None => $default,
                }
            })*
        }
    };
}

builder! {
    /// As [`Callback::lookup`].
    lookup(keys: &[&Key]) -> Result<Vec<Option<Value>>, BoxError>, else Ok(Vec::new());
    /// As [`Callback::graph_lookup`].
    graph_lookup(graph: &Plan, is_answered: &dyn Fn(TaskId) -> bool)
        -> Result<Vec<(TaskId, Value)>, BoxError>, else Ok(Vec::new());
    /// As [`Callback::lookup_used`].
    lookup_used(keys: &[&Key]) -> HookResult, else Ok(());
    /// As [`Callback::presubmit`].
    presubmit(task: &TaskView<'_>, key: &Key, deps: &ObjectRefs<'_>)
        -> Result<Option<Value>, BoxError>, else Ok(None);
    /// As [`Callback::postsubmit`].
    postsubmit(task: &TaskView<'_>, key: &Key, deps: &ObjectRefs<'_>, object_ref: &ObjectRef)
        -> HookResult, else Ok(());
    /// As [`Callback::pretask`].
    pretask(key: &Key, object_refs: &ObjectRefs<'_>) -> Result<PreState, BoxError>, else Ok(None);
    /// As [`Callback::posttask`].
    posttask(key: &Key, result: &Value, pre_state: PreState) -> HookResult, else Ok(());
    /// As [`Callback::postsubmit_all`].
    postsubmit_all(object_refs: &[ObjectRef], graph: &Plan) -> HookResult, else Ok(());
    /// As [`Callback::finish`].
    finish(result: &Results) -> HookResult, else Ok(());
    /// As [`Callback::graph_start`].
    graph_start(graph: &Plan) -> HookResult, else Ok(());
    /// As [`Callback::graph_start_state`].
    graph_start_state(graph: &Plan, state: &RunView<'_>) -> HookResult, else Ok(());
    /// As [`Callback::graph_pretask`].
    graph_pretask(key: &Key, graph: &Plan, state: &RunView<'_>) -> HookResult, else Ok(());
    /// As [`Callback::graph_posttask`].
    graph_posttask(key: &Key, graph: &Plan, state: &RunView<'_>) -> HookResult, else Ok(());
    /// As [`Callback::graph_finish`].
    graph_finish(graph: &Plan, state: &RunView<'_>, errored: bool) -> HookResult, else Ok(());
    /// As [`Callback::error`].
    error(key: &Key, failure: &Failure) -> HookResult, else Ok(());
    /// As [`Callback::retry`].
    retry(key: &Key, attempt: u32) -> HookResult, else Ok(());
    /// As [`Callback::spill`].
    spill(key: &Key, bytes: u64) -> HookResult, else Ok(());
}

impl CallbackBuilder {
    /// The callback's name in errors.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// A `pretask` and a `posttask` hook with a state of type `S` between them.
    #[must_use]
    pub fn around<S: Send + 'static>(
        self,
        pretask: impl Fn(&Key, &ObjectRefs<'_>) -> S + Send + Sync + 'static,
        posttask: impl Fn(&Key, &Value, S) -> HookResult + Send + Sync + 'static,
    ) -> Self {
        self.pretask(move |key, refs| Ok(Some(Box::new(pretask(key, refs))))).posttask(
            move |key, result, state| match state.and_then(|state| state.downcast::<S>().ok()) {
                Some(state) => posttask(key, result, *state),
                None => Err("the state of `pretask` is missing".into()),
            },
        )
    }
}

impl Default for CallbackBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for CallbackBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallbackBuilder").field("name", &self.name).finish_non_exhaustive()
    }
}
