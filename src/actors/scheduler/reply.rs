//! Who waits for a run, and how each is answered.

use std::sync::{Arc, Weak};

use futures::channel::oneshot;

use super::super::callbacks::Ending;
use super::super::store::{Object, ObjectError};
use crate::engine::Run;
use crate::graph::{Missing, Results};

/// Who waits for a run.
pub(crate) enum Reply {
    /// A client.
    Client(oneshot::Sender<Result<Finished, Ending>>),
    /// Those who hold objects in the store.
    Objects(PromisedObjects),
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
            Ok(finished) => return self.keep(finished.results()),
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

    fn keep(&self, results: Results) {
        for (object, value) in self.0.iter().zip(results.into_list()) {
            if let Some(object) = object.upgrade() {
                let value = value.into_value();
                let missing = value.downcast_ref().map(|missing: &Missing| ObjectError::Failed {
                    key: missing.key.clone(),
                    failure: missing.failure.clone(),
                });
                object.settle(missing.map_or(Ok(value), Err));
            }
        }
    }
}

/// After `settle` this changes nothing: the first answer to an object holds.
impl Drop for PromisedObjects {
    fn drop(&mut self) {
        for object in self.0.iter().filter_map(Weak::upgrade) {
            object.settle(Err(ObjectError::Cancelled { key: object.key().clone() }));
        }
    }
}

impl Finished {
    /// The results, which are gathered only now if the run had no hooks.
    pub(crate) fn results(self) -> Results {
        match self {
            Finished::Run(run) => run.gather(),
            Finished::Results(results) => results,
        }
    }
}
