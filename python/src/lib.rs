//! The Python package of Mobula: declares what `mobula._core` holds.
//!
//! Everything that decides lies in the crate `mobula`; here Python objects become values, Dask's tasks
//! become functions, and errors become exceptions. Nothing here knows Dask's modules: what is needed of
//! them comes in as a [`Vocabulary`](vocabulary::Vocabulary), made by `mobula/dask/_adapter.py`.

mod actor_state;
mod aside;
mod clusters;
mod context;
mod errors;
mod fork;
mod hooks;
mod ingest;
mod interpreter;
mod object;
mod object_ref;
mod persist;
mod pickle;
mod promise;
mod referent;
mod run;
mod size;
mod task;
mod tokens;
mod vocabulary;
mod waiting;

#[pyo3::pymodule]
mod _core {
    #[pymodule_export]
    use crate::clusters::{after_fork, init, is_initialized, shutdown};
    #[pymodule_export]
    use crate::hooks::{Answer, Hooks};
    #[pymodule_export]
    use crate::interpreter::is_in_task;
    #[pymodule_export]
    use crate::object_ref::{ObjectRef, revive_object_ref};
    #[pymodule_export]
    use crate::persist::{Persisted, persist};
    #[pymodule_export]
    use crate::run::compute;
    #[pymodule_export]
    use crate::size::set_sizeof;
    #[pymodule_export]
    use crate::vocabulary::Vocabulary;
    #[pymodule_export]
    use crate::waiting::{get, put, wait};
}
