//! Type-erased task functions: what the engine calls.
//!
//! [`Function`] is the trait behind every task; [`Func`] the cheap handle that a task holds. Plain
//! Rust functions become one through [`IntoFunc`](super::IntoFunc). Nothing here knows of keys:
//! inputs come by position.

use std::any::Any;
use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::value::{Reviver, Value};

/// Any error that a task may return.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// The future of an asynchronous task.
pub type BoxFuture = Pin<Box<dyn Future<Output = Result<Value, BoxError>> + Send>>;

/// A function that a task can call, with its types erased.
///
/// Implement it yourself only for functions that are not Rust functions (another language's
/// callables, say); everything else goes through [`Func::new`].
pub trait Function: Send + Sync {
    /// A short name for messages, timers and automatic keys.
    fn name(&self) -> &str;

    /// How many arguments it takes; `None` if any number will do.
    fn arity(&self) -> Option<usize>;

    /// Calls it. `inputs` are the arguments in order, at most as many as [`arity`](Self::arity) says.
    ///
    /// # Errors
    ///
    /// [`CallError`] if the arguments do not fit or the function itself failed.
    fn call(&self, inputs: &mut [Input<'_>]) -> Result<Outcome, CallError>;

    /// What the function is, in words that are the same in every process and different for every other
    /// function. `None`, which is the default, if there are no such words; then its tasks have no
    /// [fingerprint](super::Fingerprint).
    fn identity(&self) -> Option<Cow<'_, str>> {
        None
    }

    /// True if it holds values of a store. A result that was made with its help is not kept able to be
    /// made again once its run is over: that would hold those values for as long as the result lives.
    fn holds_values(&self) -> bool {
        false
    }

    /// How a value that it has returned in another process comes back from its bytes. `None`, which is
    /// the default, if it does not.
    fn reviver(&self) -> Option<Reviver> {
        None
    }

    /// The function as what it is, if its calls can be made in another process: for the
    /// [`Processes`](crate::Processes) of the cluster, which know its type. `None`, which is the default,
    /// if they are made where they are.
    fn as_any(&self) -> Option<&dyn Any> {
        None
    }
}

/// One argument of a call.
///
/// An input that nobody else needs any more is owned, so that a function that takes it by value
/// gets the data itself and not a copy.
#[derive(Debug)]
pub enum Input<'a> {
    /// Other tasks may still need the value.
    Shared(&'a Value),
    /// This call is the last one to use the value.
    Owned(Value),
}

impl Input<'_> {
    /// The value, wherever it is.
    #[inline]
    pub fn value(&self) -> &Value {
        match self {
            Input::Shared(value) => value,
            Input::Owned(value) => value,
        }
    }

    /// The value itself: moved out if it is owned, otherwise one more pointer to it.
    #[inline]
    pub fn take(&mut self) -> Value {
        match self {
            Input::Shared(value) => value.clone(),
            Input::Owned(value) => std::mem::replace(value, Value::new(())),
        }
    }
}

/// What a call gives: a value now, or a future of one.
pub enum Outcome {
    /// The result.
    Ready(Value),
    /// An `async` function was called: its future, which has not been polled yet.
    Later(BoxFuture),
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Ready(value) => f.debug_tuple("Ready").field(value).finish(),
            Outcome::Later(_) => f.write_str("Later"),
        }
    }
}

/// Why a call gave no value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The number of arguments is not what the function takes.
    #[error("`{function}` takes {expected} argument{}, not {found}", if *expected == 1 { "" } else { "s" })]
    Arity {
        /// The function's name.
        function: String,
        /// How many arguments it takes.
        expected: usize,
        /// How many there were.
        found: usize,
    },
    /// An argument is of another type than the function takes.
    #[error("argument {position} of `{function}` must be {expected}, found {found}")]
    Type {
        /// The function's name.
        function: String,
        /// Which argument, counted from 1.
        position: usize,
        /// The type that the function takes.
        expected: &'static str,
        /// The type of the value that came.
        found: &'static str,
    },
    /// The elements of a list are not all of the type that the function takes.
    #[error("a list that is an argument of `{function}` has an element of another type")]
    List {
        /// The function's name.
        function: String,
    },
    /// An `async` function stands as a nested call inside another task.
    #[error("`{function}` is async and nested in another task; give it a key of its own")]
    NestedAsync {
        /// The function's name.
        function: String,
    },
    /// The function returned an error.
    #[error("{0}")]
    Failed(#[source] BoxError),
}

/// A counted handle to a [`Function`].
///
/// # Examples
///
/// ```
/// use mobula::{Func, Input, Outcome, Value};
///
/// fn add(x: i64, y: i64) -> i64 {
///     x + y
/// }
///
/// let add = Func::new(add);
/// assert_eq!(add.name(), "add");
/// let (one, two) = (Value::new(1_i64), Value::new(2_i64));
/// match add.call(&mut [Input::Shared(&one), Input::Shared(&two)]).unwrap() {
///     Outcome::Ready(sum) => assert_eq!(sum.take::<i64>().unwrap(), 3),
///     Outcome::Later(_) => unreachable!("add is not async"),
/// }
/// ```
#[derive(Clone)]
pub struct Func(Handle);

#[derive(Clone)]
enum Handle {
    /// A function without captured state: it takes no memory, so no task needs an allocation.
    Static(&'static dyn Function),
    Shared(Arc<dyn Function>),
}

impl Func {
    /// Wraps a Rust function or closure of 0 to 12 arguments.
    pub fn new<S>(function: impl super::IntoFunc<S>) -> Self {
        function.into_func()
    }

    /// Wraps a hand-written [`Function`].
    #[inline]
    pub fn from_function<F: Function + 'static>(function: F) -> Self {
        if size_of::<F>() == 0 && !std::mem::needs_drop::<F>() {
            // A box of a type without size allocates nothing, so nothing is leaked.
            Self(Handle::Static(Box::leak(Box::new(function))))
        } else {
            Self(Handle::Shared(Arc::new(function)))
        }
    }

    #[inline]
    fn function(&self) -> &dyn Function {
        match &self.0 {
            Handle::Static(function) => *function,
            Handle::Shared(function) => function.as_ref(),
        }
    }

    /// The function's short name.
    pub fn name(&self) -> &str {
        self.function().name()
    }

    /// How many arguments it takes; `None` if any number will do.
    pub fn arity(&self) -> Option<usize> {
        self.function().arity()
    }

    /// True if it holds values of a store.
    pub(super) fn holds_values(&self) -> bool {
        self.function().holds_values()
    }

    /// Calls the function.
    ///
    /// # Errors
    ///
    /// [`CallError`] if the arguments do not fit or the function itself failed.
    #[inline]
    pub fn call(&self, inputs: &mut [Input<'_>]) -> Result<Outcome, CallError> {
        self.function().call(inputs)
    }

    /// What the function is, for [fingerprints](super::Fingerprint); see [`Function::identity`].
    pub fn identity(&self) -> Option<Cow<'_, str>> {
        self.function().identity()
    }

    /// The function as what it is; see [`Function::as_any`].
    pub fn as_any(&self) -> Option<&dyn Any> {
        self.function().as_any()
    }

    /// How its values come back from bytes; see [`Function::reviver`].
    pub(crate) fn reviver(&self) -> Option<Reviver> {
        self.function().reviver()
    }

    /// The same function under an identity of your choice, for [fingerprints](super::Fingerprint).
    ///
    /// Use it for a closure that captures something, which has none by itself: write what it does and
    /// what it has captured. Two functions that may give different values must not share an identity.
    ///
    /// # Examples
    ///
    /// ```
    /// use mobula::Func;
    ///
    /// let factor = 3;
    /// let scale = Func::new(move |x: i64| x * factor);
    /// assert_eq!(scale.identity(), None);
    /// let scale = scale.identified_by(format!("scale by {factor}"));
    /// assert_eq!(scale.identity().as_deref(), Some("scale by 3"));
    /// ```
    #[must_use]
    pub fn identified_by(self, identity: impl Into<String>) -> Self {
        Self::from_function(Identified { inner: self, identity: identity.into() })
    }
}

/// A function that was told what it is.
struct Identified {
    inner: Func,
    identity: String,
}

impl Function for Identified {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn arity(&self) -> Option<usize> {
        self.inner.arity()
    }

    fn call(&self, inputs: &mut [Input<'_>]) -> Result<Outcome, CallError> {
        self.inner.call(inputs)
    }

    fn identity(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(&self.identity))
    }

    fn reviver(&self) -> Option<Reviver> {
        self.inner.reviver()
    }

    fn holds_values(&self) -> bool {
        self.inner.holds_values()
    }

    fn as_any(&self) -> Option<&dyn Any> {
        self.inner.as_any()
    }
}

impl fmt::Debug for Func {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Func({})", self.name())
    }
}

/// The last part of a Rust path, for names: `app::load` is `load`, a closure is `closure`.
pub(super) fn short_name(path: &'static str) -> &'static str {
    if path.ends_with("{{closure}}") {
        return "closure";
    }
    let generic = path.find('<').unwrap_or(path.len());
    path[..generic].rsplit("::").find(|part| !part.is_empty()).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::short_name;

    #[test]
    fn names_are_short() {
        assert_eq!(short_name("app::load"), "load");
        assert_eq!(short_name("load"), "load");
        assert_eq!(short_name("app::main::{{closure}}"), "closure");
        assert_eq!(short_name("app::merge<alloc::vec::Vec<i64>>"), "merge");
        assert_eq!(short_name("fn(i64) -> i64"), "fn(i64) -> i64");
    }
}
