//! Who waits for a run, and how each is answered.

use std::future::poll_fn;
use std::sync::{Arc, Weak};

use futures::channel::oneshot;

use super::super::callbacks::Ending;
use super::super::store::{Object, ObjectError, Recovering};
use crate::engine::{Held, Run};
use crate::graph::{Meaning, Missing, Results};

/// Who waits for a run.
pub(crate) enum Reply {
    /// A client.
    Client(oneshot::Sender<Result<Finished, Ending>>),
    /// Those who hold objects in the store.
    Objects(PromisedObjects),
    /// Those who need a value whose file could not be read.
    Recovery(Recovering),
}

/// Objects that a run is to make, one for each wanted key; those that nobody holds any more are gone.
/// Dropping the promise settles them as cancelled, so that nobody waits in vain.
#[derive(Debug)]
pub(crate) struct PromisedObjects(Vec<Weak<Object>>);

/// A run that succeeded.
pub(crate) enum Finished {
    /// Its results are to be gathered from it.
    Run(Arc<Run>),
    /// Its results, which its hooks have seen.
    Results(Results),
}

impl PromisedObjects {
    pub(crate) fn new(objects: Vec<Weak<Object>>) -> Self {
        Self(objects)
    }

    pub(super) fn settle(self, result: Result<Finished, Ending>) {
        let ending = match result {
            Ok(Finished::Run(run)) => return self.keep(&run),
            Ok(Finished::Results(_)) => unreachable!("objects keep refs, not results"),
            Err(ending) => ending,
        };
        for object in self.0.iter().filter_map(Weak::upgrade) {
            let key = object.key().clone();
            object.settle(Err(match &ending {
                Ending::Failed(failure) => ObjectError::Failed { key, failure: failure.clone() },
                Ending::AllFailed(failures) => match failures.first() {
                    Some(failure) => ObjectError::Failed { key, failure: failure.clone() },
                    None => ObjectError::Cancelled { key },
                },
                Ending::HookFailed | Ending::Cancelled => ObjectError::Cancelled { key },
            }));
        }
    }

    fn keep(&self, run: &Run) {
        let outputs = run.take_outputs();
        let held = |meaning: Meaning<'_>| match meaning {
            Meaning::Literal(literal) => Held::Plain(literal.clone()),
            Meaning::Task(task) => {
                let at = run.plan().outputs().binary_search(&task);
                outputs[at.expect("a wanted task is an output")].clone()
            }
        };
        if run.plan().holds_values() {
            // A program that goes on from its own results would else never free the first one.
            outputs.iter().for_each(Held::forget_maker);
        }
        for (object, meaning) in self.0.iter().zip(run.plan().wanted()) {
            if let Some(object) = object.upgrade() {
                let held = held(meaning);
                object.settle(missing(&held).map_or(Ok(held), Err));
            }
        }
    }
}

/// Why there is nothing for an object, in a run that went on when a task failed.
fn missing(held: &Held) -> Option<ObjectError> {
    let Held::Plain(value) = held else { return None };
    let missing = value.downcast_ref::<Missing>()?;
    Some(ObjectError::Failed { key: missing.key.clone(), failure: missing.failure.clone() })
}

/// After `settle` this changes nothing: the first answer to an object holds.
impl Drop for PromisedObjects {
    fn drop(&mut self) {
        for object in self.0.iter().filter_map(Weak::upgrade) {
            object.settle(Err(ObjectError::Cancelled { key: object.key().clone() }));
        }
    }
}

/// Gives a value that was made again to those who wait for it.
pub(super) fn recovered(buffer: Recovering, result: Result<Finished, Ending>) {
    let ending = match result {
        // It came last, so it is in memory, unless it has left again. It may even have been lost again:
        // so this arbiter must not be held up, which has a part in making values again.
        Ok(Finished::Run(run)) => {
            let held = run.take_outputs().pop();
            let held = held.expect("a run that makes one value has one output");
            drop(actix_rt::spawn(async move {
                let value = poll_fn(|context| held.poll_pin(context)).await;
                // The store counts the value for one of them.
                drop(held);
                buffer.settle(value);
            }));
            return;
        }
        Ok(Finished::Results(_)) => unreachable!("a run without hooks has no results"),
        Err(ending) => ending,
    };
    match ending {
        Ending::Failed(failure) => buffer.settle(Err(failure)),
        // Dropping it tells who waits.
        Ending::AllFailed(_) | Ending::HookFailed | Ending::Cancelled => drop(buffer),
    }
}
