//! The engine: every scheduling decision, without actors, threads, clocks, disks or chance.
//!
//! Two parts decide. [`Engine`] is the scheduler's own state machine: [`Event`]s in, [`Command`]s
//! out. [`Run`] is the state that the workers of one run share; what a worker takes next, what it gives
//! away and what becomes ready is decided there, by the worker that is concerned, without a message.
//! Both are driven by the actors and by the simulation alike; time is an argument.
//!
//! # The states of a task
//!
//! ```text
//!             inputs there            taken by a worker          value put in
//!  waiting ----------------> ready -----------------------> running ------------> ended
//!                              ^                               |                     |
//!                              +--- failed, may be tried again +                     | last use spent
//!                              +--- worker lost ---------------+                     v
//!                              +--- over its time limit -------+                 released
//!                                                              |
//!                                                              +--> failed: the run is over, or goes on
//!                                                                   without it: then it ends, and so do
//!                                                                   its dependents, without values
//! ```
//!
//! - **waiting**: `pending` counts the inputs that are not there yet.
//! - **ready**: the task lies in a lane, or it is a root that nobody has claimed, or a worker that just
//!   made it ready goes on with it.
//! - **running**: one worker holds the task's [`Ticket`].
//! - **ended**: the value lies in the task's slot; each dependent holds a use of it.
//! - **released**: the last use was spent and the value is gone.

mod chooser;
mod event;
mod guard;
mod ids;
mod kept;
mod lane;
mod ledger;
mod memory;
mod pace;
mod padded;
mod poison;
mod policy;
mod run;
mod scheduler;
mod slots;
mod start;
mod watch;
mod window;

pub use crate::graph::{Cause, Failure, TaskId};
pub use chooser::Chooser;
pub use event::{Command, Event, RunOutcome, Running};
pub use guard::Claim;
pub use ids::{RunId, WorkerId, spares};
pub use kept::{Held, Keeper, Kept, LARGE, Made};
pub(crate) use ledger::signed_bytes;
pub use ledger::{Holdings, Ledger};
pub use memory::{Limits, Memory};
pub use pace::Pace;
pub(crate) use padded::Padded;
pub use policy::{OnError, Placement, Policy};
pub use run::{
    Completion, Gathering, Pins, Resources, Run, Standing, Status, Tally, TaskState, Ticket,
};
pub use scheduler::{ALLOWED_LOSSES, Engine};
pub use watch::Watch;
pub use window::Window;
