//! The Python package of Mobula: declares what `mobula._core` holds.
//!
//! Everything that decides lies in the crate `mobula`; here Python objects become values, Dask's tasks
//! become functions, and errors become exceptions. Nothing here knows Dask's modules: what is needed of
//! them comes in as a `Vocabulary`, made by `mobula/dask/_adapter.py`.

mod actor;
mod actor_handle;
mod actor_state;
mod actor_thread;
mod actors;
mod arguments;
mod aside;
mod asks;
mod caller;
mod child;
mod clusters;
mod command;
mod context;
mod dashboard;
mod drawing;
mod errors;
mod fork;
mod hooks;
mod ingest;
mod interpreter;
mod lent;
mod logging;
mod mailroom;
mod numbers;
mod object;
mod object_ref;
mod packing;
mod persist;
mod pickle;
mod processes;
mod promise;
mod queue;
mod recording;
mod referent;
mod remote;
mod request;
mod run;
mod size;
mod task;
mod tokens;
mod vocabulary;
mod waiting;
mod watching;

#[pyo3::pymodule]
mod _core {
    #[pymodule_export]
    use crate::actor_handle::{
        ActorHandle, ActorMethod, get_actor, kill, revive_actor_handle, revive_actor_method,
        start_actor,
    };
    #[pymodule_export]
    use crate::actor_thread::{is_killed, look_at_calls};
    #[pymodule_export]
    use crate::actors::end_actors;
    #[pymodule_export]
    use crate::aside::end_aside;
    #[pymodule_export]
    use crate::asks::{become_child, is_child};
    #[pymodule_export]
    use crate::caller::current_caller;
    #[pymodule_export]
    use crate::child::{WorkingCall, ask, serve};
    #[pymodule_export]
    use crate::clusters::{after_fork, before_fork, explain, init, is_initialized, shutdown};
    #[pymodule_export]
    use crate::command::command;
    #[pymodule_export]
    use crate::dashboard::dashboard_url;
    #[pymodule_export]
    use crate::drawing::draw;
    #[pymodule_export]
    use crate::hooks::{Answer, Hooks};
    #[pymodule_export]
    use crate::interpreter::is_in_task;
    #[pymodule_export]
    use crate::lent::{count_lent, take_returned, take_unheld};
    #[pymodule_export]
    use crate::object_ref::{ObjectRef, is_here, ref_here, revive_object_ref};
    #[pymodule_export]
    use crate::persist::{Persisted, persist, revive_persisted};
    #[pymodule_export]
    use crate::recording::{PyRecording, read_journal};
    #[pymodule_export]
    use crate::remote::submit;
    #[pymodule_export]
    use crate::request::Request;
    #[pymodule_export]
    use crate::run::compute;
    #[pymodule_export]
    use crate::size::set_sizeof;
    #[pymodule_export]
    use crate::tokens::{find_handle, gather};
    #[pymodule_export]
    use crate::vocabulary::Vocabulary;
    #[pymodule_export]
    use crate::waiting::{get, get_now, put, wait};
    #[pymodule_export]
    use crate::watching::{Progress, Recorder, snapshots};

    #[pymodule_init]
    fn begin() -> pyo3::PyResult<()> {
        pyo3::Python::attach(crate::logging::begin)
    }
}
