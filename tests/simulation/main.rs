//! The scheduler in virtual time: random worlds, and laws that hold in all of them.
//!
//! A world is decided by its seed. A seed that breaks a law says so and can be tried again:
//!
//! ```text
//! MOBULA_SEED=123 cargo test --test simulation
//! MOBULA_SEEDS=10000 cargo test --release --test simulation
//! ```
//!
//! Every seed that ever broke a law stands in `seeds.txt` and is tried in every test.

mod bounded;
mod crowds;
mod fairness;
mod history;
mod keeper;
mod laws;
mod moving;
mod plan;
mod rng;
mod room;
mod scenario;
mod seeds;
mod shapes;
mod sheet;
mod worker;
mod world;
