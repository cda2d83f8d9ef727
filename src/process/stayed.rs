//! [`Stayed`]: a value that has stayed in the process that made it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::graph::Key;
use crate::value::Value;

/// The life of a process in which values stay.
pub struct Life {
    process: u32,
    has_ended: AtomicBool,
    /// Told of each value that nobody needs any more: its number, and what it weighs.
    release: Box<dyn Fn(u64, u64) + Send + Sync>,
}

impl Life {
    /// The life of the process of this number. `release` is told of each value that nobody needs any more,
    /// from any thread; it must not wait.
    pub fn new(process: u32, release: impl Fn(u64, u64) + Send + Sync + 'static) -> Self {
        Self { process, has_ended: AtomicBool::new(false), release: Box::new(release) }
    }

    /// The process has ended, and with it all that stayed there.
    pub fn end(&self) {
        self.has_ended.store(true, Ordering::Release);
    }

    /// True once the process has ended.
    pub fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Life").field("process", &self.process).finish_non_exhaustive()
    }
}

/// A value that has stayed in the process that made it: because it is large and needed there next, or
/// because it cannot leave. Who needs it runs there; if the process ends, it is made again.
#[derive(Debug)]
pub struct Stayed {
    life: Arc<Life>,
    /// The number of the call that made it.
    number: u64,
    bytes: u64,
    /// Whose value it is and why it cannot leave, if it cannot.
    bound: Option<Box<(Key, String)>>,
    /// True once the process has let go of it by itself.
    is_spent: AtomicBool,
}

impl Stayed {
    /// The value of a call that weighs so many bytes, as what a task answers. If it cannot leave: with the
    /// task's key, and why.
    pub fn value(life: &Arc<Life>, number: u64, bytes: u64, bound: Option<(Key, String)>) -> Value {
        let stayed = Self {
            life: Arc::clone(life),
            number,
            bytes,
            bound: bound.map(Box::new),
            is_spent: AtomicBool::new(false),
        };
        Value::with_bytes(stayed, usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    /// The number of the process.
    pub fn process(&self) -> u32 {
        self.life.process
    }

    /// The number of the call that made the value.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The key of the task whose value it is, and why it cannot leave, if it cannot.
    pub fn bound(&self) -> Option<(&Key, &str)> {
        self.bound.as_ref().map(|bound| (&bound.0, bound.1.as_str()))
    }

    /// Notes that the process has let go of the value with the call that needed it last.
    pub fn is_spent(&self) {
        self.is_spent.store(true, Ordering::Relaxed);
    }

    /// True if the value has stayed in a process that has ended.
    pub fn is_gone(value: &Value) -> bool {
        value.downcast_ref::<Self>().is_some_and(|stayed| stayed.life.has_ended())
    }
}

impl Drop for Stayed {
    fn drop(&mut self) {
        if !self.life.has_ended() && !*self.is_spent.get_mut() {
            (self.life.release)(self.number, self.bytes);
        }
    }
}
