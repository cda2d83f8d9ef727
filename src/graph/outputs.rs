//! What a caller wants from a graph, and what it gets: keys and values in the same nested shape.

use std::fmt;

use super::dag::Node;
use super::failure::Missing;
use super::key::Key;
use crate::value::{Data, List, Shared, Value};

/// The keys whose values are wanted: one, or lists of them, nested as the answer shall be.
///
/// A string, [`Key`], tuple or [`Node`] names one key; arrays and vectors are lists. For a shape that
/// no Rust array has, use [`keys!`](crate::keys!).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outputs {
    /// The value of a key.
    Key(Key),
    /// The value of a node.
    Node(Node),
    /// A list, answered as a list.
    List(Vec<Outputs>),
}

macro_rules! from_key {
    ($([$($param:ident)*] $name:ty),* $(,)?) => {
        $(impl<$($param: Into<Key>),*> From<$name> for Outputs {
            fn from(key: $name) -> Self {
                Self::Key(key.into())
            }
        })*
    };
}

from_key!([] &str, [] String, [] Key, [] &Key, [] i32, [] i64);
from_key!([A B] (A, B), [A B C] (A, B, C), [A B C D] (A, B, C, D));

impl From<Node> for Outputs {
    fn from(node: Node) -> Self {
        Self::Node(node)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Outputs {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Self>, const N: usize> From<[T; N]> for Outputs {
    fn from(items: [T; N]) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Self> + Clone> From<&[T]> for Outputs {
    fn from(items: &[T]) -> Self {
        Self::List(items.iter().cloned().map(Into::into).collect())
    }
}

/// Wanted keys in a shape of their own: `keys!["z", ["x", "y"]]` is answered as a list of a value and
/// a list of two.
///
/// # Examples
///
/// ```
/// use mobula::{Outputs, keys};
///
/// let wanted = keys!["z", ["x", ("y", 0)]];
/// assert!(matches!(wanted, Outputs::List(items) if items.len() == 2));
/// ```
#[macro_export]
macro_rules! keys {
    (@one [$($inner:tt)*]) => { $crate::keys![$($inner)*] };
    (@one $key:expr) => { $crate::Outputs::from($key) };
    ($($item:tt),* $(,)?) => {
        $crate::Outputs::List(vec![$($crate::keys!(@one $item)),*])
    };
}

/// A result is not of the type that the caller expects.
#[derive(Debug)]
pub struct WrongType {
    value: Value,
    expected: &'static str,
}

impl std::error::Error for WrongType {}

impl fmt::Display for WrongType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(missing) = self.value.downcast_ref::<Missing>() {
            return write!(f, "there is no result: {missing}");
        }
        write!(f, "the result is of type {}, not {}", self.value.type_name(), self.expected)
    }
}

impl WrongType {
    fn expecting<T>(value: Value) -> Self {
        Self { value, expected: std::any::type_name::<T>() }
    }

    /// The value itself.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The Rust name of the type that was expected.
    pub fn expected(&self) -> &'static str {
        self.expected
    }
}

/// The values of the wanted keys, in the shape in which they were asked for.
#[derive(Clone, Debug)]
pub enum Results {
    /// The value of one key.
    Value(Value),
    /// The answers to a list.
    List(Vec<Results>),
}

impl Results {
    /// The value itself; a list becomes one value, a [`List`].
    pub fn into_value(self) -> Value {
        match self {
            Results::Value(value) => value,
            Results::List(items) => {
                Value::new(List(items.into_iter().map(Self::into_value).collect()))
            }
        }
    }

    /// The data by value; a list of `T` can be had as `Vec<T>`.
    ///
    /// # Errors
    ///
    /// [`WrongType`] if it is of another type.
    pub fn into_data<T: Data + Clone>(self) -> Result<T, WrongType> {
        self.into_value().take().map_err(WrongType::expecting::<T>)
    }

    /// A typed pointer to the data, which is not copied.
    ///
    /// # Errors
    ///
    /// [`WrongType`] if it is of another type.
    pub fn into_shared<T: std::any::Any + Send + Sync>(self) -> Result<Shared<T>, WrongType> {
        self.into_value().shared().map_err(WrongType::expecting::<T>)
    }

    /// The data, if the answer is one value of type `T`.
    pub fn get<T: std::any::Any + Send + Sync>(&self) -> Option<&T> {
        match self {
            Results::Value(value) => value.downcast_ref(),
            Results::List(_) => None,
        }
    }

    /// The answers to a list; a single value counts as a list of one.
    pub fn into_list(self) -> Vec<Results> {
        match self {
            Results::List(items) => items,
            value @ Results::Value(_) => vec![value],
        }
    }

    /// The wanted keys that have no value, in order, in a run that goes on when a task fails
    /// ([`OnError::Skip`](crate::OnError::Skip)). They stand among the values too; asked for their data,
    /// they say what failed.
    pub fn missing(&self) -> Vec<&Missing> {
        self.values().into_iter().filter_map(Value::downcast_ref).collect()
    }

    /// All values, in order, without the shape.
    pub fn values(&self) -> Vec<&Value> {
        let mut values = Vec::new();
        let mut left = vec![self];
        while let Some(next) = left.pop() {
            match next {
                Results::Value(value) => values.push(value),
                Results::List(items) => left.extend(items.iter().rev()),
            }
        }
        values
    }
}
