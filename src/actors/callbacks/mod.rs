//! Callbacks: hooks into runs, from a trait or from closures, and the registry that fans them out.

mod builder;
mod callback;
mod hooks;
mod registry;

pub use builder::CallbackBuilder;
pub use callback::{Callback, HookResult, ObjectRefs, PreState, RunView, TaskView};
pub use hooks::CallbackErrors;
pub use registry::CallbackRegistry;

pub(crate) use hooks::{HookSet, PreStates};
pub(crate) use registry::{
    AllSubmitted, BeginRun, CallbackId, DoAside, EndRun, Ending, Register, RunHookFailed,
    TellError, TellRetry, Unregister, Wanted,
};
