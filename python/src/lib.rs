//! The Python package of Mobula: declares what `mobula._core` holds.
//!
//! Everything that decides lies in the crate `mobula`; here Python objects become values, Dask's tasks
//! become functions, and errors become exceptions. Nothing here knows Dask's modules: what is needed of
//! them comes in as a [`Vocabulary`](vocabulary::Vocabulary), made by `mobula/dask/_adapter.py`.

mod clusters;
mod context;
mod errors;
mod ingest;
mod interpreter;
mod object;
mod persist;
mod pickle;
mod run;
mod size;
mod task;
mod vocabulary;

#[pyo3::pymodule]
mod _core {
    #[pymodule_export]
    use crate::clusters::{after_fork, init, is_initialized, shutdown};
    #[pymodule_export]
    use crate::persist::{Persisted, persist};
    #[pymodule_export]
    use crate::run::compute;
    #[pymodule_export]
    use crate::size::set_sizeof;
    #[pymodule_export]
    use crate::vocabulary::Vocabulary;
}
