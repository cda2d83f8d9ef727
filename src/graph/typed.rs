//! How a plain Rust function becomes a task function, checked by the compiler.
//!
//! A function's parameters are each described by [`Param`], its result by [`Output`]; the marker
//! types tell apart what the compiler could not (by value or by reference; plain, fallible or
//! asynchronous), so that one [`delayed`](crate::delayed) takes them all. The markers never need to
//! be written.

use std::any::{Any, TypeId, type_name};
use std::borrow::Cow;
use std::future::Future;
use std::marker::PhantomData;

use super::function::{BoxError, CallError, Func, Function, Input, Outcome, short_name};
use crate::value::{Data, Opaque, Reviver, Value};

/// Ways to take a parameter and to give a result. They exist only as types.
pub mod marker {
    /// A parameter `T`.
    #[derive(Debug)]
    pub struct ByValue;
    /// A parameter `&T`.
    #[derive(Debug)]
    pub struct ByRef;
    /// A parameter `&[T]`.
    #[derive(Debug)]
    pub struct BySlice;
    /// A parameter `&str`.
    #[derive(Debug)]
    pub struct ByStr;
    /// A parameter [`Value`](crate::Value), of any type.
    #[derive(Debug)]
    pub struct Untyped;
    /// A result that is data.
    #[derive(Debug)]
    pub struct Plain;
    /// A `Result`: its error fails the task.
    #[derive(Debug)]
    pub struct Fallible;
    /// A future: the task is asynchronous.
    #[derive(Debug)]
    pub struct Awaited<M>(std::marker::PhantomData<M>);
    /// An [`Opaque`](crate::Opaque) result.
    #[derive(Debug)]
    pub struct Wrapped;
}

use marker::{Awaited, ByRef, BySlice, ByStr, ByValue, Fallible, Plain, Untyped, Wrapped};

/// A parameter of a task function. `M` is one of the [`marker`] types.
#[diagnostic::on_unimplemented(
    message = "a task function cannot take a parameter of type `{Self}`",
    note = "take `&T`, `mobula::Shared<T>`, or a `T` that is `Clone` and `mobula::Data`"
)]
pub trait Param<M> {
    /// The type of the value that fits.
    type Target: Any + Send + Sync;
    /// The parameter itself, which may borrow from the input.
    type Item<'a>;

    /// The parameter from the input.
    ///
    /// # Errors
    ///
    /// The name of the type that came, if the input is of another type.
    fn fetch<'a>(input: &'a mut Input<'_>) -> Result<Self::Item<'a>, &'static str>;
}

impl<T: Data + Clone> Param<ByValue> for T {
    type Target = T;
    type Item<'a> = T;

    #[inline]
    fn fetch(input: &mut Input<'_>) -> Result<T, &'static str> {
        match input {
            Input::Shared(value) => value.copy().ok_or(value.type_name()),
            Input::Owned(_) => input.take().take().map_err(|value| value.type_name()),
        }
    }
}

impl<T: Any + Send + Sync> Param<ByRef> for &T {
    type Target = T;
    type Item<'a> = &'a T;

    #[inline]
    fn fetch<'a>(input: &'a mut Input<'_>) -> Result<&'a T, &'static str> {
        let value = input.value();
        value.downcast_ref().ok_or(value.type_name())
    }
}

impl<T: Data + Clone> Param<BySlice> for &[T] {
    type Target = Vec<T>;
    type Item<'a> = &'a [T];

    fn fetch<'a>(input: &'a mut Input<'_>) -> Result<&'a [T], &'static str> {
        let found = input.value().type_name();
        if !input.value().is::<Vec<T>>() {
            let vec = Vec::<T>::convert(input.value()).ok_or(found)?;
            *input = Input::Owned(Value::new(vec));
        }
        input.value().downcast_ref::<Vec<T>>().map(Vec::as_slice).ok_or(found)
    }
}

impl Param<ByStr> for &str {
    type Target = String;
    type Item<'a> = &'a str;

    fn fetch<'a>(input: &'a mut Input<'_>) -> Result<&'a str, &'static str> {
        let value = input.value();
        value.downcast_ref::<String>().map(String::as_str).ok_or(value.type_name())
    }
}

impl Param<Untyped> for Value {
    type Target = Self;
    type Item<'a> = Self;

    fn fetch(input: &mut Input<'_>) -> Result<Self, &'static str> {
        Ok(input.take())
    }
}

/// A result of a task function. `M` is one of the [`marker`] types.
#[diagnostic::on_unimplemented(
    message = "a task function cannot return `{Self}`",
    note = "for your own type write `impl mobula::Data for {Self} {{}}`",
    note = "for a type of another crate return `mobula::Opaque(..)`"
)]
pub trait Output<M> {
    /// The type of the task's value.
    type Target: Any + Send + Sync;

    /// The result as the engine takes it.
    ///
    /// # Errors
    ///
    /// The error that the function returned.
    fn into_outcome(self) -> Result<Outcome, BoxError>;

    /// How a value comes back from bytes that another process has written, if it does.
    fn reviver() -> Option<Reviver> {
        None
    }
}

impl<T: Data> Output<Plain> for T {
    type Target = T;

    #[inline]
    fn into_outcome(self) -> Result<Outcome, BoxError> {
        Ok(Outcome::Ready(Value::new(self)))
    }

    fn reviver() -> Option<Reviver> {
        Reviver::of::<T>()
    }
}

impl Output<Untyped> for Value {
    type Target = Self;

    #[inline]
    fn into_outcome(self) -> Result<Outcome, BoxError> {
        Ok(Outcome::Ready(self))
    }
}

impl<T: Any + Send + Sync> Output<Wrapped> for Opaque<T> {
    type Target = T;

    fn into_outcome(self) -> Result<Outcome, BoxError> {
        Ok(Outcome::Ready(Value::with_bytes(self.0, size_of::<T>())))
    }
}

impl<T, E, M> Output<(Fallible, M)> for Result<T, E>
where
    T: Output<M>,
    E: Into<BoxError>,
{
    type Target = T::Target;

    #[inline]
    fn into_outcome(self) -> Result<Outcome, BoxError> {
        self.map_err(Into::into)?.into_outcome()
    }

    fn reviver() -> Option<Reviver> {
        T::reviver()
    }
}

impl<F, M> Output<Awaited<M>> for F
where
    F: Future<Output: Output<M>> + Send + 'static,
{
    type Target = <F::Output as Output<M>>::Target;

    fn into_outcome(self) -> Result<Outcome, BoxError> {
        Ok(Outcome::Later(Box::pin(async {
            match self.await.into_outcome()? {
                Outcome::Ready(value) => Ok(value),
                Outcome::Later(future) => future.await,
            }
        })))
    }

    fn reviver() -> Option<Reviver> {
        <F::Output as Output<M>>::reviver()
    }
}

/// A Rust function or closure that can be a task's function.
///
/// `S` is inferred; it names the parameters, the result and how each is passed. There are
/// implementations for 0 to 12 arguments.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a task function",
    note = "a task function is `Fn + Send + Sync + 'static`, has at most 12 parameters, takes each by value (`Clone` and `mobula::Data`) or by reference, and returns `mobula::Data`, a `Result` of it, or a future of either",
    note = "the parameter types of a closure must be written out: `|x: i64| x + 1`"
)]
pub trait IntoFunc<S> {
    /// The types of the arguments, as a tuple.
    type Params;
    /// The type of the task's value.
    type Target: Any + Send + Sync;

    /// Erases the types.
    fn into_func(self) -> Func;
}

/// A function with its type-level description.
struct Typed<F, S> {
    function: F,
    signature: PhantomData<fn() -> S>,
}

/// What a function without captured state is. Closures in one function share a name, and so do functions
/// that stand in different blocks of one; the `TypeId` tells them apart, and is the same wherever the same
/// program runs.
fn identity_of<F: 'static>() -> Option<Cow<'static, str>> {
    (size_of::<F>() == 0).then(|| format!("{} {:?}", type_name::<F>(), TypeId::of::<F>()).into())
}

#[cold]
fn wrong_arity(name: &str, expected: usize, found: usize) -> CallError {
    CallError::Arity { function: name.to_owned(), expected, found }
}

#[cold]
fn wrong_type<T>(name: &str, position: usize, found: &'static str) -> CallError {
    CallError::Type { function: name.to_owned(), position, expected: type_name::<T>(), found }
}

macro_rules! functions {
    ($arity:literal; $($param:ident $marker:ident $input:ident $position:literal),*) => {
        impl<Func_, Ret, Kind, $($param, $marker),*> IntoFunc<(Kind, Ret, $(($param, $marker)),*)>
            for Func_
        where
            $($param: Param<$marker>,)*
            Ret: Output<Kind>,
            Func_: Send + Sync + 'static
                + Fn($($param),*) -> Ret
                + for<'a> Fn($($param::Item<'a>),*) -> Ret,
            Typed<Func_, (Kind, Ret, $(($param, $marker)),*)>: Function + 'static,
        {
            type Params = ($($param::Target,)*);
            type Target = Ret::Target;

            #[inline]
            fn into_func(self) -> Func {
                Func::from_function(Typed { function: self, signature: PhantomData })
            }
        }

        impl<Func_, Ret, Kind, $($param, $marker),*> Function
            for Typed<Func_, (Kind, Ret, $(($param, $marker)),*)>
        where
            $($param: Param<$marker>,)*
            Ret: Output<Kind>,
            Func_: Send + Sync + 'static + for<'a> Fn($($param::Item<'a>),*) -> Ret,
        {
            fn name(&self) -> &str {
                short_name(std::any::type_name::<Func_>())
            }

            fn arity(&self) -> Option<usize> {
                Some($arity)
            }

            #[inline]
            fn call(&self, inputs: &mut [Input<'_>]) -> Result<Outcome, CallError> {
                let found = inputs.len();
                let [$($input),*] = inputs else {
                    return Err(wrong_arity(self.name(), $arity, found));
                };
                $(let $input = $param::fetch($input).map_err(|found| {
                    wrong_type::<$param::Target>(self.name(), $position, found)
                })?;)*
                (self.function)($($input),*).into_outcome().map_err(CallError::Failed)
            }

            fn identity(&self) -> Option<Cow<'_, str>> {
                identity_of::<Func_>()
            }

            fn reviver(&self) -> Option<Reviver> {
                Ret::reviver()
            }
        }
    };
}

functions!(0;);
functions!(1; A MA a 1);
functions!(2; A MA a 1, B MB b 2);
functions!(3; A MA a 1, B MB b 2, C MC c 3);
functions!(4; A MA a 1, B MB b 2, C MC c 3, D MD d 4);
functions!(5; A MA a 1, B MB b 2, C MC c 3, D MD d 4, E ME e 5);
functions!(6; A MA a 1, B MB b 2, C MC c 3, D MD d 4, E ME e 5, F MF f 6);
functions!(7; A MA a 1, B MB b 2, C MC c 3, D MD d 4, E ME e 5, F MF f 6, G MG g 7);
functions!(8; A MA a 1, B MB b 2, C MC c 3, D MD d 4, E ME e 5, F MF f 6, G MG g 7, H MH h 8);
functions!(9; A MA a 1, B MB b 2, C MC c 3, D MD d 4, E ME e 5, F MF f 6, G MG g 7, H MH h 8,
    I MI i 9);
functions!(10; A MA a 1, B MB b 2, C MC c 3, D MD d 4, E ME e 5, F MF f 6, G MG g 7, H MH h 8,
    I MI i 9, J MJ j 10);
functions!(11; A MA a 1, B MB b 2, C MC c 3, D MD d 4, E ME e 5, F MF f 6, G MG g 7, H MH h 8,
    I MI i 9, J MJ j 10, K MK k 11);
functions!(12; A MA a 1, B MB b 2, C MC c 3, D MD d 4, E ME e 5, F MF f 6, G MG g 7, H MH h 8,
    I MI i 9, J MJ j 10, K MK k 11, L ML l 12);
