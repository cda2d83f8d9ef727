//! Hooks: order, answers, values, failures, and the runs that callbacks hear of.

mod failures;
mod order;
mod presubmit;
mod recorder;
mod scopes;
mod values;
