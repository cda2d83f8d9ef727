//! The typed face: [`delayed`] functions and the values that they will have.
//!
//! `delayed(f).call(args)` makes a [`Delayed<T>`], a handle to a value of type `T` that is not computed
//! yet; the compiler checks the arguments. Handles know what they need, so there is no graph to be
//! written; it is made when something is computed.

mod argument;
mod function;
mod handle;
mod list;

pub use argument::{IntoArg, IntoArgs};
pub use function::{DelayedFn, delayed};
pub use handle::{Delayed, DelayedArg};
pub use list::DelayedList;
