//! [`Packing`]: a call on its way into a worker process.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;

use super::program::Processes;
use crate::engine::RunId;
use crate::graph::{BoxError, Key};
use crate::process::wire::{Definition, InputRef};
use crate::process::{Parcel, Segment, Stayed};
use crate::value::Value;

/// A call that is being packed: what it needs, and what it says.
#[derive(Debug)]
pub struct Packing<'a> {
    run: RunId,
    key: &'a Key,
    /// The number of the child, among all that there have been.
    process: u32,
    /// The number of the call whose value goes with this one, if one does.
    last: Option<u64>,
    /// The definitions of the run that the child has, or is about to get.
    known: &'a mut HashSet<u32>,
    pub(super) definitions: &'a mut Vec<Definition>,
    /// The segments in which inputs lie.
    pub(super) segments: &'a mut Vec<Arc<Segment>>,
    pub(super) payload: Vec<u8>,
    pub(super) inputs: Vec<InputRef>,
    /// The child in which an input has stayed, if that is not this one.
    pub(super) elsewhere: Option<u32>,
    /// Whose value cannot leave another child than that of the first one that stayed, and why.
    pub(super) apart: Option<(Key, String)>,
    /// The first input that has stayed somewhere: the child, and whose value it is, if that cannot leave.
    stayed: Option<(u32, Option<Key>)>,
}

/// Why a call was not packed.
#[derive(Debug)]
pub enum PackError {
    /// It is to be made in the worker's thread.
    Here,
    /// It cannot be packed.
    Failed(BoxError),
}

impl<'a> Packing<'a> {
    pub(super) fn new(
        run: RunId,
        key: &'a Key,
        process: u32,
        last: Option<u64>,
        known: &'a mut HashSet<u32>,
        definitions: &'a mut Vec<Definition>,
        segments: &'a mut Vec<Arc<Segment>>,
    ) -> Self {
        let (payload, inputs) = (Vec::new(), Vec::new());
        Self {
            run,
            key,
            process,
            last,
            known,
            definitions,
            segments,
            payload,
            inputs,
            elsewhere: None,
            apart: None,
            stayed: None,
        }
    }

    /// The run's number, never used twice in a process.
    pub fn run(&self) -> u64 {
        self.run.0
    }

    /// The task's key.
    pub fn key(&self) -> &Key {
        self.key
    }

    /// Makes something known to the process under a number of its run, before this call, if it is not
    /// known there: a function, hooks. `bytes` is asked only then.
    pub fn define(&mut self, number: u32, bytes: impl FnOnce() -> Bytes) {
        if self.known.insert(number) {
            self.definitions.push(Definition { number, bytes: bytes() });
        }
    }

    /// What the call says, to be written by the program.
    pub fn payload(&mut self) -> &mut Vec<u8> {
        &mut self.payload
    }

    /// Adds a parcel to the inputs.
    pub fn parcel(&mut self, parcel: &Parcel) {
        if let Some(segment) = parcel.segment() {
            self.segments.push(Arc::clone(segment));
        }
        self.inputs.push(InputRef::Packed(parcel.packed()));
    }

    /// Sees whether the call can be sent, as it was packed.
    pub(super) fn check(&self, program: &dyn Processes, payload: &[u8]) -> Result<(), PackError> {
        /// A message has an end; what is large should lie in shared memory.
        const MOST: usize = 256 << 20;
        if let Some((key, reason)) = &self.apart {
            let other = self.stayed.as_ref().and_then(|(_, key)| key.as_ref());
            let other = other.map_or_else(|| "another task".to_owned(), |key| format!("{key:?}"));
            let reason = format!(
                "{reason}, and {:?} needs it together with the value of {other}, which cannot leave another \
                 process",
                self.key
            );
            return Err(PackError::Failed(program.cannot_leave(key, &reason)));
        }
        if payload.len() > MOST {
            let size = payload.len() >> 20;
            return Err(PackError::Failed(
                format!(
                    "the arguments that stand in its graph take {size} MiB, and {} MiB can be sent; give \
                     large data a key of its own, or make it in a task",
                    MOST >> 20
                )
                .into(),
            ));
        }
        Ok(())
    }

    /// Adds a value to the inputs, if it came from a worker process: then it goes as it is. False if the
    /// program has to make a parcel of it.
    pub fn value(&mut self, value: &Value) -> bool {
        if let Some(parcel) = value.downcast_ref::<Parcel>() {
            self.parcel(parcel);
        } else if let Some(stayed) = value.downcast_ref::<Stayed>() {
            match &self.stayed {
                None => {
                    let key = stayed.bound().map(|(key, _)| key.clone());
                    self.stayed = Some((stayed.process(), key));
                }
                Some((process, _)) if *process != stayed.process() => {
                    let (key, reason) = stayed.bound().unwrap_or((self.key, "it was not to leave"));
                    self.apart.get_or_insert((key.clone(), reason.to_owned()));
                }
                Some(_) => {}
            }
            if stayed.process() != self.process {
                self.elsewhere = Some(stayed.process());
            }
            let last = self.last == Some(stayed.number());
            self.inputs.push(InputRef::Stayed { number: stayed.number(), last });
        } else {
            return false;
        }
        true
    }
}
