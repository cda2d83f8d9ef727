//! [`Monitor::progress`]: bars that follow a cluster.

use super::ProgressBars;
use crate::actors::block_on;
use crate::error::Error;
use crate::monitor::{Monitor, Watch, refuse_on_arbiter};

/// Bars that tell how the last runs ended when they are not needed any more.
struct Shown(Option<ProgressBars>);

impl Drop for Shown {
    fn drop(&mut self) {
        if let Some(bars) = self.0.take() {
            bars.finish();
        }
    }
}

impl Monitor {
    /// Shows the progress of all runs in the terminal, on the standard error output, until the answer is dropped
    /// or closed; where that is no terminal, nothing. It is drawn on the monitor's own thread, so that no run
    /// waits for the terminal.
    ///
    /// # Errors
    ///
    /// [`Error`] if the cluster has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use mobula::{Cluster, graph};
    ///
    /// # #[actix_rt::main]
    /// # async fn main() -> Result<(), mobula::Error> {
    /// let cluster = Cluster::builder().workers(1).start()?;
    /// let progress = cluster.monitor()?.progress().await?;
    /// cluster.get(graph! { "x" => (|x: i64| x + 1, 1) }, "x").await?;
    /// progress.close().await;
    /// # cluster.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn progress(&self) -> Result<Watch, Error> {
        let mut shown = Shown(Some(ProgressBars::new()));
        self.watch(move |snapshot| {
            if let Some(bars) = &mut shown.0 {
                bars.update(snapshot);
            }
        })
        .await
    }

    /// As [`progress`](Self::progress), and waits on this thread.
    ///
    /// # Errors
    ///
    /// As [`progress`](Self::progress); and on an arbiter.
    pub fn progress_blocking(&self) -> Result<Watch, Error> {
        refuse_on_arbiter("progress")?;
        block_on(self.progress(), std::thread::park)
    }
}
