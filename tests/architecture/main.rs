//! Guards of the project itself: which floor may name which, what a page must look like, and that
//! the files around the code agree with each other.
//!
//! They read sources as text, not as types, and they do not replace clippy. Each guard is a function
//! from texts to a list of violations: its own tests feed it planted ones, and the test that reads
//! the real files also fails when there was too little to read.

mod floors;
mod pages;
mod paths;
mod project;
mod purity;
mod source;
mod tokens;
