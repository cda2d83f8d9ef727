//! [`Client`] and its calls.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use actix::{Actor, Addr, Context};
use futures::channel::oneshot;

use super::handle::{CallbackGuard, CancelGuard, RunHandle};
use super::request::Request;
use crate::actors::callbacks::{Callback, CallbackId, CallbackRegistry, Register, Unregister};
use crate::actors::events::Events;
use crate::actors::store::{Maker, ObjectRef, Store, StoredValue, next_run};
use crate::actors::worker::ActiveRun;
use crate::actors::{
    Crew, PromisedObjects, Reply, SchedulerActor, StateRef, Submission, Submit, is_arbiter_thread,
    wait_among, wait_needing,
};
use crate::delayed::{Delayed, DelayedList};
use crate::engine::{Policy, Resources, Run};
use crate::error::{Error, Kind};
use crate::graph::{Graph, Key, Meaning, Missing, Outputs, Plan, Results};
use crate::host::Host;
use crate::monitor::WeakMonitor;
use crate::value::{Data, Value};

/// Runs graphs on a cluster. Cloning is cheap; a clone may be sent anywhere, also into tasks.
///
/// Each call has a twin that blocks, for plain threads and for tasks; on an arbiter the twin is an
/// error, because it would hold up every actor there.
#[derive(Clone, Debug)]
pub struct Client {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) scheduler: Addr<SchedulerActor>,
    pub(super) registry: Addr<CallbackRegistry>,
    pub(super) store: Store,
    /// What every run needs.
    resources: Resources,
    /// Knows the runs that go on. Those must not live as long as a client does.
    pub(super) crew: Weak<Crew>,
    /// Where it is told what happens.
    events: Arc<Events>,
    pub(super) host: Weak<Host>,
    /// How many callbacks are registered; changed before the registry is told.
    callbacks: AtomicUsize,
    next_callback: AtomicU64,
    /// Who looks, while somebody does.
    pub(super) monitor: Mutex<WeakMonitor>,
    /// True once the cluster is ending.
    closed: AtomicBool,
}

impl Client {
    pub(crate) fn new(
        scheduler: Addr<SchedulerActor>,
        registry: Addr<CallbackRegistry>,
        store: Store,
        crew: &Arc<Crew>,
        host: &Arc<Host>,
    ) -> Self {
        let shared = Shared {
            scheduler,
            registry,
            resources: store.shelf().resources(),
            crew: Arc::downgrade(crew),
            events: Arc::clone(crew.events()),
            store,
            host: Arc::downgrade(host),
            callbacks: AtomicUsize::new(0),
            next_callback: AtomicU64::new(0),
            monitor: Mutex::default(),
            closed: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Where tasks with this prefix are called and why, if a run has left that open.
    pub(super) fn explain_placement(&self, prefix: &str) -> Option<String> {
        self.shared.crew.upgrade()?.fleet()?.explain(prefix)
    }

    /// Marks the cluster as ending; false if it was already.
    pub(crate) fn close(&self) -> bool {
        !self.shared.closed.swap(true, Ordering::AcqRel)
    }

    /// How many workers the cluster has.
    pub fn workers(&self) -> usize {
        self.shared.resources.workers
    }

    /// Runs what `outputs` need of `graph` and answers their values, in the same nested shape.
    ///
    /// Dropping the future cancels the run.
    ///
    /// # Errors
    ///
    /// [`Error`] if the graph is wrong, a task or a hook failed, or the run was cancelled.
    ///
    /// # Examples
    ///
    /// ```
    /// use mobula::{Cluster, graph, keys};
    ///
    /// fn add(x: i64, y: i64) -> i64 {
    ///     x + y
    /// }
    ///
    /// # #[actix_rt::main]
    /// # async fn main() -> Result<(), mobula::Error> {
    /// let cluster = Cluster::builder().workers(2).start()?;
    /// let graph = graph! { "x" => 1, "y" => (add, "x", 1), "z" => (add, "x", "y") };
    /// let results = cluster.get(graph, keys!["z", ["x", "y"]]).await?.into_list();
    /// assert_eq!(results[0].get::<i64>(), Some(&3));
    /// # cluster.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn get(
        &self,
        graph: impl Into<Arc<Graph>>,
        outputs: impl Into<Outputs>,
    ) -> Result<Results, Error> {
        let plan = plan_beside(graph.into(), outputs.into()).await?;
        self.run(plan).await
    }

    /// As [`get`](Self::get), and waits on this thread. In a task it works on the nested run meanwhile.
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

    /// Starts a run of a plan. A plan can be run many times; the caller needs not await the handle to
    /// let the run go on, but dropping it cancels the run.
    pub fn run(&self, plan: impl Into<Arc<Plan>>) -> RunHandle {
        self.run_with(plan, Vec::new())
    }

    /// As [`run`](Self::run), with callbacks for this run alone. They come behind the registered ones.
    pub fn run_with(
        &self,
        plan: impl Into<Arc<Plan>>,
        callbacks: Vec<Arc<dyn Callback>>,
    ) -> RunHandle {
        self.run_under(plan.into(), callbacks, Policy::default())
    }

    pub(super) fn run_under(
        &self,
        plan: Arc<Plan>,
        callbacks: Vec<Arc<dyn Callback>>,
        policy: Policy,
    ) -> RunHandle {
        let (sender, receiver) = oneshot::channel();
        let (guard, run) = self.submit(plan, callbacks, policy, |_| Reply::Client(sender));
        RunHandle::new(receiver, run, Weak::clone(&self.shared.crew), guard)
    }

    /// A request with settings of its own: retries, time limits, what a failure means, callbacks.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use mobula::{Cluster, OnError, graph, keys};
    ///
    /// fn half(x: i64) -> Result<i64, &'static str> {
    ///     if x % 2 == 0 { Ok(x / 2) } else { Err("an odd number") }
    /// }
    ///
    /// let cluster = Cluster::builder().workers(2).start()?;
    /// let graph = graph! { "a" => (half, 4), "b" => (half, 5), "c" => (half, "b") };
    /// let results = cluster
    ///     .request()
    ///     .retries(1)
    ///     .time_limit(Duration::from_secs(60))
    ///     .on_error(OnError::Skip)
    ///     .get_blocking(graph, ["a", "c"])?;
    /// let missing = results.missing();
    /// assert_eq!(
    ///     missing[0].to_string(),
    ///     "task 'c' was skipped: task 'b' failed: an odd number (after 2 attempts)"
    /// );
    /// assert_eq!(results.into_list()[0].get::<i64>(), Some(&2));
    /// # Ok::<(), mobula::Error>(())
    /// ```
    pub fn request(&self) -> Request {
        Request::new(self.clone())
    }

    /// A [`request`](Self::request) with callbacks for one run.
    ///
    /// # Examples
    ///
    /// ```
    /// use mobula::{Cluster, TimerCallback, graph};
    ///
    /// fn inc(x: i64) -> i64 {
    ///     x + 1
    /// }
    ///
    /// let cluster = Cluster::builder().workers(1).start()?;
    /// let timer = TimerCallback::new();
    /// cluster.with_callbacks([timer.clone()]).get_blocking(graph! { "y" => (inc, 1) }, "y")?;
    /// assert_eq!(timer.durations().len(), 1);
    /// # Ok::<(), mobula::Error>(())
    /// ```
    pub fn with_callbacks<C: Callback>(&self, callbacks: impl IntoIterator<Item = C>) -> Request {
        self.request().callbacks(callbacks)
    }

    fn submit(
        &self,
        plan: Arc<Plan>,
        callbacks: Vec<Arc<dyn Callback>>,
        policy: Policy,
        reply: impl FnOnce(&Arc<CancelGuard>) -> Reply,
    ) -> (Arc<CancelGuard>, Option<Arc<Run>>) {
        let run = next_run();
        let guard = Arc::new(CancelGuard::new(run, self.shared.scheduler.clone()));
        let hooked = !callbacks.is_empty() || self.shared.callbacks.load(Ordering::Acquire) > 0;
        let (what, state) = if hooked {
            (Submission::WithHooks(plan, callbacks, policy), None)
        } else {
            let state = Run::new(run, plan, &self.shared.resources, Vec::new());
            let state = Arc::new(state.under(policy));
            (Submission::Ready(Arc::clone(&state)), Some(state))
        };
        let reply = reply(&guard);
        // If the scheduler is gone, the reply goes with the message, and the handle says so.
        self.shared.scheduler.do_send(Submit { run, what, reply });
        (guard, state)
    }

    /// Computes one delayed value.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub async fn compute<T: Data + Clone>(&self, delayed: &Delayed<T>) -> Result<T, Error> {
        let (graph, outputs) = delayed.graph();
        let results = self.get(graph, outputs).await?;
        typed(results.into_value(), delayed.key())
    }

    /// As [`compute`](Self::compute), and waits on this thread.
    ///
    /// # Errors
    ///
    /// As [`get_blocking`](Self::get_blocking).
    pub fn compute_blocking<T: Data + Clone>(&self, delayed: &Delayed<T>) -> Result<T, Error> {
        refuse_on_arbiter("compute")?;
        typed(self.run(delayed.plan()?).wait()?.into_value(), delayed.key())
    }

    /// Computes several delayed values in one run, which shares what they have in common: a tuple of
    /// up to eight handles of different types, or a slice of one type.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    ///
    /// # Examples
    ///
    /// ```
    /// use mobula::{Cluster, delayed};
    ///
    /// let half = delayed(|x: i64| x as f64 / 2.0);
    /// let text = delayed(|x: f64| x.to_string());
    ///
    /// let cluster = Cluster::builder().workers(2).start()?;
    /// let x = half.call(5);
    /// let (number, words) = cluster.compute_all_blocking((&x, &text.call(&x)))?;
    /// assert_eq!((number, words.as_str()), (2.5, "2.5"));
    /// # Ok::<(), mobula::Error>(())
    /// ```
    pub async fn compute_all<L: DelayedList>(&self, delayed: L) -> Result<L::Values, Error> {
        let (graph, outputs) = delayed.graph();
        let results = self.get(graph, outputs).await?;
        delayed.values(values_of(results))
    }

    /// As [`compute_all`](Self::compute_all), and waits on this thread.
    ///
    /// # Errors
    ///
    /// As [`get_blocking`](Self::get_blocking).
    pub fn compute_all_blocking<L: DelayedList>(&self, delayed: L) -> Result<L::Values, Error> {
        refuse_on_arbiter("compute_all")?;
        let (graph, outputs) = delayed.graph();
        let results = self.get_blocking(graph, outputs)?;
        delayed.values(values_of(results))
    }

    /// Starts a run in the background and answers handles to its results, one for each wanted key, at
    /// once (the graph is checked and ordered on this thread first). The values stay in the store as long as their handles; when all are dropped before the run
    /// is over, it is cancelled.
    ///
    /// # Errors
    ///
    /// [`Error`] if the graph is wrong, or the cluster has ended. What fails later is told by [`gather`](Self::gather).
    ///
    /// # Examples
    ///
    /// ```
    /// use mobula::{Cluster, graph};
    ///
    /// fn inc(x: i64) -> i64 {
    ///     x + 1
    /// }
    ///
    /// let cluster = Cluster::builder().workers(1).start()?;
    /// let refs = cluster.persist(graph! { "x" => (inc, 1), "y" => (inc, "x") }, ["x", "y"])?;
    /// let values = cluster.gather_blocking(&refs)?;
    /// assert_eq!(values[1].downcast_ref::<i64>(), Some(&3));
    /// # Ok::<(), mobula::Error>(())
    /// ```
    pub fn persist(
        &self,
        graph: impl Into<Arc<Graph>>,
        keys: impl IntoIterator<Item: Into<Key>>,
    ) -> Result<Vec<ObjectRef>, Error> {
        self.persist_under(graph.into(), keys, Vec::new(), Policy::default())
    }

    pub(super) fn persist_under(
        &self,
        graph: Arc<Graph>,
        keys: impl IntoIterator<Item: Into<Key>>,
        callbacks: Vec<Arc<dyn Callback>>,
        policy: Policy,
    ) -> Result<Vec<ObjectRef>, Error> {
        if self.is_closed() {
            return Err(Kind::Closed.into());
        }
        let keys: Vec<Key> = keys.into_iter().map(Into::into).collect();
        let plan = Arc::new(Plan::new(graph, keys.clone())?);
        Ok(self.promise(plan, keys, callbacks, policy))
    }

    pub(super) fn persist_plan_under(
        &self,
        plan: Arc<Plan>,
        callbacks: Vec<Arc<dyn Callback>>,
        policy: Policy,
    ) -> Result<Vec<ObjectRef>, Error> {
        if self.is_closed() {
            return Err(Kind::Closed.into());
        }
        let key = |meaning: &Meaning<'_>| match meaning {
            Meaning::Task(task) => plan.key(*task).clone(),
            Meaning::Literal(_) => Key::from("literal"),
        };
        let keys = plan.wanted().iter().map(key).collect();
        Ok(self.promise(plan, keys, callbacks, policy))
    }

    /// Starts a run and answers handles to its results, one for each of the wanted `keys`.
    fn promise(
        &self,
        plan: Arc<Plan>,
        keys: Vec<Key>,
        callbacks: Vec<Arc<dyn Callback>>,
        policy: Policy,
    ) -> Vec<ObjectRef> {
        let mut refs = Vec::with_capacity(keys.len());
        let make = |guard: &Arc<CancelGuard>| {
            let objects = keys.into_iter().map(|key| {
                let maker: Arc<dyn Maker> = Arc::clone(guard) as _;
                let (object_ref, object) = self.shared.store.pending(key, Some(maker));
                refs.push(object_ref);
                Arc::downgrade(&object)
            });
            Reply::Objects(PromisedObjects::new(objects.collect()))
        };
        self.submit(plan, callbacks, policy, make);
        refs
    }

    /// Puts data into the store.
    pub fn put(&self, key: impl Into<Key>, data: impl Into<Value>) -> ObjectRef {
        self.shared.store.put(key.into(), data.into())
    }

    /// The values of object refs, in order; waits for those that are still being made.
    ///
    /// # Errors
    ///
    /// [`Error`] if one of them will never be there.
    pub async fn gather(&self, refs: &[ObjectRef]) -> Result<Vec<Value>, Error> {
        if self.is_closed() {
            return Err(Kind::Closed.into());
        }
        let mut values = Vec::with_capacity(refs.len());
        for object_ref in refs {
            values.push(object_ref.wait().await?);
        }
        Ok(values)
    }

    /// As [`gather`](Self::gather), and waits on this thread. In a task it works meanwhile on the runs
    /// that make the values.
    ///
    /// # Errors
    ///
    /// As [`gather`](Self::gather); and on an arbiter.
    pub fn gather_blocking(&self, refs: &[ObjectRef]) -> Result<Vec<Value>, Error> {
        refuse_on_arbiter("gather")?;
        if self.is_closed() {
            return Err(Kind::Closed.into());
        }
        let value = |one: &ObjectRef| Ok(wait_among(&self.shared.crew, one.maker(), one.wait())?);
        refs.iter().map(value).collect()
    }

    /// Registers a callback for all runs that start from now on, until the guard is dropped.
    #[must_use = "the callback is unregistered when the guard is dropped"]
    pub fn register(&self, callback: impl Callback) -> CallbackGuard {
        let id = CallbackId(self.shared.next_callback.fetch_add(1, Ordering::Relaxed));
        self.shared.callbacks.fetch_add(1, Ordering::AcqRel);
        // If the registry is gone, there are no runs any more to be called for.
        self.shared.registry.do_send(Register { id, callback: Arc::new(callback) });
        CallbackGuard::new(self.clone(), id)
    }

    pub(super) fn unregister(&self, id: CallbackId) {
        // If the registry is gone, so is the registration.
        self.shared.registry.do_send(Unregister { id });
        self.shared.callbacks.fetch_sub(1, Ordering::AcqRel);
    }

    /// Starts a state actor on an arbiter of its own. It lives until the cluster ends, until it stops itself,
    /// or until nobody has a handle or an address of it; its arbiter ends with it, and what else runs there.
    ///
    /// # Errors
    ///
    /// [`Error`] if the cluster has ended, or the operating system gives no thread.
    pub fn start_state<A>(&self, actor: A) -> Result<StateRef<A>, Error>
    where
        A: Actor<Context = Context<A>> + Send,
    {
        let host = self.shared.host.upgrade().filter(|_| !self.is_closed());
        let host = host.ok_or_else(|| Error::from(Kind::Closed))?;
        let state = host.start_state(actor)?;
        host.show(&state);
        Ok(state)
    }

    pub(super) fn events(&self) -> &Arc<Events> {
        &self.shared.events
    }

    /// The runs that go on; none if the cluster has ended.
    pub(super) fn active_runs(&self) -> Arc<Vec<Arc<ActiveRun>>> {
        self.shared.crew.upgrade().map(|crew| crew.runs().1).unwrap_or_default()
    }

    /// The large values of a key.
    pub(super) async fn stored(&self, key: &Key) -> Result<Vec<StoredValue>, Error> {
        let found = self.shared.store.find(key.clone()).await;
        found.filter(|_| !self.is_closed()).ok_or_else(|| Kind::Closed.into())
    }

    pub(super) fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }
}

pub(super) fn values_of(results: Results) -> Vec<Value> {
    results.into_list().into_iter().map(Results::into_value).collect()
}

/// The data of a result, which must be of the type that the caller expects.
pub(crate) fn typed<T: Data + Clone>(value: Value, key: &Key) -> Result<T, Error> {
    value.take().map_err(|value| {
        if let Some(missing) = value.downcast_ref::<Missing>() {
            return Kind::Task(missing.failure.clone()).into();
        }
        let (expected, found) = (std::any::type_name::<T>(), value.type_name());
        Kind::Result { key: Some(key.clone()), expected, found }.into()
    })
}

/// Waits for a future on this thread. In a task or a hook the thread works meanwhile on other runs, so
/// that what is waited for gets done even if all workers wait.
///
/// `needs` is asked now and then for the value that the future waits for just now, if it is one that a
/// run makes: that run is worked on first, however deep this thread is in tasks that wait.
///
/// # Errors
///
/// [`Error`] on an arbiter, all actors of which would be held up.
///
/// # Examples
///
/// ```
/// let cluster = mobula::Cluster::builder().workers(1).start()?;
/// let one = cluster.put("one", 1_i64);
/// let value = mobula::wait_blocking(one.wait(), || Some(one.clone()))?;
/// assert_eq!(value.unwrap().take::<i64>().unwrap(), 1);
/// # Ok::<(), mobula::Error>(())
/// ```
pub fn wait_blocking<F: Future>(
    future: F,
    mut needs: impl FnMut() -> Option<ObjectRef>,
) -> Result<F::Output, Error> {
    refuse_on_arbiter("wait")?;
    Ok(wait_needing(&mut || needs()?.maker(), future))
}

pub(super) fn refuse_on_arbiter(call: &'static str) -> Result<(), Error> {
    if is_arbiter_thread() { Err(Kind::Blocking { call }.into()) } else { Ok(()) }
}

/// Plans a graph without holding up the arbiter of the caller, if there is one and the graph is large.
pub(super) async fn plan_beside(graph: Arc<Graph>, outputs: Outputs) -> Result<Plan, Error> {
    /// Planning so many tasks takes about as long as handing them to another thread.
    const SMALL: usize = 1_000;
    if graph.len() <= SMALL || !is_arbiter_thread() {
        return Ok(Plan::new(graph, outputs)?);
    }
    let planned = actix_rt::task::spawn_blocking(move || Plan::new(graph, outputs)).await;
    // A panic there would be ours; nothing cancels the planning but the end of the program.
    Ok(planned.map_err(|_| Error::from(Kind::Cancelled))??)
}
