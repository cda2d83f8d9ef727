//! [`Referent`]: what an [`ObjectRef`](crate::object_ref::ObjectRef) refers to, wherever it comes from.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use mobula::Value;
use mobula::process::{Parcel, Stayed};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::actor_state::ActorState;
use crate::object::Object;
use crate::packing;
use crate::promise::{Broken, Given, Needs, Promise};

/// A value that is there or will be.
#[derive(Clone)]
pub(crate) enum Referent {
    /// A value of a run, or an object in the store.
    Object(mobula::ObjectRef),
    /// What an actor or a remote function will give.
    Promised(Arc<Promise>),
}

/// What is known of a referent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Pending,
    Ready,
    Spilled,
    Failed,
}

impl Referent {
    /// The key of the task, or the name of the call.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Object(object) => object.key().to_string(),
            Self::Promised(promise) => promise.name().to_owned(),
        }
    }

    pub(crate) fn condition(&self) -> Condition {
        let of_object = |object: &mobula::ObjectRef| {
            if object.is_spilled() {
                Condition::Spilled
            } else {
                match futures::FutureExt::now_or_never(object.made()) {
                    None | Some(Err(mobula::ObjectError::NotYet { .. })) => Condition::Pending,
                    Some(Ok(())) => Condition::Ready,
                    Some(Err(_)) => Condition::Failed,
                }
            }
        };
        match self {
            Self::Object(object) => of_object(object),
            Self::Promised(promise) => match promise.now() {
                None => Condition::Pending,
                Some(Ok(Given::Value(_))) => Condition::Ready,
                Some(Ok(Given::Stored(object))) => of_object(&object),
                Some(Err(_)) => Condition::Failed,
            },
        }
    }

    /// Waits until the value was made, wherever it is now.
    pub(crate) async fn made(&self) -> Result<Given, Broken> {
        let object = match self {
            Self::Object(object) => object.clone(),
            Self::Promised(promise) => match promise.settled().await? {
                Given::Stored(object) => object,
                given @ Given::Value(_) => return Ok(given),
            },
        };
        match object.made().await {
            Ok(()) => Ok(Given::Stored(object)),
            Err(error) => Err(Broken::Failed(error.into())),
        }
    }

    /// Waits for the value, and brings it back if it has moved to disk.
    pub(crate) async fn fetch(&self) -> Result<Value, Broken> {
        match self.made().await? {
            Given::Value(value) => Ok(value),
            Given::Stored(object) => {
                object.wait().await.map_err(|error| Broken::Failed(error.into()))
            }
        }
    }

    /// The object that a run makes and that all this waits for just now; or the actor that is busy.
    pub(crate) fn needs(&self) -> Needs {
        let mut at = self.clone();
        loop {
            let promise = match at {
                Self::Object(object) => return Needs::Run(object),
                Self::Promised(promise) => promise,
            };
            match promise.needs() {
                Needs::Arguments(arguments) => {
                    let pending = |referent: &&Self| referent.condition() == Condition::Pending;
                    match arguments.iter().find(pending) {
                        Some(argument) => at = argument.clone(),
                        None => return Needs::Nothing, // It is just getting on.
                    }
                }
                needs @ (Needs::Nothing | Needs::Run(_) | Needs::Actor(_)) => return needs,
            }
        }
    }

    /// As [`needs`](Self::needs), through the actors: for what the run or actor at the end of it all
    /// waits. `is_end` says at which actor to stop.
    pub(crate) fn needs_at_last(&self, is_end: impl Fn(&ActorState) -> bool) -> Needs {
        /// Actors that wait for each other may do so in a circle that `is_end` is not part of.
        const MOST: usize = 1_000;
        let mut needs = self.needs();
        for _ in 0..MOST {
            let Needs::Actor(actor) = &needs else { return needs };
            if is_end(actor) {
                return needs;
            }
            match actor.waits_for() {
                Some(referent) => needs = referent.needs(),
                None => return needs,
            }
        }
        Needs::Nothing
    }

    /// True if it is made in a process of which this one is a copy, so it will never be there.
    pub(crate) fn is_out_of_reach(&self) -> bool {
        match self {
            Self::Object(_) => false,
            Self::Promised(promise) => promise.is_out_of_reach(),
        }
    }
}

/// The same value, not merely equal values.
impl PartialEq for Referent {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Object(one), Self::Object(two)) => one == two,
            (Self::Promised(one), Self::Promised(two)) => Arc::ptr_eq(one, two),
            (Self::Object(_), Self::Promised(_)) | (Self::Promised(_), Self::Object(_)) => false,
        }
    }
}

impl Eq for Referent {}

impl Hash for Referent {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Object(object) => object.hash(state),
            Self::Promised(promise) => Arc::as_ptr(promise).hash(state),
        }
    }
}

/// The Python object that a value is.
pub(crate) fn object_in<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    if let Some(object) = value.downcast_ref::<Object>() {
        return Ok(object.get().bind(py).clone());
    }
    if let Some(parcel) = value.downcast_ref::<Parcel>() {
        return packing::object_of(py, parcel)
            .map_err(|error| packing::not_unpickled(py, "a value", error));
    }
    let message = match value.downcast_ref::<Stayed>() {
        Some(stayed) => format!(
            "a value cannot leave its worker process: {}",
            stayed.bound().map_or("it is needed there", |(_, reason)| reason)
        ),
        None => format!("a value of type {} is no Python object", value.type_name()),
    };
    Err(PyTypeError::new_err(message))
}
