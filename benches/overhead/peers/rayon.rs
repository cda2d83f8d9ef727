//! rayon: a job for each ready task, in a scope; the first task made ready goes on in the same job.

use std::sync::Arc;

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use rayon::{Scope, ThreadPool, ThreadPoolBuilder};

use super::countdown::{Countdown, Plan};
use crate::shapes::Shape;
use crate::subject::{Failure, Subject};
use crate::work::Work;

/// Starts the pool; a job goes on with the first task that it makes ready.
pub(crate) fn start(workers: usize) -> Result<Box<dyn Subject>, Failure> {
    started(workers, Style::GoOn)
}

/// Starts the pool; every ready task becomes a job of its own.
pub(crate) fn start_spawning(workers: usize) -> Result<Box<dyn Subject>, Failure> {
    started(workers, Style::Spawn)
}

/// Starts the pool; the roots are halved among the workers by a parallel iterator.
pub(crate) fn start_splitting(workers: usize) -> Result<Box<dyn Subject>, Failure> {
    started(workers, Style::Split)
}

/// Starts the pool.
fn started(workers: usize, style: Style) -> Result<Box<dyn Subject>, Failure> {
    let pool = ThreadPoolBuilder::new().num_threads(workers).build()?;
    Ok(Box::new(Rayon { pool, style, plan: None, run: None }))
}

/// How ready tasks become jobs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// Each of them is spawned.
    Spawn,
    /// The first one is done by the job that made it ready, the others are spawned.
    GoOn,
    /// The same, but roots aren't spawned one by one.
    Split,
}

/// A rayon pool.
struct Rayon {
    pool: ThreadPool,
    style: Style,
    plan: Option<Arc<Plan>>,
    /// The last run.
    run: Option<Countdown>,
}

impl Subject for Rayon {
    fn prepare(&mut self, shape: &Arc<Shape>, work: Work) -> Result<(), Failure> {
        self.plan = Some(Arc::new(Plan::new(shape, work)));
        Ok(())
    }

    fn run(&mut self) -> Result<u64, Failure> {
        let plan = self.plan.as_ref().ok_or("nothing is prepared")?;
        let (run, style) = (&*self.run.insert(Countdown::new(plan)), self.style);
        self.pool.scope(|scope| {
            if style == Style::Split {
                let roots: Vec<u32> = run.shape().roots().collect();
                roots.into_par_iter().for_each(|root| job(scope, run, root, style));
            } else {
                for root in run.shape().roots() {
                    scope.spawn(move |scope| job(scope, run, root, style));
                }
            }
        });
        Ok(run.result())
    }

    fn release(&mut self) {
        self.run = None;
    }

    fn clear(&mut self) {
        self.plan = None;
    }
}

/// Runs a task and what it makes ready.
fn job<'scope>(scope: &Scope<'scope>, run: &'scope Countdown, task: u32, style: Style) {
    let mut current = Some(task);
    while let Some(task) = current.take() {
        run.run(task, |ready| {
            if style != Style::Spawn && current.is_none() {
                current = Some(ready);
            } else {
                scope.spawn(move |scope| job(scope, run, ready, style));
            }
        });
    }
}
