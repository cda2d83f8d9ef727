//! How a process ended: what the system tells of it, put together for a message.

use std::fs;
use std::os::unix::process::ExitStatusExt;

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use wait4::ResUse;

use crate::graph::{ProcessEnd, ProcessExit};

/// True if a process of ours has not ended yet. One that has ended is not taken note of.
pub(super) fn is_running(process: u32) -> bool {
    let Some(pid) = Pid::from_raw(i32::try_from(process).unwrap_or(0)) else { return false };
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::Pid(pid), options), Ok(None))
}

/// How often the system has ended processes of our group because memory ran out; none where it does not
/// say so.
pub(super) fn oom_kills() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let events = format!("/sys/fs/cgroup{group}/memory.events");
    let events = fs::read_to_string(events.replace("//", "/")).ok()?;
    events.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

/// The most memory that a process has used, in bytes; 0 if nobody can say.
pub(super) fn peak_of(process: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = peak.and_then(|peak| peak.trim().strip_suffix("kB")?.trim().parse().ok());
    kilobytes.map_or(0, |kilobytes: u64| kilobytes << 10)
}

/// The end of a process, given what it used and what it wrote. `why` is why it was ended from here;
/// `oom_kills` what [`oom_kills`] said when it started, `peak` the most memory that it used.
pub(super) fn ended(
    process: u32,
    used: &ResUse,
    why: Option<String>,
    oom_before: Option<u64>,
    peak: u64,
    output: Vec<String>,
) -> ProcessEnd {
    const KILL: i32 = 9;
    let signal = used.status.signal();
    let exit = match (why, signal) {
        (Some(why), _) => ProcessExit::Unfit(why),
        (None, Some(signal)) => ProcessExit::Signal(signal),
        (None, None) => ProcessExit::Code(used.status.code().unwrap_or_default()),
    };
    let out_of_memory = signal == Some(KILL) && oom_before < oom_kills();
    let peak_bytes = Some(peak).filter(|peak| *peak > 0);
    ProcessEnd { process: Some(process), exit, peak_bytes, out_of_memory, output }
}
