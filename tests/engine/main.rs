//! The engine, situation by situation: one event, and the whole list of commands that follows; one
//! step of a worker, and what it leaves behind.
//!
//! Nothing here is left to chance and no worker is real; see `tests/simulation` for many of them at
//! once. `threads` alone lets real threads race for the tasks of a run.

#[path = "../support/attic.rs"]
mod attic;
#[path = "../support/plans.rs"]
mod plans;
#[path = "../support/situation.rs"]
mod situation;

mod answer;
mod cancel;
mod finish;
mod limits;
mod lose;
mod on_error;
mod retry;
mod room;
mod run;
mod share;
mod stuck;
mod submit;
mod threads;
mod values;
