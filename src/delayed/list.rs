//! [`DelayedList`]: several delayed values that are computed in one run.

use std::sync::Arc;

use super::handle::{Delayed, DelayedNode, graph_of};
use crate::client::typed;
use crate::error::Error;
use crate::graph::{Graph, GraphError, Outputs, Plan};
use crate::value::{Data, Value};

/// Several delayed values that are computed in one run: tuples of up to eight handles, or lists of one
/// type.
pub trait DelayedList {
    /// The values, in the shape of the handles.
    type Values;

    /// The graph behind all of them, with their values as what is wanted of it, as a list.
    fn graph(&self) -> (Graph, Outputs);

    /// What has to run for all of them.
    ///
    /// # Errors
    ///
    /// [`GraphError`] if two different handles have the same key.
    fn plan(&self) -> Result<Plan, GraphError> {
        let (graph, outputs) = self.graph();
        Plan::new(graph, outputs)
    }

    /// The values from the results of the run, which are in the order of the handles.
    ///
    /// # Errors
    ///
    /// [`Error`] if one is of another type.
    fn values(self, results: Vec<Value>) -> Result<Self::Values, Error>;
}

fn graph_of_all(nodes: &[&Arc<DelayedNode>]) -> (Graph, Outputs) {
    let keys = nodes.iter().map(|node| Outputs::Key(node.key.clone()));
    (graph_of(nodes), Outputs::List(keys.collect()))
}

impl<T: Data + Clone> DelayedList for &[Delayed<T>] {
    type Values = Vec<T>;

    fn graph(&self) -> (Graph, Outputs) {
        graph_of_all(&self.iter().map(|delayed| &delayed.node).collect::<Vec<_>>())
    }

    fn values(self, results: Vec<Value>) -> Result<Vec<T>, Error> {
        self.iter().zip(results).map(|(delayed, value)| typed(value, delayed.key())).collect()
    }
}

impl<T: Data + Clone> DelayedList for &Vec<Delayed<T>> {
    type Values = Vec<T>;

    fn graph(&self) -> (Graph, Outputs) {
        self.as_slice().graph()
    }

    fn values(self, results: Vec<Value>) -> Result<Vec<T>, Error> {
        self.as_slice().values(results)
    }
}

macro_rules! delayed_tuples {
    ($($name:ident)*) => {
        impl<$($name: Data + Clone),*> DelayedList for ($(&Delayed<$name>,)*) {
            type Values = ($($name,)*);

            #[expect(non_snake_case, reason = "one name for the type and its field")]
            fn graph(&self) -> (Graph, Outputs) {
                let ($($name,)*) = self;
                graph_of_all(&[$(&$name.node),*])
            }

            #[expect(non_snake_case, reason = "one name for the type and its field")]
            fn values(self, results: Vec<Value>) -> Result<Self::Values, Error> {
                let ($($name,)*) = self;
                let mut results = results.into_iter();
                Ok(($(typed(
                    results.next().expect("a run answers for each wanted key"),
                    $name.key(),
                )?,)*))
            }
        }
    };
}

delayed_tuples!(A);
delayed_tuples!(A B);
delayed_tuples!(A B C);
delayed_tuples!(A B C D);
delayed_tuples!(A B C D E);
delayed_tuples!(A B C D E F);
delayed_tuples!(A B C D E F G);
delayed_tuples!(A B C D E F G H);
