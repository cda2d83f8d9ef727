//! From Dask's graph to the crate's: the wanted part, with a node for each key.
//!
//! The walk begins at the wanted keys, so what nobody wants costs nothing and may be wrong. The caller's
//! graph is read, never changed. A key is looked up in Python's own dictionaries, by Python's rules, so
//! every key that Dask takes is one here; the crate's keys are names for messages.

use std::sync::Arc;
use std::time::Duration;

use mobula::{Arg, Argument, Func, Graph, Key, Node, TaskOptions, Writer};
use pyo3::exceptions::{PyKeyError, PyRecursionError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use smallvec::SmallVec;

use crate::object::Object;
use crate::persist::Persisted;
use crate::task::{Call, Nested, Part, PyTask, Shared};
use crate::vocabulary::{Vocabulary, Word};

/// A graph that was read.
pub(crate) struct Ingested {
    pub(crate) graph: Graph,
    /// By node index: the key as Python has it.
    pub(crate) keys: Vec<Py<PyAny>>,
    /// The wanted nodes, in the order in which they are met in the wanted keys.
    pub(crate) wanted: Vec<Node>,
}

/// What is read.
pub(crate) struct Source<'a, 'py> {
    pub(crate) vocabulary: &'a Vocabulary,
    pub(crate) graph: &'a Bound<'py, PyDict>,
    /// Values of keys that are not in the graph.
    pub(crate) cache: Option<&'a Bound<'py, PyAny>>,
    /// By key: how often a task may be tried again.
    pub(crate) retries: Option<&'a Bound<'py, PyDict>>,
    /// By key: how many seconds an attempt of a task may take.
    pub(crate) time_limits: Option<&'a Bound<'py, PyDict>>,
    pub(crate) shared: &'a Arc<Shared>,
    /// True if other names of keys count as tasks: somebody looks on who expects them.
    pub(crate) runs_aliases: bool,
}

/// The kind of the arguments that are written here.
struct Ready;

/// A task and the nodes that it needs, in order.
struct Written<'a>(PyTask, &'a [Node]);

impl Argument<Ready> for Written<'_> {
    fn write(self, to: &mut Writer<'_>) {
        for node in self.1 {
            to.node(*node);
        }
        to.call(Func::from_function(self.0), self.1.len());
    }
}

type Inputs = SmallVec<[Node; 8]>;

struct Walk<'a, 'py> {
    source: Source<'a, 'py>,
    ingested: Ingested,
    /// Key to node index.
    index: Bound<'py, PyDict>,
    /// Node index to node.
    nodes: Vec<Node>,
    /// How deep the object lies that is being read, in what its key stands for.
    depth: usize,
    /// The keys that were named and not yet read.
    left: Vec<(Bound<'py, PyAny>, Node)>,
}

/// Reads what the wanted keys, one or nested lists of them, need of a graph.
pub(crate) fn ingest<'py>(
    source: Source<'_, 'py>,
    wanted: &Bound<'py, PyAny>,
) -> PyResult<Ingested> {
    let py = wanted.py();
    let guess = source.graph.len();
    let ingested = Ingested {
        graph: Graph::with_capacity(guess),
        keys: Vec::with_capacity(guess),
        wanted: Vec::new(),
    };
    let index = PyDict::new(py);
    let mut walk = Walk {
        source,
        ingested,
        index,
        nodes: Vec::with_capacity(guess),
        depth: 0,
        left: Vec::new(),
    };
    walk.want(wanted, 0)?;
    while let Some((key, node)) = walk.left.pop() {
        walk.read(&key, node)?;
    }
    Ok(walk.ingested)
}

impl<'py> Walk<'_, 'py> {
    fn want(&mut self, wanted: &Bound<'py, PyAny>, depth: usize) -> PyResult<()> {
        if let Ok(list) = wanted.cast::<PyList>() {
            not_too_deep("the wanted keys", depth)?;
            return list.iter().try_for_each(|item| self.want(&item, depth + 1));
        }
        let Some(node) = self.node(wanted)? else {
            return Err(PyKeyError::new_err((wanted.clone().unbind(),)));
        };
        self.ingested.wanted.push(node);
        Ok(())
    }

    /// The node of a key; none if the key is nowhere.
    fn node(&mut self, key: &Bound<'py, PyAny>) -> PyResult<Option<Node>> {
        if let Some(number) = self.index.get_item(key)? {
            return Ok(Some(self.nodes[number.extract::<usize>()?]));
        }
        let known = if self.source.graph.contains(key)? {
            None
        } else {
            match self.cached(key)? {
                Some(value) => Some(value),
                None => return Ok(None),
            }
        };
        let node = self.ingested.graph.declare(name(key));
        self.index.set_item(key, self.nodes.len())?;
        self.nodes.push(node);
        self.ingested.keys.push(key.clone().unbind());
        match known {
            Some(value) => {
                self.ingested.graph.define(node, Arg::Literal(Object::literal(value.unbind())));
            }
            None => self.left.push((key.clone(), node)),
        }
        Ok(Some(node))
    }

    fn cached(&self, key: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(cache) = self.source.cache else { return Ok(None) };
        if cache.contains(key)? { cache.get_item(key).map(Some) } else { Ok(None) }
    }

    /// The node of a key that `dependent` needs.
    fn dependency(
        &mut self,
        key: &Bound<'py, PyAny>,
        dependent: &Bound<'py, PyAny>,
    ) -> PyResult<Node> {
        if let Some(node) = self.node(key)? {
            return Ok(node);
        }
        let error = self.source.vocabulary.missing.bind(key.py()).call1((key, dependent))?;
        Err(PyErr::from_value(error))
    }

    /// Defines what a key stands for.
    fn read(&mut self, key: &Bound<'py, PyAny>, node: Node) -> PyResult<()> {
        let Some(mut task) = self.source.graph.get_item(key)? else {
            return Err(PyKeyError::new_err((key.clone().unbind(),)));
        };
        let mut word = self.source.vocabulary.word(&task)?;
        if matches!(word, Word::Literal | Word::Reference | Word::Future) {
            let convert = self.source.vocabulary.convert.bind(key.py());
            task = convert.call1((key, &task, self.source.graph, self.source.cache))?;
            word = self.source.vocabulary.word(&task)?;
        }
        let py = key.py();
        match word {
            Word::Data => {
                let data = task.getattr(intern!(py, "value"))?;
                self.ingested.graph.define(node, Arg::Literal(Object::literal(data.unbind())));
            }
            Word::Alias => {
                let target = self.target(&task)?;
                let target = self.dependency(&target, key)?;
                if self.source.runs_aliases {
                    self.define(key, node, Call::Same, &[target])?;
                } else {
                    self.ingested.graph.define(node, Arg::Node(target));
                }
            }
            Word::Task => self.read_task(key, node, &task)?,
            Word::List | Word::Tuple | Word::Set | Word::Dict | Word::Node => {
                let (call, inputs) = self.itself(&task, key)?;
                self.define(key, node, call, &inputs)?;
            }
            Word::Literal | Word::Reference | Word::Future => {
                self.ingested.graph.define(node, Arg::Literal(Object::literal(task.unbind())));
            }
        }
        Ok(())
    }

    /// The key that another name stands for; older releases of Dask wrap it.
    fn target(&self, alias: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let target = alias.getattr(intern!(alias.py(), "target"))?;
        if self.source.vocabulary.word(&target)?.is_reference() {
            return target.getattr(intern!(alias.py(), "key"));
        }
        Ok(target)
    }

    fn define(
        &mut self,
        key: &Bound<'py, PyAny>,
        node: Node,
        call: Call,
        inputs: &[Node],
    ) -> PyResult<()> {
        let shared = Arc::clone(self.source.shared);
        let wants_key = shared.hooks.is_some();
        let key_of = wants_key.then(|| key.clone().unbind());
        let task = PyTask { call, shared, key: key_of };
        self.ingested.graph.define(node, Written(task, inputs));
        let of_key =
            |said: Option<&Bound<'py, PyDict>>| said.map_or(Ok(None), |said| said.get_item(key));
        let (retries, limit) = (of_key(self.source.retries)?, of_key(self.source.time_limits)?);
        if retries.is_none() && limit.is_none() {
            return Ok(());
        }
        let mut options = TaskOptions::new();
        if let Some(retries) = retries {
            options = options.retries(retries.extract()?);
        }
        if let Some(limit) = limit {
            options = options.time_limit(Duration::from_secs_f64(limit.extract()?));
        }
        self.ingested.graph.set_options(node, options);
        Ok(())
    }

    /// A node of Dask's that is no plain task evaluates itself.
    fn itself(
        &mut self,
        task: &Bound<'py, PyAny>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<(Call, Inputs)> {
        let mut inputs = Inputs::new();
        let part = self.self_evaluating(task, key, &mut inputs)?;
        let Part::Itself(object, keys) = part else { unreachable!("it was made so") };
        let values = Part::Dict(
            keys.into_iter().flat_map(|key| [Part::Literal(key), Part::Input]).collect(),
        );
        let nested = Nested { function: object, arguments: vec![values], keywords: Vec::new() };
        Ok((Call::Nested(Box::new(nested)), inputs))
    }

    fn self_evaluating(
        &mut self,
        task: &Bound<'py, PyAny>,
        key: &Bound<'py, PyAny>,
        inputs: &mut Inputs,
    ) -> PyResult<Part> {
        let mut keys = Vec::new();
        for needed in task.getattr(intern!(key.py(), "dependencies"))?.try_iter()? {
            let needed = needed?;
            inputs.push(self.dependency(&needed, key)?);
            keys.push(needed.unbind());
        }
        Ok(Part::Itself(task.clone().unbind(), keys))
    }

    fn read_task(
        &mut self,
        key: &Bound<'py, PyAny>,
        node: Node,
        task: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        let py = key.py();
        let arguments = task.getattr(intern!(py, "args"))?;
        let keywords = task.getattr(intern!(py, "kwargs"))?;
        let function = task.getattr(intern!(py, "func"))?.unbind();
        let mut inputs = Inputs::new();
        if keywords.is_truthy()? || !arguments.is_exact_instance_of::<PyTuple>() {
            let nested = self.nested(function, &arguments, &keywords, key, &mut inputs)?;
            return self.define(key, node, Call::Nested(Box::new(nested)), &inputs);
        }
        let arguments = arguments.cast_into::<PyTuple>()?;
        if function.is(&self.source.vocabulary.fetch)
            && let Ok(argument) = arguments.get_item(0)
            && let Ok(persisted) = argument.cast_exact::<Persisted>()
        {
            return self.define(key, node, Call::Fetch(persisted.get().stored().clone()), &[]);
        }
        let mut is_plain = true;
        for argument in arguments.iter() {
            let word = self.source.vocabulary.word(&argument)?;
            if word == Word::Reference {
                let needed = argument.getattr(intern!(py, "key"))?;
                inputs.push(self.dependency(&needed, key)?);
            } else if word == Word::Literal {
                is_plain = false;
            } else {
                inputs.clear();
                let arguments = arguments.as_any();
                let nested = self.nested(function, arguments, &keywords, key, &mut inputs)?;
                return self.define(key, node, Call::Nested(Box::new(nested)), &inputs);
            }
        }
        let call = if is_plain {
            Call::Plain(function)
        } else {
            Call::Flat { function, arguments: arguments.unbind() }
        };
        self.define(key, node, call, &inputs)
    }

    fn nested(
        &mut self,
        function: Py<PyAny>,
        arguments: &Bound<'py, PyAny>,
        keywords: &Bound<'py, PyAny>,
        key: &Bound<'py, PyAny>,
        inputs: &mut Inputs,
    ) -> PyResult<Nested> {
        let arguments = self.parts(arguments, key, inputs)?;
        let mut named = Vec::new();
        if keywords.is_truthy()? {
            for (name, value) in keywords.cast::<PyDict>()?.iter() {
                named.push((name.unbind(), self.part(&value, key, inputs)?));
            }
        }
        Ok(Nested { function, arguments, keywords: named })
    }

    fn parts(
        &mut self,
        items: &Bound<'py, PyAny>,
        key: &Bound<'py, PyAny>,
        inputs: &mut Inputs,
    ) -> PyResult<Vec<Part>> {
        items.try_iter()?.map(|item| self.part(&item?, key, inputs)).collect()
    }

    /// The parts of one of Dask's containers.
    fn elements(
        &mut self,
        container: &Bound<'py, PyAny>,
        key: &Bound<'py, PyAny>,
        inputs: &mut Inputs,
    ) -> PyResult<Vec<Part>> {
        self.parts(&container.getattr(intern!(key.py(), "args"))?, key, inputs)
    }

    fn part(
        &mut self,
        item: &Bound<'py, PyAny>,
        key: &Bound<'py, PyAny>,
        inputs: &mut Inputs,
    ) -> PyResult<Part> {
        not_too_deep("the arguments of a task", self.depth)?;
        self.depth += 1;
        let part = self.part_here(item, key, inputs);
        self.depth -= 1;
        part
    }

    fn part_here(
        &mut self,
        item: &Bound<'py, PyAny>,
        key: &Bound<'py, PyAny>,
        inputs: &mut Inputs,
    ) -> PyResult<Part> {
        let py = item.py();
        let word = self.source.vocabulary.word(item)?;
        Ok(match word {
            Word::Literal => Part::Literal(item.clone().unbind()),
            Word::Reference | Word::Future => {
                let needed = item.getattr(intern!(py, "key"))?;
                inputs.push(self.dependency(&needed, key)?);
                Part::Input
            }
            Word::Alias => {
                let needed = self.target(item)?;
                inputs.push(self.dependency(&needed, key)?);
                Part::Input
            }
            Word::Data => Part::Literal(item.getattr(intern!(py, "value"))?.unbind()),
            Word::List => Part::List(self.elements(item, key, inputs)?),
            Word::Tuple => Part::Tuple(self.elements(item, key, inputs)?),
            Word::Set => Part::Set(self.elements(item, key, inputs)?),
            Word::Dict => Part::Dict(self.elements(item, key, inputs)?),
            Word::Task => {
                let function = item.getattr(intern!(py, "func"))?.unbind();
                let arguments = item.getattr(intern!(py, "args"))?;
                let keywords = item.getattr(intern!(py, "kwargs"))?;
                let nested = self.nested(function, &arguments, &keywords, key, inputs)?;
                Part::Call(Box::new(nested))
            }
            Word::Node => self.self_evaluating(item, key, inputs)?,
        })
    }
}

/// What is read one inside the other costs stack, of which there is so much.
fn not_too_deep(what: &str, depth: usize) -> PyResult<()> {
    const DEEPEST: usize = 1000;
    if depth < DEEPEST {
        return Ok(());
    }
    Err(PyRecursionError::new_err(format!("{what} are nested more than {DEEPEST} deep")))
}

/// The crate's name of a key, for messages: what the crate has no kind for is named by its `repr`.
pub(crate) fn name(key: &Bound<'_, PyAny>) -> Key {
    if let Ok(text) = key.cast_exact::<PyString>() {
        return text.to_str().map_or_else(|_| shown(key), Key::from);
    }
    if let Ok(tuple) = key.cast_exact::<PyTuple>() {
        return Key::from(tuple.iter().map(|item| name(&item)).collect::<Vec<_>>());
    }
    if key.is_exact_instance_of::<PyInt>() {
        return key.extract::<i64>().map_or_else(|_| shown(key), Key::from);
    }
    shown(key)
}

fn shown(key: &Bound<'_, PyAny>) -> Key {
    let shown = if key.is_instance_of::<PyFloat>() { key.str() } else { key.repr() };
    Key::from(shown.map_or_else(|_| "a key".to_owned(), |text| text.to_string()))
}
