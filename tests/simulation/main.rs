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

#[cfg(test)]
mod history;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod rng;
#[cfg(test)]
mod scenario;
#[cfg(test)]
mod seeds;
#[cfg(test)]
mod shapes;
#[cfg(test)]
mod sheet;
#[cfg(test)]
mod worker;
#[cfg(test)]
mod world;
