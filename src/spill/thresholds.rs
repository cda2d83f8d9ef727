//! [`Thresholds`]: at which shares of the memory limit something happens.
//!
//! What happens is decided by the store and the engine.

use super::SettingError;

/// At which shares of the memory limit values are spilled and tasks held back.
///
/// Over `target`, values that nobody uses are written to disk, one at a time; over `spill`, as many at a
/// time as keep the I/O threads busy. A task that would take the store over `pause` waits until there is room.
///
/// # Examples
///
/// ```
/// use mobula::spill::Thresholds;
///
/// let thresholds = Thresholds::new(0.5, 0.7, 0.9)?;
/// assert_eq!(thresholds.spill_bytes(1000), 700);
/// assert!(Thresholds::new(0.9, 0.7, 0.5).is_err());
/// # Ok::<(), mobula::spill::SettingError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    target: f64,
    spill: f64,
    pause: f64,
}

impl Thresholds {
    /// Thresholds as shares of the memory limit.
    ///
    /// # Errors
    ///
    /// Unless 0 < `target` <= `spill` <= `pause` <= 1.
    pub fn new(target: f64, spill: f64, pause: f64) -> Result<Self, SettingError> {
        // Written so that what is not a number fails, too.
        if 0.0 < target && target <= spill && spill <= pause && pause <= 1.0 {
            Ok(Self { target, spill, pause })
        } else {
            Err(SettingError::Thresholds { target, spill, pause })
        }
    }

    /// The share over which values are spilled.
    pub fn target(&self) -> f64 {
        self.target
    }

    /// The share over which values are spilled as fast as the disk allows.
    pub fn spill(&self) -> f64 {
        self.spill
    }

    /// The share over which tasks wait that would add to what is held.
    pub fn pause(&self) -> f64 {
        self.pause
    }

    /// The target for a limit in bytes.
    pub fn target_bytes(&self, limit: u64) -> u64 {
        share(limit, self.target)
    }

    /// The spill threshold for a limit in bytes.
    pub fn spill_bytes(&self, limit: u64) -> u64 {
        share(limit, self.spill)
    }

    /// The pause threshold for a limit in bytes.
    pub fn pause_bytes(&self, limit: u64) -> u64 {
        share(limit, self.pause)
    }
}

/// 0.6, 0.7 and 0.8: what Dask's workers use.
impl Default for Thresholds {
    fn default() -> Self {
        Self { target: 0.6, spill: 0.7, pause: 0.8 }
    }
}

/// A share between 0 and 1 of an amount.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the share is not negative, and a byte more or less does not matter"
)]
pub(super) fn share(amount: u64, share: f64) -> u64 {
    ((amount as f64 * share) as u64).min(amount)
}

#[cfg(test)]
mod tests {
    use super::Thresholds;

    #[test]
    fn thresholds_must_be_in_order() {
        assert!(Thresholds::new(0.1, 0.1, 0.1).is_ok());
        assert!(Thresholds::new(1.0, 1.0, 1.0).is_ok());
        for (target, spill, pause) in [
            (0.0, 0.5, 0.5),
            (0.6, 0.5, 0.7),
            (0.5, 0.7, 0.6),
            (0.5, 0.7, 1.1),
            (f64::NAN, 0.7, 0.8),
            (0.5, f64::NAN, 0.8),
            (0.5, 0.6, f64::NAN),
        ] {
            let error = Thresholds::new(target, spill, pause).expect_err("out of order");
            assert!(error.to_string().contains("target <= spill"), "{error}");
        }
    }

    #[test]
    fn shares_are_taken_of_the_limit() {
        let thresholds = Thresholds::default();
        assert_eq!(thresholds.target_bytes(1000), 600);
        assert_eq!(thresholds.spill_bytes(1000), 700);
        assert_eq!(thresholds.pause_bytes(1000), 800);
        let all = Thresholds::new(1.0, 1.0, 1.0).unwrap();
        assert_eq!(all.pause_bytes(u64::MAX), u64::MAX);
    }
}
