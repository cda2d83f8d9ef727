//! [`Request`]: calls with callbacks of their own.

use std::sync::Arc;

use super::Client;
use super::calls::{plan_beside, refuse_on_arbiter, typed};
use crate::actors::callbacks::Callback;
use crate::delayed::Delayed;
use crate::error::Error;
use crate::graph::{Graph, Outputs, Plan, Results};
use crate::value::Data;

/// Calls with callbacks of their own; see [`Client::with_callbacks`].
#[derive(Clone)]
pub struct Request {
    client: Client,
    callbacks: Vec<Arc<dyn Callback>>,
}

impl Request {
    pub(super) fn new(client: Client) -> Self {
        Self { client, callbacks: Vec::new() }
    }

    /// Adds callbacks, behind those that are there.
    #[must_use]
    pub fn callbacks<C: Callback>(mut self, callbacks: impl IntoIterator<Item = C>) -> Self {
        self.callbacks.extend(callbacks.into_iter().map(|c| Arc::new(c) as Arc<dyn Callback>));
        self
    }

    /// As [`Client::get`].
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub async fn get(
        &self,
        graph: impl Into<Arc<Graph>>,
        outputs: impl Into<Outputs>,
    ) -> Result<Results, Error> {
        let plan = plan_beside(graph.into(), outputs.into()).await?;
        self.client.run_with(plan, self.callbacks.clone()).await
    }

    /// As [`Client::get_blocking`].
    ///
    /// # Errors
    ///
    /// As [`Client::get_blocking`].
    pub fn get_blocking(
        &self,
        graph: impl Into<Arc<Graph>>,
        outputs: impl Into<Outputs>,
    ) -> Result<Results, Error> {
        refuse_on_arbiter("get")?;
        self.client.run_with(Plan::new(graph, outputs)?, self.callbacks.clone()).wait()
    }

    /// As [`Client::compute`].
    ///
    /// # Errors
    ///
    /// As [`Client::compute`].
    pub async fn compute<T: Data + Clone>(&self, delayed: &Delayed<T>) -> Result<T, Error> {
        let (graph, outputs) = delayed.graph();
        let results = self.get(graph, outputs).await?;
        typed(results.into_value(), delayed.key())
    }

    /// As [`Client::compute_blocking`].
    ///
    /// # Errors
    ///
    /// As [`Client::compute_blocking`].
    pub fn compute_blocking<T: Data + Clone>(&self, delayed: &Delayed<T>) -> Result<T, Error> {
        refuse_on_arbiter("compute")?;
        let (graph, outputs) = delayed.graph();
        let results = self.get_blocking(graph, outputs)?;
        typed(results.into_value(), delayed.key())
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("callbacks", &self.callbacks.len()).finish_non_exhaustive()
    }
}
