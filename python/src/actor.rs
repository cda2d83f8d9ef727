//! [`PythonActor`]: an object of a user's class as an actix actor. Each call is a message.

use actix::{Actor, ActorContext, Context, Handler, Message};
use std::sync::Arc;

use mobula::{Client, Key};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use crate::actor_state::ActorState;
use crate::arguments::Arguments;
use crate::interpreter::{holding, released};
use crate::object::Object;
use crate::promise::{Broken, Given};
use crate::remote::results;

/// An object that is called by one thread alone, one call after the other.
pub(crate) struct PythonActor {
    state: Arc<ActorState>,
    /// There as soon as it was constructed.
    instance: Option<Py<PyAny>>,
    /// Where large results go.
    client: Client,
    /// For a class with `async def` methods: has a method called in the event loop, behind those before it,
    /// and a [`Settler`] at its end.
    begin: Option<Py<PyAny>>,
}

impl PythonActor {
    pub(crate) fn new(state: Arc<ActorState>, client: Client, begin: Option<Py<PyAny>>) -> Self {
        Self { state, instance: None, client, begin }
    }

    fn construct(&mut self, py: Python<'_>, construct: &Construct) -> Result<(), Broken> {
        let (arguments, named) = construct.arguments.filled(py, &construct.given)?;
        let class = construct.class.get().bind(py);
        let instance = class.call(arguments, named.as_ref());
        self.instance = Some(instance.map_err(|error| Broken::raised(py, error))?.unbind());
        Ok(())
    }

    /// Calls a method; nothing if its result comes later.
    fn call(&self, py: Python<'_>, call: &CallMethod) -> Option<Result<Vec<Given>, Broken>> {
        let settler = Settler {
            state: Arc::clone(&self.state),
            client: self.client.clone(),
            number: call.number,
            returns: call.returns,
        };
        let raised = |error| Broken::raised(py, error);
        let answer = || {
            let (arguments, named) = call.arguments.filled(py, &call.given)?;
            let instance = self.instance.as_ref().ok_or(Broken::Closed)?.bind(py);
            let method = instance.getattr(call.method.bind(py)).map_err(raised)?;
            if let Some(begin) = &self.begin {
                let begun = begin.bind(py).call1((method, arguments, named, settler));
                return begun.map(|_| None).map_err(raised);
            }
            let answer = method.call(arguments, named.as_ref()).map_err(raised)?;
            settler.given(answer).map(Some)
        };
        answer().transpose()
    }
}

impl Actor for PythonActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(0); // Calls are never refused.
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        let instance = self.instance.take();
        if Python::try_attach(|py| holding(py, || drop(instance))).is_none() {
            log::debug!("the interpreter ended before an actor");
        }
    }
}

/// Make the object. The first message.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Construct {
    pub(crate) class: Object,
    pub(crate) arguments: Arguments,
    /// What was made for the refs among the arguments.
    pub(crate) given: Vec<Given>,
}

impl Handler<Construct> for PythonActor {
    type Result = ();

    fn handle(&mut self, construct: Construct, context: &mut Self::Context) {
        let state = Arc::clone(&self.state);
        let made = Python::try_attach(|py| {
            let made = self.construct(py, &construct);
            holding(py, || drop(construct));
            made.map_err(|broken| died_of(&state, broken.into_task_error(py).into()))
        });
        match made {
            Some(Ok(())) => {}
            Some(Err(broken)) => {
                state.die_of(broken);
                context.stop();
            }
            None => context.stop(),
        }
    }
}

/// The constructor, or what it was to be called with, has failed.
pub(crate) fn died_of(state: &ActorState, cause: Arc<crate::errors::TaskError>) -> Broken {
    let message = format!("the actor {} could not be made: {cause}", state.class());
    Broken::ActorDied(message.into(), Some(cause))
}

/// Call a method.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct CallMethod {
    /// By which its results were promised.
    pub(crate) number: u64,
    pub(crate) method: Py<PyString>,
    pub(crate) arguments: Arguments,
    /// What was made for the refs among the arguments.
    pub(crate) given: Vec<Given>,
    pub(crate) returns: usize,
}

impl Handler<CallMethod> for PythonActor {
    type Result = ();

    fn handle(&mut self, call: CallMethod, context: &mut Self::Context) {
        if self.state.is_dead() {
            return context.stop();
        }
        let called = Python::try_attach(|py| {
            let settled = self.call(py, &call);
            holding(py, || {
                if let Some(settled) = settled {
                    self.state.settle(call.number, settled);
                }
                drop(call);
            });
        });
        if called.is_none() {
            context.stop(); // The interpreter has ended.
        }
    }
}

/// Nobody calls any more.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct End;

impl Handler<End> for PythonActor {
    type Result = ();

    fn handle(&mut self, _: End, context: &mut Self::Context) {
        context.stop();
    }
}

/// Gives the result of a coroutine when it is called with the `asyncio.Task` that has run it.
#[pyclass(frozen, module = "mobula._core")]
pub(crate) struct Settler {
    state: Arc<ActorState>,
    client: Client,
    number: u64,
    returns: usize,
}

impl Settler {
    fn given(&self, answer: Bound<'_, PyAny>) -> Result<Vec<Given>, Broken> {
        let py = answer.py();
        let all = || -> PyResult<Vec<Given>> {
            let answer = results(answer, self.returns)?;
            match self.returns {
                0 => Ok(Vec::new()),
                1 => Ok(vec![self.give(answer)]),
                _ => {
                    let items = answer.cast_into::<PyTuple>()?;
                    Ok(items.iter().map(|item| self.give(item)).collect())
                }
            }
        };
        all().map_err(|error| Broken::raised(py, error))
    }

    fn give(&self, answer: Bound<'_, PyAny>) -> Given {
        /// Smaller values never move to disk, so the store needs not know them.
        const SMALL: usize = 16 << 10;
        let py = answer.py();
        let value = Object::value(answer);
        if value.bytes() < SMALL {
            return Given::Value(value);
        }
        let key = Key::numbered(self.state.class(), self.number);
        Given::Stored(released(py, || self.client.put(key, value)))
    }
}

#[pymethods]
impl Settler {
    fn __call__(&self, task: &Bound<'_, PyAny>) {
        let py = task.py();
        let settled = match task.call_method0(intern!(py, "result")) {
            Ok(answer) => self.given(answer),
            Err(error) => Err(Broken::raised(py, error)),
        };
        holding(py, || self.state.settle(self.number, settled));
    }
}
