//! [`Place`]: one of the directories that a [`Disk`](super::Disk) writes to, or checkpoints.
//!
//! It makes the private directory when it is needed first, and again if somebody has removed it, and
//! leaves a directory alone for a while after it has failed. It reads no clock: time is an argument.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::SpillError;
use super::session::Session;

const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(60);

/// A base directory, and the private one in it.
#[derive(Debug)]
pub(crate) struct Place {
    base: PathBuf,
    /// Locked for moments, and while the private directory is made; never while a value is written.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// There from the first write on.
    session: Option<Arc<Session>>,
    rest: Option<Rest>,
    closed: bool,
}

/// A time after a failure in which the directory is left alone. It stays, when it has passed, until the
/// directory has worked again.
#[derive(Debug)]
struct Rest {
    until: Instant,
    length: Duration,
    /// What is told to those who ask meanwhile.
    reason: SpillError,
}

impl Place {
    pub(crate) fn new(base: PathBuf) -> Self {
        Self { base, state: Mutex::default() }
    }

    pub(crate) fn base(&self) -> &Path {
        &self.base
    }

    /// The private directory.
    pub(crate) fn session(&self, now: Instant) -> Result<Arc<Session>, SpillError> {
        let mut state = self.state();
        if state.closed {
            return Err(SpillError::Cancelled);
        }
        if let Some(rest) = state.rest.as_ref().filter(|rest| now < rest.until) {
            return Err(rest.reason.again());
        }
        if let Some(session) = state.session.as_ref().filter(|session| session.exists()) {
            return Ok(Arc::clone(session));
        }
        let session = Arc::new(Session::make(&self.base)?);
        state.session = Some(Arc::clone(&session));
        Ok(session)
    }

    /// A write has succeeded.
    pub(crate) fn worked(&self) {
        self.state().rest = None;
    }

    /// A write has failed because of the directory, or was refused because of an earlier failure.
    pub(crate) fn failed(&self, error: &SpillError, now: Instant) {
        let mut state = self.state();
        let length = match &state.rest {
            Some(rest) if now < rest.until => return,
            Some(rest) => (rest.length * 2).min(LONGEST_REST),
            None => FIRST_REST,
        };
        log::warn!("for {length:?} no values are written to `{}`: {error}", self.base.display());
        state.rest = Some(Rest { until: now + length, length, reason: error.again() });
    }

    /// Lets go of the private directory, and makes no other.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.session = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Place;
    use crate::spill::SpillError;

    #[expect(clippy::disallowed_methods, reason = "some instant to count from")]
    fn start() -> Instant {
        Instant::now()
    }

    fn rests(place: &Place, now: Instant) -> bool {
        match place.session(now) {
            Ok(_) => false,
            Err(SpillError::Full { .. }) => true,
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn after_failures_a_directory_rests_longer_and_longer() {
        let base = tempfile::tempdir().unwrap();
        let place = Place::new(base.path().to_owned());
        let full = SpillError::Full { directory: base.path().to_owned() };
        let mut now = start();
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert!(!rests(&place, now));
            place.failed(&full, now);
            // A refusal, or a write that began earlier, does not make it longer.
            place.failed(&full, now);
            assert!(rests(&place, now + Duration::from_millis(seconds * 1000 - 1)), "{seconds}");
            now += Duration::from_secs(seconds);
        }
        place.worked();
        place.failed(&full, now);
        assert!(!rests(&place, now + Duration::from_secs(1)));
    }

    #[test]
    fn a_closed_place_makes_no_directory() {
        let base = tempfile::tempdir().unwrap();
        let place = Place::new(base.path().to_owned());
        place.close();
        assert!(matches!(place.session(start()), Err(SpillError::Cancelled)));
        assert_eq!(base.path().read_dir().unwrap().count(), 0);
    }
}
