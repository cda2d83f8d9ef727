//! What may be passed to a delayed function, checked by the compiler.

use std::any::Any;
use std::sync::Arc;

use super::handle::{ArgKind, Delayed, DelayedArg};
use crate::value::{Data, Shared, Value};

/// What may be passed where a delayed function takes a `P`: a value, a handle, or a list of handles.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be passed to a delayed function as `{P}`",
    label = "expected `{P}`, `Delayed<{P}>` or `&Delayed<{P}>`"
)]
pub trait IntoArg<P> {
    /// The argument.
    fn into_arg(self) -> DelayedArg;
}

impl<T: Data> IntoArg<T> for T {
    fn into_arg(self) -> DelayedArg {
        DelayedArg(ArgKind::Value(Value::new(self)))
    }
}

impl IntoArg<String> for &str {
    fn into_arg(self) -> DelayedArg {
        self.to_owned().into_arg()
    }
}

impl<T> IntoArg<T> for &Delayed<T> {
    fn into_arg(self) -> DelayedArg {
        DelayedArg(ArgKind::Node(Arc::clone(&self.node)))
    }
}

impl<T> IntoArg<Shared<T>> for &Delayed<T> {
    fn into_arg(self) -> DelayedArg {
        DelayedArg(ArgKind::Node(Arc::clone(&self.node)))
    }
}

impl<T, P> IntoArg<P> for Delayed<T>
where
    for<'a> &'a Self: IntoArg<P>,
{
    fn into_arg(self) -> DelayedArg {
        (&self).into_arg()
    }
}

fn collect<T: Data + Clone>(values: Vec<Value>) -> Option<Value> {
    let items = values.into_iter().map(|value| value.take::<T>().ok());
    Some(Value::new(items.collect::<Option<Vec<T>>>()?))
}

impl<T: Data + Clone> IntoArg<Vec<T>> for &[Delayed<T>] {
    fn into_arg(self) -> DelayedArg {
        let nodes = self.iter().map(|delayed| Arc::clone(&delayed.node)).collect();
        DelayedArg(ArgKind::List { nodes, collect: collect::<T> })
    }
}

impl<T: Any + Send + Sync> IntoArg<Vec<Shared<T>>> for &[Delayed<T>] {
    fn into_arg(self) -> DelayedArg {
        let nodes = self.iter().map(|delayed| Arc::clone(&delayed.node)).collect();
        DelayedArg(ArgKind::List { nodes, collect: collect::<Shared<T>> })
    }
}

macro_rules! lists {
    ($([$($param:tt)*] $list:ty),*) => {
        $(impl<T, P, $($param)*> IntoArg<P> for $list
        where
            for<'a> &'a [Delayed<T>]: IntoArg<P>,
        {
            fn into_arg(self) -> DelayedArg {
                self[..].into_arg()
            }
        })*
    };
}

lists!([] Vec<Delayed<T>>, [] &Vec<Delayed<T>>, [const N: usize] [Delayed<T>; N],
    [const N: usize] &[Delayed<T>; N]);

/// What may be passed to a delayed function with parameters `P`, a tuple.
#[diagnostic::on_unimplemented(
    message = "these arguments do not fit a delayed function that takes `{P}`",
    note = "pass one argument as it is, several as a tuple, none as `()`"
)]
pub trait IntoArgs<P> {
    /// The arguments in order.
    fn into_args(self) -> Vec<DelayedArg>;
}

impl IntoArgs<()> for () {
    fn into_args(self) -> Vec<DelayedArg> {
        Vec::new()
    }
}

impl<A: IntoArg<P>, P> IntoArgs<(P,)> for A {
    fn into_args(self) -> Vec<DelayedArg> {
        vec![self.into_arg()]
    }
}

macro_rules! args {
    ($($arg:ident $param:ident),*) => {
        impl<$($arg: IntoArg<$param>, $param),*> IntoArgs<($($param,)*)> for ($($arg,)*) {
            fn into_args(self) -> Vec<DelayedArg> {
                #[expect(non_snake_case, reason = "one name for the type and its field")]
                let ($($arg,)*) = self;
                vec![$($arg.into_arg()),*]
            }
        }
    };
}

args!(A PA, B PB);
args!(A PA, B PB, C PC);
args!(A PA, B PB, C PC, D PD);
args!(A PA, B PB, C PC, D PD, E PE);
args!(A PA, B PB, C PC, D PD, E PE, F PF);
args!(A PA, B PB, C PC, D PD, E PE, F PF, G PG);
args!(A PA, B PB, C PC, D PD, E PE, F PF, G PG, H PH);
args!(A PA, B PB, C PC, D PD, E PE, F PF, G PG, H PH, I PI);
args!(A PA, B PB, C PC, D PD, E PE, F PF, G PG, H PH, I PI, J PJ);
args!(A PA, B PB, C PC, D PD, E PE, F PF, G PG, H PH, I PI, J PJ, K PK);
args!(A PA, B PB, C PC, D PD, E PE, F PF, G PG, H PH, I PI, J PJ, K PK, L PL);
