//! [`delayed`]: functions whose calls are handles.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::argument::IntoArgs;
use super::handle::{Content, Delayed};
use crate::graph::{Func, IntoFunc, Key, TaskOptions, task_options};
#[cfg(doc)]
use crate::value::{Data, Shared};

/// Makes a function delayed: calling it gives a [`Delayed`] value instead of running it.
///
/// Takes functions and closures of 0 to 12 arguments, by value (`T: Clone +` [`Data`]) or by reference
/// (`&T` of any type, `&[T]`, `&str`), returning [`Data`], a `Result` of it, or a future of either.
/// `async` functions take their arguments by value, also as [`Shared<T>`](Shared).
///
/// # Examples
///
/// ```
/// use mobula::{Cluster, delayed};
///
/// fn inc(x: i64) -> i64 {
///     x + 1
/// }
/// fn total(items: &[i64]) -> i64 {
///     items.iter().sum()
/// }
/// async fn twice(x: i64) -> Result<i64, std::num::TryFromIntError> {
///     Ok(i64::from(i32::try_from(x)?) * 2)
/// }
///
/// let x = delayed(inc).call(1);
/// let y = delayed(twice).call(&x);
/// let sum = delayed(total).call(vec![x, y]);
///
/// let cluster = Cluster::builder().workers(2).start()?;
/// assert_eq!(cluster.compute_blocking(&sum)?, 6);
/// # Ok::<(), mobula::Error>(())
/// ```
///
/// A wrong argument does not compile:
///
/// ```compile_fail
/// mobula::delayed(|x: i64| x + 1).call("one");
/// ```
pub fn delayed<S, F: IntoFunc<S>>(function: F) -> DelayedFn<F::Params, F::Target> {
    DelayedFn { func: function.into_func(), name: None, options: None, signature: PhantomData }
}

/// A delayed function with parameters `P`, a tuple, and results of type `T`.
pub struct DelayedFn<P, T> {
    func: Func,
    name: Option<Arc<str>>,
    /// What is said of each call, if anything is.
    options: Option<Arc<TaskOptions>>,
    signature: PhantomData<fn(P) -> T>,
}

impl<P, T> DelayedFn<P, T> {
    /// Uses `name` in the keys of its calls, instead of the function's name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Says what the function is, if it captures something and its values are to be found again by
    /// another process; see [`Func::identified_by`].
    #[must_use]
    pub fn identified_by(mut self, identity: impl Into<String>) -> Self {
        self.func = self.func.identified_by(identity);
        self
    }

    task_options! {}

    fn options_mut(&mut self) -> &mut TaskOptions {
        Arc::make_mut(self.options.get_or_insert_default())
    }

    /// Calls it: one argument as it is, several as a tuple, none as `()`. An argument is a value, a
    /// handle, or for a `Vec` or slice parameter a list of handles.
    pub fn call(&self, args: impl IntoArgs<P>) -> Delayed<T> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = self.name.clone().unwrap_or_else(|| self.func.name().into());
        let content = Content::Call { func: self.func.clone(), args: args.into_args() };
        Delayed::new(Key::numbered(name, number), content, self.options.clone())
    }
}

impl<P, T> Clone for DelayedFn<P, T> {
    fn clone(&self) -> Self {
        Self {
            func: self.func.clone(),
            name: self.name.clone(),
            options: self.options.clone(),
            signature: PhantomData,
        }
    }
}

impl<P, T> std::fmt::Debug for DelayedFn<P, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DelayedFn({})", self.func.name())
    }
}
