//! What a task does, the same for every subject: add its inputs, and if asked keep a core busy.
//!
//! The busy part is a fixed number of arithmetic steps, calibrated once against the clock. It does
//! not look at the clock itself, so a task that loses its core to somebody else still has all of
//! its work to do, and efficiency is not flattered on a busy machine.

use std::any::Any;
use std::hint::black_box;
use std::time::Duration;

use crate::measure::timed;
use crate::shapes::Shape;

/// A type-erased value, as a scheduler of arbitrary tasks has to hold it.
pub(crate) type Value = Box<dyn Any + Send + Sync>;

/// A type-erased function from the values of the inputs to the value of the task.
pub(crate) type Function = Box<dyn Fn(&[&Value]) -> Value + Send + Sync>;

/// How much a task does beside the addition.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Nothing: what is measured is the scheduling.
    Trivial,
    /// This many steps of arithmetic.
    Busy(u64),
}

impl Work {
    /// Work that takes `target` on an idle core of this machine.
    pub(crate) fn lasting(target: Duration) -> Self {
        const STEPS: u64 = 1 << 20;
        let fastest = (0..20)
            .map(|_| timed(|| spin(STEPS)).0)
            .min()
            .expect("the range of tries is not empty");
        let steps = u128::from(STEPS) * target.as_nanos() / fastest.as_nanos().max(1);
        Self::Busy(u64::try_from(steps).expect("a task lasts far less than a century"))
    }

    /// The number of steps, by which a child process is told the work.
    pub(crate) fn steps(self) -> u64 {
        match self {
            Self::Trivial => 0,
            Self::Busy(steps) => steps,
        }
    }

    /// Runs the task of that number; typed subjects call this, the others [`functions`].
    pub(crate) fn run(self, task: u32, inputs: impl Iterator<Item = u64>) -> u64 {
        if let Self::Busy(steps) = self {
            spin(steps);
        }
        inputs.fold(u64::from(task), u64::wrapping_add)
    }
}

/// One boxed function for each task of the shape.
pub(crate) fn functions(shape: &Shape, work: Work) -> Vec<Function> {
    shape.ids().map(|task| function(task, work)).collect()
}

/// The type-erased function of one task.
fn function(task: u32, work: Work) -> Function {
    Box::new(move |inputs| Box::new(work.run(task, inputs.iter().map(|value| number(value)))))
}

/// The number in a type-erased value.
pub(crate) fn number(value: &Value) -> u64 {
    *value.downcast_ref().expect("every task gives a u64")
}

/// How restless the machine is: a fixed stretch of arithmetic, timed now and then.
///
/// It says nothing of caches and memory, for which neighbours on the same machine compete as well.
pub(crate) struct Unrest {
    fastest: Duration,
    /// The greatest mean of a sample.
    slowest: Duration,
}

impl Unrest {
    /// Nothing is known yet.
    pub(crate) fn new() -> Self {
        Self { fastest: Duration::MAX, slowest: Duration::ZERO }
    }

    /// Takes a sample of some tens of milliseconds, long enough to lose the core in it if others want it.
    pub(crate) fn sample(&mut self) {
        const STEPS: u64 = 1 << 18;
        const STRETCHES: u32 = 100;
        let mut total = Duration::ZERO;
        for _ in 0..STRETCHES {
            let (time, ()) = timed(|| spin(STEPS));
            self.fastest = self.fastest.min(time);
            total += time;
        }
        self.slowest = self.slowest.max(total / STRETCHES);
    }

    /// How many times longer than at its best the stretch took on average in the worst sample.
    pub(crate) fn factor(&self) -> f64 {
        self.slowest.as_secs_f64() / self.fastest.as_secs_f64()
    }
}

/// A chain of dependent multiplications that the compiler can neither shorten nor drop.
fn spin(steps: u64) {
    let mut state = black_box(steps | 1);
    for _ in 0..steps {
        state = state.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
    black_box(state);
}
