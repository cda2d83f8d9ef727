//! [`Arguments`]: what a method or a remote function is called with. Refs among them, at top level, stand
//! for their values.

use std::sync::Arc;

use mobula::Value;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::interpreter::released;
use crate::object::Object;
use crate::object_ref::ObjectRef;
use crate::promise::{Broken, Given, drive};
use crate::referent::{Referent, object_in};

/// The arguments of one call.
pub(crate) struct Arguments {
    /// A tuple.
    positional: Object,
    /// A dictionary, if there are any.
    named: Option<Object>,
    /// What the refs among them refer to, in order.
    refs: Arc<[Referent]>,
}

/// Arguments as Python takes them.
pub(crate) type Ready<'py> = (Bound<'py, PyTuple>, Option<Bound<'py, PyDict>>);

fn referent(argument: &Bound<'_, PyAny>) -> Option<Referent> {
    let object_ref = argument.cast_exact::<ObjectRef>().ok()?;
    // One of the parent's is known to the parent alone, and so are its actors and remote functions.
    object_ref.get().referent().cloned()
}

impl Arguments {
    pub(crate) fn new(positional: Bound<'_, PyTuple>, named: Option<Bound<'_, PyDict>>) -> Self {
        let named = named.filter(|named| !named.is_empty());
        let values = named.iter().flat_map(|named| named.values().iter().collect::<Vec<_>>());
        let refs = positional.iter().chain(values).filter_map(|argument| referent(&argument));
        Self {
            refs: refs.collect(),
            positional: Object::new(positional.into_any().unbind()),
            named: named.map(|named| Object::new(named.into_any().unbind())),
        }
    }

    pub(crate) fn refs(&self) -> &Arc<[Referent]> {
        &self.refs
    }

    /// Does something as soon as all the values of refs were made, or one cannot be made.
    pub(crate) fn made(
        refs: &Arc<[Referent]>,
        then: impl FnOnce(Result<Vec<Given>, Broken>) + Send + 'static,
    ) {
        if refs.is_empty() {
            return then(Ok(Vec::new()));
        }
        let refs = Arc::clone(refs);
        let all = async move {
            let mut given = Vec::with_capacity(refs.len());
            for referent in &*refs {
                given.push(referent.made().await?);
            }
            Ok(given)
        };
        drive(all, then);
    }

    /// The arguments with the values in place of the refs. Values on disk are waited for.
    pub(crate) fn filled<'py>(
        &self,
        py: Python<'py>,
        given: &[Given],
    ) -> Result<Ready<'py>, Broken> {
        let raised = |error| Broken::raised(py, error);
        let positional = self.positional.get().bind(py).cast::<PyTuple>();
        let positional = positional.map_err(|error| raised(error.into()))?;
        let named = match &self.named {
            Some(named) => {
                Some(named.get().bind(py).cast::<PyDict>().map_err(|error| raised(error.into()))?)
            }
            None => None,
        };
        if given.is_empty() {
            return Ok((positional.clone(), named.cloned()));
        }
        let mut values = Vec::with_capacity(given.len());
        for one in given {
            values.push(fetch(py, one)?);
        }
        let mut values = values.iter();
        let mut fill = |argument: Bound<'py, PyAny>| {
            if referent(&argument).is_some() {
                object_in(py, values.next().expect("there is a value for each ref"))
            } else {
                Ok(argument)
            }
        };
        let mut all = || {
            let filled = positional.iter().map(&mut fill).collect::<PyResult<Vec<_>>>()?;
            let positional = PyTuple::new(py, filled)?;
            let Some(named) = named else { return Ok((positional, None)) };
            let filled = PyDict::new(py);
            for (name, argument) in named {
                filled.set_item(name, fill(argument)?)?;
            }
            Ok((positional, Some(filled)))
        };
        all().map_err(raised)
    }
}

fn fetch(py: Python<'_>, given: &Given) -> Result<Value, Broken> {
    let object = match given {
        Given::Value(value) => return Ok(value.clone()),
        Given::Stored(object) => object,
    };
    if let Some(value) = object.value() {
        return Ok(value);
    }
    let back = released(py, || mobula::wait_blocking(object.wait(), || Some(object.clone())));
    match back {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Broken::Failed(error.into())),
        Err(error) => Err(Broken::Failed(error)),
    }
}
