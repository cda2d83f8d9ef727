//! The child, with a test for a parent and a script for a program. It runs in a thread of the test.

mod asking;
mod batches;
mod calling;
mod cancelling;
mod ending;
mod queue;
mod segments;
mod support;
