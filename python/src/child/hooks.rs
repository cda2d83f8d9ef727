//! The hooks around calls, which are called here, in the process of the call.

use mobula::process::wire::Call;
use pyo3::intern;
use pyo3::prelude::*;

use super::{Around, Broken, PyCalls};
use crate::packing::HOOKS;
use crate::packing::program::Reader;

impl PyCalls {
    pub(super) fn run_with_hooks<'py>(
        &self,
        py: Python<'py>,
        call: &Call,
        payload: Reader<'_>,
        inputs: Vec<Bound<'py, PyAny>>,
        literals: Vec<Bound<'py, PyAny>>,
        key: &Bound<'py, PyAny>,
    ) -> Result<Bound<'py, PyAny>, Broken> {
        let hooks = self.hooks(py, call.run)?;
        let refs = self.child.bind(py).call_method1(intern!(py, "refs_to"), (inputs.clone(),))?;
        let mut states = Vec::with_capacity(hooks.len());
        for (name, start, _) in &hooks {
            states.push(match start {
                Some(start) => {
                    let state = start.bind(py).call1((key, &refs));
                    Some(state.map_err(|error| hook_failed("task_start", name, key, error))?)
                }
                None => None,
            });
        }
        let value = self.run(py, call, payload, inputs, literals)?;
        for ((name, _, end), state) in hooks.iter().zip(states) {
            if let Some(end) = end {
                let ended = end.bind(py).call1((key, &value, state));
                ended.map_err(|error| hook_failed("task_end", name, key, error))?;
            }
        }
        Ok(value)
    }

    fn hooks(&self, py: Python<'_>, run: u64) -> PyResult<Vec<Around>> {
        let clone = |hooks: &Vec<Around>| {
            let copy = |hook: &Option<Py<PyAny>>| hook.as_ref().map(|hook| hook.clone_ref(py));
            hooks.iter().map(|(name, start, end)| (name.clone(), copy(start), copy(end))).collect()
        };
        if let Some(hooks) = self.runs.borrow().get(&run).and_then(|told| told.hooks.as_ref()) {
            return Ok(clone(hooks));
        }
        let hooks = self.definition(py, run, HOOKS)?.extract()?;
        let copy = clone(&hooks);
        self.runs.borrow_mut().entry(run).or_default().hooks = Some(hooks);
        Ok(copy)
    }
}

fn hook_failed(hook: &str, callback: &str, key: &Bound<'_, PyAny>, error: PyErr) -> Broken {
    let py = key.py();
    let key = key.repr().map_or_else(|_| String::new(), |key| format!(", task {key}"));
    let line = format!("raised in hook `{hook}` of callback {callback}{key}");
    crate::errors::note(py, &error, &line);
    Broken::Hook(format!("{callback}.{hook}"), error)
}
