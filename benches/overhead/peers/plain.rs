//! A loop in topological order on one thread: what the type-erased tasks cost by themselves.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::shapes::Shape;
use crate::subject::{Failure, Subject};
use crate::work::{Function, Value, Work, functions, number};

/// Starts the subject; it has no workers.
#[expect(clippy::unnecessary_wraps, reason = "the signature is that of all subjects")]
pub(crate) fn start(_workers: usize) -> Result<Box<dyn Subject>, Failure> {
    Ok(Box::new(Plain { prepared: None, values: Vec::new() }))
}

/// The loop and what it loops over.
struct Plain {
    /// The prepared graph and its tasks' functions.
    prepared: Option<(Arc<Shape>, Vec<Function>)>,
    /// The values of the last run.
    values: Vec<Value>,
}

impl Subject for Plain {
    fn prepare(&mut self, shape: &Arc<Shape>, work: Work) -> Result<(), Failure> {
        self.prepared = Some((Arc::clone(shape), functions(shape, work)));
        Ok(())
    }

    fn run(&mut self) -> Result<u64, Failure> {
        let (shape, functions) = self.prepared.as_ref().ok_or("nothing is prepared")?;
        let mut values = Vec::with_capacity(functions.len());
        for (task, function) in shape.ids().zip(functions) {
            let value = call(function, shape.inputs(task), &values);
            values.push(value);
        }
        self.values = values;
        Ok(number(self.values.last().ok_or("the shape is empty")?))
    }

    fn release(&mut self) {
        self.values = Vec::new();
    }

    fn clear(&mut self) {
        self.prepared = None;
    }
}

/// The value of a task whose inputs have run.
fn call(function: &Function, inputs: &[u32], values: &[Value]) -> Value {
    let inputs: SmallVec<[&Value; 8]> =
        inputs.iter().map(|&input| &values[input as usize]).collect();
    function(&inputs)
}
