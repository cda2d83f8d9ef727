//! Waiting for values, as Python programs do it: `get`, `wait`; and `put`, after which nobody waits.
//!
//! The interpreter's lock is not held meanwhile. A thread of a program looks at signals now and then; a
//! worker, in a task or a hook, works on what it waits for; an actor that would wait for itself is told so.

use std::collections::HashSet;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use mobula::{Key, Value};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::actor_state::{ActorState, Waits};
use crate::interpreter::{is_worker, released};
use crate::numbers::whole;
use crate::object::Object;
use crate::object_ref::ObjectRef;
use crate::promise::{Broken, Needs};
use crate::referent::{Condition, Referent, object_in};
use crate::request::look_up;
use crate::{asks, clusters, errors, object};

/// How long a signal may go unnoticed.
const SIGNALS: Duration = Duration::from_millis(50);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

thread_local! {
    /// Always the same one, so that who waits again and again is on a list of waiters only once.
    static WAKER: Waker = Waker::from(Arc::new(Unpark(std::thread::current())));
}

/// Until when to wait; none for ever.
#[derive(Clone, Copy)]
struct Deadline(Option<Instant>);

impl Deadline {
    fn after(timeout: Option<f64>) -> PyResult<Self> {
        let Some(seconds) = timeout else { return Ok(Self(None)) };
        if seconds.is_nan() || seconds < 0.0 {
            return Err(PyValueError::new_err("a timeout must be a number of seconds, 0 or more"));
        }
        #[expect(clippy::disallowed_methods, reason = "a timeout begins now")]
        let now = Instant::now();
        let time = Duration::try_from_secs_f64(seconds).ok();
        Ok(Self(time.and_then(|time| now.checked_add(time))))
    }

    /// How long it is until then.
    #[expect(clippy::disallowed_methods, reason = "timeouts are looked at")]
    fn left(self) -> Option<Duration> {
        Some(self.0?.saturating_duration_since(Instant::now()))
    }
}

/// Waits for a future that must not touch the interpreter; none if it took too long. `needs` says what it
/// waits for just now.
fn wait_until<F>(
    py: Python<'_>,
    future: F,
    deadline: Deadline,
    needs: impl Fn() -> Needs + Send + Sync,
) -> PyResult<Option<F::Output>>
where
    F: Future + Send,
    F::Output: Send,
{
    if is_worker() {
        return work_until(py, future, deadline, needs);
    }
    let mut future = pin!(future);
    loop {
        if let Some(output) = released(py, || look_until(future.as_mut(), deadline)) {
            return Ok(Some(output));
        }
        if deadline.left() == Some(Duration::ZERO) {
            return Ok(None);
        }
        look_up(py)?;
    }
}

/// Waits on a worker's thread, which works meanwhile.
fn work_until<F>(
    py: Python<'_>,
    future: F,
    deadline: Deadline,
    needs: impl Fn() -> Needs + Send + Sync,
) -> PyResult<Option<F::Output>>
where
    F: Future + Send,
    F::Output: Send,
{
    let run = || match needs() {
        Needs::Run(object) => Some(object),
        Needs::Nothing | Needs::Arguments(_) | Needs::Actor(_) => None,
    };
    let output = released(py, || {
        let mut future = pin!(future);
        // A worker that waits looks around all the time.
        let limited = poll_fn(move |context| match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if deadline.left() == Some(Duration::ZERO) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        mobula::wait_blocking(limited, run)
    });
    object::release_here(py);
    output.map_err(|error| errors::exception(py, &error))
}

/// Polls a future on this thread until it is time to look at signals.
fn look_until<F: Future>(
    mut future: std::pin::Pin<&mut F>,
    deadline: Deadline,
) -> Option<F::Output> {
    /// An answer from another thread that is awake takes less than this many looks.
    const LOOKS: u32 = 64;
    let waker = WAKER.with(Clone::clone);
    let mut context = Context::from_waker(&waker);
    for _ in 0..LOOKS {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        std::hint::spin_loop();
    }
    #[expect(clippy::disallowed_methods, reason = "signals are looked for at intervals")]
    let began = Instant::now();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        let left = SIGNALS.checked_sub(began.elapsed())?;
        match deadline.left() {
            Some(Duration::ZERO) => return None,
            Some(until) => std::thread::park_timeout(left.min(until)),
            None => std::thread::park_timeout(left),
        }
    }
}

/// Says that this thread waits for a referent, if it is an actor's; an error if the referent itself
/// waits for the actor.
fn announce(py: Python<'_>, referent: &Referent) -> PyResult<Option<Waits>> {
    let Some(actor) = ActorState::current() else { return Ok(None) };
    let waits = actor.will_wait(referent);
    match needs_of(referent, &actor) {
        Needs::Actor(end) if Arc::ptr_eq(&end, &actor) => {
            let message = format!(
                "{} waits here for {}, which waits for the actor itself to be done: this would last \
                 for ever. In an `async def` method the result can be awaited.",
                actor.class(),
                referent.name()
            );
            Err(errors::ours(py, "WouldDeadlockError", message))
        }
        Needs::Actor(_) | Needs::Run(_) | Needs::Nothing | Needs::Arguments(_) => Ok(Some(waits)),
    }
}

fn needs_of(referent: &Referent, actor: &Arc<ActorState>) -> Needs {
    referent.needs_at_last(|other| std::ptr::eq(other, Arc::as_ptr(actor)))
}

fn refuse_out_of_reach(py: Python<'_>, referent: &Referent) -> PyResult<()> {
    if referent.is_out_of_reach() {
        let message = format!("{} is made in the parent of this process", referent.name());
        return Err(errors::ours(py, "ClusterClosedError", message));
    }
    Ok(())
}

/// Waits for one value, on a worker as long as it is wanted; if it no longer is, any error is answered.
pub(crate) fn get_while<'py>(
    object_ref: &Bound<'py, PyAny>,
    is_wanted: impl Fn() -> bool + Send + Sync,
) -> PyResult<Bound<'py, PyAny>> {
    let py = object_ref.py();
    match ref_of(object_ref)?.get().referent() {
        Some(referent) => get_one(py, referent, Deadline(None), is_wanted),
        None => get(object_ref, None),
    }
}

/// Waits for one value of this process.
fn get_one<'py>(
    py: Python<'py>,
    referent: &Referent,
    deadline: Deadline,
    is_wanted: impl Fn() -> bool + Send + Sync,
) -> PyResult<Bound<'py, PyAny>> {
    refuse_out_of_reach(py, referent)?;
    let mut value = Box::pin(referent.fetch());
    let mut fetched = Box::pin(poll_fn(|context| match value.as_mut().poll(context) {
        // A worker that waits looks around all the time.
        Poll::Pending if !is_wanted() => Poll::Ready(Err(Broken::Closed)),
        Poll::Pending => Poll::Pending,
        Poll::Ready(value) => Poll::Ready(value),
    }));
    let at_once = fetched.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    let value = if let Poll::Ready(value) = at_once {
        Some(value)
    } else {
        let _waits = announce(py, referent)?;
        let needs = || referent.needs_at_last(|_| false);
        wait_until(py, fetched, deadline, needs)?
    };
    let late = || {
        let message = format!("{} was not there in time; it is still being made", referent.name());
        errors::ours(py, "GetTimeoutError", message)
    };
    match value.ok_or_else(late)? {
        Ok(value) => object_in(py, &value),
        Err(broken) => Err(broken.to_raise(py)),
    }
}

fn ref_of<'a, 'py>(object: &'a Bound<'py, PyAny>) -> PyResult<&'a Bound<'py, ObjectRef>> {
    object.cast::<ObjectRef>().map_err(|_| {
        let class = object.get_type();
        PyTypeError::new_err(format!("an ObjectRef is expected here, not an object of {class}"))
    })
}

/// The value of a ref, or the values of a list of them; see the stub.
#[pyfunction]
#[pyo3(signature = (refs, timeout=None))]
pub(crate) fn get<'py>(
    refs: &Bound<'py, PyAny>,
    timeout: Option<f64>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = refs.py();
    let deadline = Deadline::after(timeout)?;
    let are_many = refs.is_instance_of::<PyList>() || refs.is_instance_of::<PyTuple>();
    let all =
        if are_many { refs.try_iter()?.collect::<PyResult<Vec<_>>>()? } else { vec![refs.clone()] };
    let all = all.iter().map(ref_of).collect::<PyResult<Vec<_>>>()?;
    let in_parent: Vec<_> = all.iter().filter(|one| one.get().referent().is_none()).collect();
    let mut fetched = if in_parent.is_empty() {
        None
    } else {
        // All at once, before the others: those are there.
        Some(asks::session(py)?.call_method1("get", (in_parent, timeout))?.try_iter()?)
    };
    let mut value = |one: &Bound<'py, ObjectRef>| {
        if let Some(referent) = one.get().referent() {
            return get_one(py, referent, deadline, || true);
        }
        let next = fetched.as_mut().and_then(Iterator::next);
        next.expect("the parent answers a value for each ref")
    };
    if let ([one], false) = (&*all, are_many) {
        return value(one);
    }
    let values = all.into_iter().map(value).collect::<PyResult<Vec<_>>>()?;
    Ok(PyList::new(py, values)?.into_any())
}

/// The values of refs of this process if all of them are in memory, else nothing; it waits for nobody.
#[pyfunction]
pub(crate) fn get_now<'py>(refs: &Bound<'py, PyList>) -> PyResult<Option<Vec<Bound<'py, PyAny>>>> {
    let mut values = Vec::with_capacity(refs.len());
    for one in refs.iter() {
        let Some(referent) = ref_of(&one)?.get().referent().cloned() else { return Ok(None) };
        let mut fetched = Box::pin(referent.fetch());
        match fetched.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => return Ok(None),
            Poll::Ready(Ok(value)) => values.push(object_in(refs.py(), &value)?),
            Poll::Ready(Err(broken)) => return Err(broken.to_raise(refs.py())),
        }
    }
    Ok(Some(values))
}

/// Splits refs in those whose value is there and the others; see the stub.
#[pyfunction]
#[pyo3(signature = (refs, num_returns=None, timeout=None))]
pub(crate) fn wait<'py>(
    refs: &Bound<'py, PyList>,
    num_returns: Option<&Bound<'py, PyAny>>,
    timeout: Option<f64>,
) -> PyResult<(Bound<'py, PyList>, Bound<'py, PyList>)> {
    let py = refs.py();
    let deadline = Deadline::after(timeout)?;
    let all = refs.iter().collect::<Vec<_>>();
    let object_refs = all.iter().map(ref_of).collect::<PyResult<Vec<_>>>()?;
    let num_returns = num_returns.map_or(Ok(1), |given| whole(given, "num_returns", 1))?;
    if all.is_empty() {
        return Ok((PyList::empty(py), PyList::empty(py)));
    }
    if num_returns > all.len() {
        let message = format!(
            "num_returns must be {} at most, the number of refs, not {num_returns}",
            all.len()
        );
        return Err(PyValueError::new_err(message));
    }
    #[expect(clippy::mutable_key_type, reason = "what is hashed never changes")]
    let distinct: HashSet<&ObjectRef> = object_refs.iter().map(|one| one.get()).collect();
    if distinct.len() < all.len() {
        return Err(PyValueError::new_err("the refs must be different from each other"));
    }
    let referents: Vec<_> = object_refs.iter().filter_map(|one| one.get().referent()).collect();
    let is_there = if referents.len() < all.len() {
        let flags = asks::session(py)?.call_method1("wait", (refs, num_returns, timeout))?;
        flags.extract::<Vec<bool>>()?
    } else {
        let is_there = |referent: &Referent| referent.condition() != Condition::Pending;
        if referents.iter().filter(|referent| is_there(referent)).count() < num_returns {
            wait_for_some(py, &referents, num_returns, deadline)?;
        }
        referents.into_iter().map(is_there).collect()
    };
    let (mut ready, mut others) = (Vec::new(), Vec::new());
    for (object_ref, is_there) in all.iter().zip(is_there) {
        let is_ready = ready.len() < num_returns && is_there;
        if is_ready { ready.push(object_ref) } else { others.push(object_ref) }
    }
    Ok((PyList::new(py, ready)?, PyList::new(py, others)?))
}

fn wait_for_some(
    py: Python<'_>,
    referents: &[&Referent],
    number: usize,
    deadline: Deadline,
) -> PyResult<()> {
    for referent in referents {
        refuse_out_of_reach(py, referent)?;
    }
    if let Some(actor) = ActorState::current() {
        let can_come = |referent: &&&Referent| !matches!(needs_of(referent, &actor), Needs::Actor(end) if Arc::ptr_eq(&end, &actor));
        if referents.iter().filter(can_come).count() < number
            && let Some(own) = referents.iter().find(|referent| !can_come(referent))
        {
            announce(py, own)?;
        }
    }
    let mut left: Vec<_> = referents.iter().map(|one| Some(Box::pin(one.made()))).collect();
    let mut made = 0;
    let some = poll_fn(move |context| {
        for slot in &mut left {
            let Some(future) = slot else { continue };
            if future.as_mut().poll(context).is_ready() {
                *slot = None;
                made += 1;
            }
        }
        if made >= number { Poll::Ready(()) } else { Poll::Pending }
    });
    let needs = || {
        let pending = |referent: &&&Referent| referent.condition() == Condition::Pending;
        let first = referents.iter().find(pending);
        first.map_or(Needs::Nothing, |first| first.needs_at_last(|_| false))
    };
    wait_until(py, some, deadline, needs).map(drop)
}

/// Puts an object into the store; see the stub.
#[pyfunction]
pub(crate) fn put(object: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyAny>> {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    if object.is_instance_of::<ObjectRef>() {
        return Err(PyTypeError::new_err("this is an ObjectRef already: it needs not be put"));
    }
    let py = object.py();
    if let Some(parent) = asks::parent(py)? {
        return parent.call_method1("put", (object,));
    }
    let cluster = clusters::threads(py, None)?;
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let value: Value = Object::value(object);
    let key = Key::numbered("put", number);
    let stored = released(py, move || cluster.client().put(key, value));
    Ok(Bound::new(py, ObjectRef::of(stored))?.into_any())
}
