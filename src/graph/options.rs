//! What may be said of one task beside its call: how it is tried again, and how long it may take.
//!
//! Plain data. Nothing here waits, counts attempts or reads a clock; the engine does the sums.

use std::any::type_name;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::failure::Failure;

/// How long to wait before a task that failed is tried again.
///
/// The default is not to wait. No worker is held up by a wait, and the delays are the same each time:
/// there is no chance in them.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use mobula::Backoff;
///
/// let backoff = Backoff::exponential(Duration::from_millis(100)).max(Duration::from_millis(350));
/// let delays: Vec<u128> = (1..=4).map(|failures| backoff.delay(failures).as_millis()).collect();
/// assert_eq!(delays, [100, 200, 350, 350]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    factor: u32,
    max: Duration,
}

impl Backoff {
    /// No wait at all, as by default.
    pub const NONE: Self = Self::constant(Duration::ZERO);

    /// The same delay each time.
    pub const fn constant(delay: Duration) -> Self {
        Self { first: delay, factor: 1, max: Duration::MAX }
    }

    /// A delay that begins with `first` and doubles with each failure.
    pub const fn exponential(first: Duration) -> Self {
        Self { first, factor: 2, max: Duration::MAX }
    }

    /// By how much the delay is multiplied with each failure, instead of 2.
    #[must_use]
    pub const fn factor(mut self, factor: u32) -> Self {
        self.factor = factor;
        self
    }

    /// The longest delay.
    #[must_use]
    pub const fn max(mut self, max: Duration) -> Self {
        self.max = max;
        self
    }

    /// The delay after so many failures, counted from 1.
    pub fn delay(&self, failures: u32) -> Duration {
        let factor = self.factor.saturating_pow(failures.saturating_sub(1));
        self.first.saturating_mul(factor).min(self.max)
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::NONE
    }
}

/// Which failures are tried again; without one, errors, panics and exceeded time limits are.
///
/// Several conditions are joined by *or*. They are asked in the worker in which the task failed, after
/// the function, so they may take their time; a condition that panics answers no.
#[derive(Clone, Default)]
pub struct RetryOn(Vec<Arc<Condition>>);

/// Whether a failure is tried again.
type Condition = dyn Fn(&Failure) -> bool + Send + Sync;

impl RetryOn {
    /// True if nothing was said, so that every failure may be tried again.
    pub fn is_anything(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a condition.
    pub fn add(&mut self, condition: impl Fn(&Failure) -> bool + Send + Sync + 'static) {
        self.0.push(Arc::new(condition));
    }

    /// Adds errors of one type, be it the task's error itself or one of its causes.
    pub fn add_error<E: Error + 'static>(&mut self) {
        self.add(|failure| {
            let mut next = failure.task_error().map(|error| &**error as &(dyn Error + 'static));
            while let Some(error) = next {
                if error.is::<E>() {
                    return true;
                }
                next = error.source();
            }
            false
        });
    }

    /// Asks the conditions, which are code of users and may panic.
    pub fn allows(&self, failure: &Failure) -> bool {
        self.is_anything() || self.0.iter().any(|condition| condition(failure))
    }
}

impl fmt::Debug for RetryOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", type_name::<Self>(), self.0.len())
    }
}

/// What is said of one task beside its call. What is left open is as the run says, and by default as
/// it always was: one attempt, without a limit.
///
/// A [`Task`](super::Task) and a [`DelayedFn`](crate::DelayedFn) have the same methods; this is for graphs that are written
/// in another way, see [`Graph::set_options`](super::Graph::set_options).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use mobula::{Backoff, Graph, TaskOptions};
///
/// fn fetch() -> std::io::Result<String> {
///     Ok("manta".to_owned())
/// }
///
/// let mut graph = Graph::new();
/// let node = graph.insert("page", (fetch,));
/// let options = TaskOptions::new()
///     .retries(3)
///     .backoff(Backoff::exponential(Duration::from_millis(50)))
///     .retry_on::<std::io::Error>()
///     .time_limit(Duration::from_secs(10));
/// graph.set_options(node, options);
/// ```
#[derive(Clone, Debug, Default)]
pub struct TaskOptions {
    pub(crate) retries: Option<u32>,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) retry_on: RetryOn,
    pub(crate) time_limit: Option<Duration>,
}

impl TaskOptions {
    /// Nothing is said yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// True if nothing is said.
    pub(crate) fn say_nothing(&self) -> bool {
        self.retries.is_none()
            && self.backoff.is_none()
            && self.time_limit.is_none()
            && self.retry_on.is_anything()
    }

    fn options_mut(&mut self) -> &mut Self {
        self
    }
}

/// The methods by which something says what holds for one task. It has an `options_mut`.
macro_rules! task_options {
    () => {
        /// Lets the task be tried again up to `retries` times when it fails. Its arguments are then
        /// kept until it has succeeded.
        #[must_use]
        pub fn retries(mut self, retries: u32) -> Self {
            self.options_mut().retries = Some(retries);
            self
        }

        /// How long to wait before each new attempt; by default not at all. No worker waits with it.
        #[must_use]
        pub fn backoff(mut self, backoff: $crate::graph::Backoff) -> Self {
            self.options_mut().backoff = Some(backoff);
            self
        }

        /// Tries again only if the task returned an error of this type, or one that was caused by it.
        /// Said several times, each of the types will do.
        #[must_use]
        pub fn retry_on<Cause: std::error::Error + 'static>(mut self) -> Self {
            self.options_mut().retry_on.add_error::<Cause>();
            self
        }

        /// Tries again only if `condition` says so. It is asked in the worker, and how often the task
        /// was tried is not counted in what it is asked about. Beside other conditions, one of them is
        /// enough.
        #[must_use]
        pub fn retry_if(
            mut self,
            condition: impl Fn(&$crate::graph::Failure) -> bool + Send + Sync + 'static,
        ) -> Self {
            self.options_mut().retry_on.add(condition);
            self
        }

        /// How long one attempt may take. A call that takes longer counts as failed, and what it
        /// answers later is dropped; its thread cannot be ended, so until then another worker stands
        /// in for it. The future of an `async` function is dropped at the limit. Hooks are not
        /// counted.
        #[must_use]
        pub fn time_limit(mut self, limit: std::time::Duration) -> Self {
            self.options_mut().time_limit = Some(limit);
            self
        }
    };
}

pub(crate) use task_options;

impl TaskOptions {
    task_options! {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{CallError, Cause, Key};

    #[test]
    fn delays_grow_and_never_overflow() {
        let second = Duration::from_secs(1);
        assert_eq!(Backoff::NONE.delay(7), Duration::ZERO);
        assert_eq!(Backoff::constant(second).delay(7), second);
        let tripled = Backoff::exponential(second).factor(3);
        assert_eq!((tripled.delay(1), tripled.delay(4)), (second, 27 * second));
        assert_eq!(tripled.max(5 * second).delay(u32::MAX), 5 * second);
        assert!(tripled.delay(u32::MAX) > tripled.delay(20));
    }

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] fmt::Error);

    #[test]
    fn errors_are_known_by_their_type_and_by_their_causes() {
        let failure = |error: Box<dyn Error + Send + Sync>| {
            Failure::new(Key::from("x"), Cause::Call(Arc::new(CallError::Failed(error))))
        };
        let mut on = RetryOn::default();
        assert!(on.allows(&failure("anything".into())));
        on.add_error::<fmt::Error>();
        assert!(on.allows(&failure(Box::new(fmt::Error))));
        assert!(on.allows(&failure(Box::new(Outer(fmt::Error)))));
        assert!(!on.allows(&failure("anything".into())));
        on.add(|failure| failure.to_string().contains("any"));
        assert!(on.allows(&failure("anything".into())));
    }
}
