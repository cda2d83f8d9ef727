//! [`Request`]: calls with settings of their own.

use std::sync::Arc;
use std::time::Duration;

use super::calls::{plan_beside, refuse_on_arbiter, typed, values_of};
use super::{Client, RunHandle};
use crate::actors::callbacks::Callback;
use crate::actors::store::ObjectRef;
use crate::delayed::{Delayed, DelayedList};
use crate::engine::{OnError, Placement, Policy};
use crate::error::Error;
use crate::graph::{Backoff, Failure, Graph, Key, Outputs, Plan, Results};
use crate::value::Data;

/// Calls with settings of their own; see [`Client::request`].
///
/// What is said of retries and of a task's time limit holds for the tasks that say nothing of it
/// themselves ([`TaskOptions`](crate::TaskOptions)). A request can be cloned and used many times; runs that
/// its tasks start inherit nothing of it.
#[derive(Clone)]
#[must_use = "a request does nothing before it is called"]
pub struct Request {
    client: Client,
    callbacks: Vec<Arc<dyn Callback>>,
    policy: Policy,
}

impl Request {
    pub(super) fn new(client: Client) -> Self {
        Self { client, callbacks: Vec::new(), policy: Policy::default() }
    }

    /// Adds callbacks, behind those that are there.
    pub fn callbacks<C: Callback>(mut self, callbacks: impl IntoIterator<Item = C>) -> Self {
        self.callbacks.extend(callbacks.into_iter().map(|c| Arc::new(c) as Arc<dyn Callback>));
        self
    }

    /// As [`callbacks`](Self::callbacks), for callbacks that others hold, too.
    pub fn shared_callbacks(
        mut self,
        callbacks: impl IntoIterator<Item = Arc<dyn Callback>>,
    ) -> Self {
        self.callbacks.extend(callbacks);
        self
    }

    /// Lets each task be tried again up to `retries` times when it fails. Arguments are then kept until
    /// their task has succeeded.
    pub fn retries(mut self, retries: u32) -> Self {
        self.policy.tasks = self.policy.tasks.retries(retries);
        self
    }

    /// How long to wait before each new attempt; by default not at all. No worker waits with it.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.policy.tasks = self.policy.tasks.backoff(backoff);
        self
    }

    /// Tries a task again only if it returned an error of this type, or one that was caused by it. Said
    /// several times, each of the types will do.
    pub fn retry_on<Cause: std::error::Error + 'static>(mut self) -> Self {
        self.policy.tasks = self.policy.tasks.retry_on::<Cause>();
        self
    }

    /// Tries a task again only if `condition` says so. It is asked in the worker, and how often the
    /// task was tried is not counted in what it is asked about. Beside other conditions, one of them is
    /// enough.
    pub fn retry_if(
        mut self,
        condition: impl Fn(&Failure) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.policy.tasks = self.policy.tasks.retry_if(condition);
        self
    }

    /// How long one attempt of a task may take. A call that takes longer counts as failed, and what it
    /// answers later is dropped; its thread cannot be ended, so until then another worker stands in for
    /// it. A worker process that makes such a call is ended and replaced. The future of an `async` function
    /// is dropped at the limit. Hooks are not counted.
    ///
    /// While a task waits for a nested run, its worker works on that run. If it is stuck there, the task
    /// that waits hears of it only when that call has come back.
    pub fn task_time_limit(mut self, limit: Duration) -> Self {
        self.policy.tasks = self.policy.tasks.time_limit(limit);
        self
    }

    /// How long the run may take, from the moment in which its tasks may start. It fails at the limit,
    /// whatever its tasks do; for workers that do not come out of them, others stand in.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.policy.time_limit = Some(limit);
        self
    }

    /// What a task that failed for good means to the rest of the run. By default it ends the run. A hook
    /// that fails always does.
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.policy.on_error = on_error;
        self
    }

    /// Where the functions of the tasks are called; by default in the workers' threads. Elsewhere only those
    /// are called that say they can be ([`Function::as_any`](crate::Function::as_any)), and only if the
    /// cluster has worker processes ([`ClusterBuilder::processes`](crate::ClusterBuilder::processes)).
    pub fn placement(mut self, placement: Placement) -> Self {
        self.policy.placement = placement;
        self
    }

    /// As [`Client::run`].
    pub fn run(&self, plan: impl Into<Arc<Plan>>) -> RunHandle {
        self.client.run_under(plan.into(), self.callbacks.clone(), self.policy.clone())
    }

    /// As [`Client::get`].
    ///
    /// # Errors
    ///
    /// As [`Client::get`]; and [`Error`] if a time limit of the run is exceeded.
    pub async fn get(
        &self,
        graph: impl Into<Arc<Graph>>,
        outputs: impl Into<Outputs>,
    ) -> Result<Results, Error> {
        let plan = plan_beside(graph.into(), outputs.into()).await?;
        self.run(plan).await
    }

    /// As [`Client::get_blocking`].
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); and on an arbiter.
    pub fn get_blocking(
        &self,
        graph: impl Into<Arc<Graph>>,
        outputs: impl Into<Outputs>,
    ) -> Result<Results, Error> {
        refuse_on_arbiter("get")?;
        self.run(Plan::new(graph, outputs)?).wait()
    }

    /// As [`Client::compute`].
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); also with [`OnError::Skip`] if the value is missing.
    pub async fn compute<T: Data + Clone>(&self, delayed: &Delayed<T>) -> Result<T, Error> {
        let (graph, outputs) = delayed.graph();
        let results = self.get(graph, outputs).await?;
        typed(results.into_value(), delayed.key())
    }

    /// As [`Client::compute_blocking`].
    ///
    /// # Errors
    ///
    /// As [`compute`](Self::compute); and on an arbiter.
    pub fn compute_blocking<T: Data + Clone>(&self, delayed: &Delayed<T>) -> Result<T, Error> {
        refuse_on_arbiter("compute")?;
        let (graph, outputs) = delayed.graph();
        let results = self.get_blocking(graph, outputs)?;
        typed(results.into_value(), delayed.key())
    }

    /// As [`Client::compute_all`].
    ///
    /// # Errors
    ///
    /// As [`compute`](Self::compute).
    pub async fn compute_all<L: DelayedList>(&self, delayed: L) -> Result<L::Values, Error> {
        let (graph, outputs) = delayed.graph();
        let results = self.get(graph, outputs).await?;
        delayed.values(values_of(results))
    }

    /// As [`Client::compute_all_blocking`].
    ///
    /// # Errors
    ///
    /// As [`compute`](Self::compute); and on an arbiter.
    pub fn compute_all_blocking<L: DelayedList>(&self, delayed: L) -> Result<L::Values, Error> {
        refuse_on_arbiter("compute_all")?;
        let (graph, outputs) = delayed.graph();
        let results = self.get_blocking(graph, outputs)?;
        delayed.values(values_of(results))
    }

    /// As [`Client::persist`]. With [`OnError::Skip`] an object whose task failed or was skipped says so
    /// when it is gathered, and the others have their values.
    ///
    /// # Errors
    ///
    /// As [`Client::persist`].
    pub fn persist(
        &self,
        graph: impl Into<Arc<Graph>>,
        keys: impl IntoIterator<Item: Into<Key>>,
    ) -> Result<Vec<ObjectRef>, Error> {
        let (callbacks, policy) = (self.callbacks.clone(), self.policy.clone());
        self.client.persist_under(graph.into(), keys, callbacks, policy)
    }
}

impl Request {
    /// As [`persist`](Self::persist), for a plan, with a handle to each wanted value in the order of the
    /// wanted keys, whatever their shape.
    ///
    /// # Errors
    ///
    /// [`Error`] if the cluster has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use mobula::{Cluster, Plan, graph, keys};
    ///
    /// fn inc(x: i64) -> i64 {
    ///     x + 1
    /// }
    ///
    /// let cluster = Cluster::builder().workers(1).start()?;
    /// let plan = Plan::new(graph! { "x" => 1, "y" => (inc, "x") }, keys!["y", ["x"]])?;
    /// let refs = cluster.request().persist_plan(plan)?;
    /// let values = cluster.gather_blocking(&refs)?;
    /// assert_eq!(values[0].downcast_ref::<i64>(), Some(&2));
    /// # Ok::<(), mobula::Error>(())
    /// ```
    pub fn persist_plan(&self, plan: impl Into<Arc<Plan>>) -> Result<Vec<ObjectRef>, Error> {
        let (callbacks, policy) = (self.callbacks.clone(), self.policy.clone());
        self.client.persist_plan_under(plan.into(), callbacks, policy)
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("callbacks", &self.callbacks.len())
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
