//! [`Vocabulary`]: Dask's classes, as the adapter has found them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyType;

/// What an object in a graph is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// A task that is called as Dask's base class is.
    Task,
    /// A reference to a key, among arguments.
    Reference,
    /// Another name of a key.
    Alias,
    /// Data under a key.
    Data,
    List,
    Tuple,
    Set,
    Dict,
    /// A node that evaluates itself.
    Node,
    /// A reference of a class of its own.
    Future,
    /// Anything else.
    Literal,
}

impl Word {
    /// True for what stands for the value of a key.
    pub(crate) fn is_reference(self) -> bool {
        matches!(self, Self::Reference | Self::Future)
    }
}

/// The classes that graphs are made of.
#[pyclass(frozen, module = "mobula._core")]
pub(crate) struct Vocabulary {
    exact: Vec<(Py<PyType>, Word)>,
    /// The base class of all nodes, and that of all references.
    node: Py<PyType>,
    pub(crate) reference: Py<PyType>,
    /// Makes a node of what old graphs have for tasks: `(key, task, all_keys)`.
    pub(crate) convert: Py<PyAny>,
    /// The function of a task that fetches a persisted value.
    pub(crate) fetch: Py<PyAny>,
    /// The error for a key that is not there: `(key, dependents)`.
    pub(crate) missing: Py<PyAny>,
    /// By the address of a class that was met before, which is held: what its objects are.
    known: Mutex<HashMap<usize, (Py<PyType>, Word)>>,
}

#[pymethods]
impl Vocabulary {
    #[new]
    #[pyo3(signature = (*, task, reference, alias, data, node, list, tuple, set, dict, convert, fetch, missing))]
    #[expect(clippy::too_many_arguments, reason = "they are keywords")]
    fn new(
        py: Python<'_>,
        task: Py<PyType>,
        reference: Py<PyType>,
        alias: Py<PyType>,
        data: Py<PyType>,
        node: Py<PyType>,
        list: Option<Py<PyType>>,
        tuple: Option<Py<PyType>>,
        set: Option<Py<PyType>>,
        dict: Option<Py<PyType>>,
        convert: Py<PyAny>,
        fetch: Py<PyAny>,
        missing: Py<PyAny>,
    ) -> Self {
        let containers =
            [(list, Word::List), (tuple, Word::Tuple), (set, Word::Set), (dict, Word::Dict)];
        let mut exact = vec![
            (task, Word::Task),
            (reference.clone_ref(py), Word::Reference),
            (alias, Word::Alias),
            (data, Word::Data),
        ];
        exact.extend(containers.into_iter().filter_map(|(class, word)| Some((class?, word))));
        Self { exact, node, reference, convert, fetch, missing, known: Mutex::default() }
    }
}

impl Vocabulary {
    /// What an object is, by its class.
    pub(crate) fn word(&self, object: &Bound<'_, PyAny>) -> PyResult<Word> {
        let class = object.get_type();
        if let Some((_, word)) = self.exact.iter().find(|(exact, _)| class.is(exact)) {
            return Ok(*word);
        }
        let address = class.as_ptr() as usize;
        let known = |all: &HashMap<usize, (Py<PyType>, Word)>| Some(all.get(&address)?.1);
        if let Some(word) = known(&self.known.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(word);
        }
        let word = self.classify(&class)?;
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < MOST_KNOWN {
            all.insert(address, (class.unbind(), word));
        }
        Ok(word)
    }

    fn classify(&self, class: &Bound<'_, PyType>) -> PyResult<Word> {
        let py = class.py();
        if class.is_subclass(self.reference.bind(py))? {
            return Ok(Word::Future);
        }
        if class.is_subclass(self.node.bind(py))? {
            return Ok(Word::Node);
        }
        Ok(Word::Literal)
    }
}

/// A program that makes classes all the time must not be held up by them.
const MOST_KNOWN: usize = 4096;
