//! What the operating system knows: the memory of processes, the time of day, and how urgent a thread is.

use std::time::{SystemTime, UNIX_EPOCH};

/// What a process has in memory, in bytes; without a number, this one. 0 where the system does not tell.
pub(super) fn resident(process: Option<u32>) -> u64 {
    let path = match process {
        Some(process) => format!("/proc/{process}/status"),
        None => "/proc/self/status".to_owned(),
    };
    let Ok(status) = std::fs::read_to_string(path) else { return 0 };
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}

/// The time of day, in seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "people want to know when something happened")]
pub(super) fn unix_time() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// Lets the other threads of this program come first.
#[cfg(target_os = "linux")]
pub(super) fn stand_back() {
    /// As much as the system knows: looking must not take time from tasks.
    const LEAST_URGENT: i32 = 19;
    // On Linux this is about a thread, though it is called a process.
    if let Err(error) = rustix::process::setpriority_process(None, LEAST_URGENT) {
        log::debug!("the monitor runs as urgently as tasks: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn stand_back() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_something_in_memory() {
        assert!(resident(None) > 1 << 20);
        assert_eq!(resident(Some(std::process::id())) >> 24, resident(None) >> 24);
    }

    #[test]
    fn a_process_that_is_not_there_has_nothing() {
        assert_eq!(resident(Some(u32::MAX)), 0);
    }
}
