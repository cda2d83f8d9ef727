//! [`Link`]: one child process and the way to it, as its worker's thread has it.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal};
use wait4::Wait4;

use super::ending::{ended, is_running, oom_kills, peak_of};
use super::fleet::Fleet;
use super::outlet::Outlet;
use super::output::Output;
use crate::engine::RunId;
use crate::graph::{ProcessEnd, ProcessExit};
use crate::process::wire::{Packed, Received, Receiver, ToChild, ToParent, WireError, pair, split};
use crate::process::{Life, Log, Parcel, Segment, SegmentId};

/// A child process, and the way to it.
pub(super) struct Link {
    /// The child's number among all that there have been.
    pub(super) number: u32,
    child: Child,
    pub(super) outlet: Arc<Outlet>,
    receiver: Receiver,
    pub(super) life: Arc<Life>,
    /// Says in which call the child is.
    log: Log,
    pub(super) output: Arc<Output>,
    /// Segments that the child has made, until a value says that it lies there.
    fresh: HashMap<SegmentId, Arc<Segment>>,
    /// By run: the numbers of the definitions that the child has.
    pub(super) definitions: HashMap<RunId, HashSet<u32>>,
    /// True once the child has said that it can make calls.
    pub(super) is_ready: bool,
    oom_kills: Option<u64>,
    /// The most memory that the child was seen to use, in bytes; and that of this process when it was
    /// started, which the system counts as the child's, too.
    peak: u64,
    inherited_peak: u64,
}

/// What a look at the socket came to.
pub(super) enum Heard {
    Message(ToParent),
    /// Nothing came in time.
    Nothing,
    /// The child does not speak any more, or not as it should.
    Gone(WireError),
}

impl Link {
    /// Starts a child.
    pub(super) fn start(fleet: &Arc<Fleet>) -> io::Result<Self> {
        let number = fleet.next_child();
        let (ours, theirs) = pair()?;
        let mut command = fleet.program().command()?;
        command
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // An interrupt from the terminal is for the parent, which says what follows from it.
            .process_group(0);
        let oom_kills = oom_kills();
        let inherited_peak = peak_of("self");
        let log = Log::create()?;
        let socket = ours.as_fd().try_clone_to_owned()?;
        let mut child = command.spawn()?;
        drop(command); // It has a copy of the child's end.
        let (output, error) = (child.stdout.take(), child.stderr.take());
        let output = Output::start(fleet, number, socket, output, error).inspect_err(|_| {
            // Nobody else will.
            child.kill().ok();
            child.wait().ok();
        })?;
        let (sender, receiver) = split(ours);
        let outlet = Arc::new(Outlet::new(sender));
        let greeting = fleet.greeting(number);
        outlet.say(&greeting, &[log.as_fd()]);
        let releases = Arc::downgrade(&outlet);
        let life = Life::new(number, move |value, _bytes| {
            if let Some(outlet) = releases.upgrade() {
                outlet.say(&ToChild::Release { values: vec![value] }, &[]);
            }
        });
        fleet.joined(number, &outlet);
        Ok(Self {
            number,
            child,
            outlet,
            receiver,
            life: Arc::new(life),
            log,
            output,
            fresh: HashMap::new(),
            definitions: HashMap::new(),
            is_ready: false,
            oom_kills,
            peak: 0,
            inherited_peak,
        })
    }

    /// The system's number of the process.
    pub(super) fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Looks how much memory the child has used: when it is gone, nobody can say.
    pub(super) fn look_at_memory(&mut self) {
        self.peak = self.peak.max(peak_of(&self.process_id().to_string()));
    }

    /// True if the process has ended.
    pub(super) fn has_died(&self) -> bool {
        !is_running(self.process_id())
    }

    /// The call in which the child is, or was when it died.
    pub(super) fn current_call(&self) -> Option<u64> {
        self.log.read()
    }

    /// Waits for a message, so long at most, and sends meanwhile what is left to be sent.
    pub(super) fn hear(&mut self, fleet: &Fleet, timeout: Duration) -> Heard {
        loop {
            match self.receiver.receive::<ToParent>(Some(Duration::ZERO)) {
                Ok(Some(received)) => match self.take_in(fleet, received) {
                    Ok(Some(message)) => return Heard::Message(message),
                    Ok(None) => continue,
                    Err(error) => return Heard::Gone(error),
                },
                Ok(None) => {}
                Err(error) => return Heard::Gone(error),
            }
            if timeout.is_zero() || !self.wait(timeout) {
                return Heard::Nothing;
            }
        }
    }

    /// Waits until the socket has something to read, and sends meanwhile; false if nothing came in time.
    fn wait(&mut self, timeout: Duration) -> bool {
        let mut wanted = PollFlags::IN;
        if self.outlet.is_full() {
            wanted |= PollFlags::OUT;
        }
        let socket = self.receiver.as_fd();
        let timeout = Timespec::try_from(timeout).ok();
        let mut descriptors = [PollFd::new(&socket, wanted)];
        match poll(&mut descriptors, timeout.as_ref()) {
            // Nothing came; or a signal, and whoever waits looks around and comes back.
            Ok(0) | Err(_) => return false,
            Ok(_) => {}
        }
        if descriptors[0].revents().contains(PollFlags::OUT) {
            self.outlet.flush();
        }
        true
    }

    /// Takes in what a message brings; none if that was all.
    fn take_in(
        &mut self,
        fleet: &Fleet,
        received: Received<ToParent>,
    ) -> Result<Option<ToParent>, WireError> {
        let Received { message, descriptors } = received;
        let (id, capacity, fallback) = match message {
            ToParent::Share { segment, capacity, fallback } => (segment, capacity, fallback),
            ToParent::Forgotten { segments } => {
                // A room that stayed empty.
                for (id, _) in segments {
                    self.fresh.remove(&id);
                }
                return Ok(None);
            }
            message @ (ToParent::Ready
            | ToParent::Refused { .. }
            | ToParent::Done(_)
            | ToParent::Returned { .. }
            | ToParent::Ask { .. }) => return Ok(Some(message)),
        };
        if let Some(reason) = fallback {
            fleet.tell_fallback(&reason);
        }
        let descriptor = descriptors.into_iter().next();
        let descriptor =
            descriptor.ok_or_else(|| WireError::Damaged(format!("segment {id} came alone")))?;
        if !id.is_made_by(self.number) {
            return Err(WireError::Damaged(format!("segment {id} is not the child's own")));
        }
        let segment = Segment::adopt(id, capacity, descriptor);
        let segment = segment.map_err(|error| WireError::Damaged(error.to_string()))?;
        let unused = self.fresh.insert(id, fleet.watched(segment));
        // No value came to lie in it, and now another one does: its end is no news.
        if let Some(mut unused) = unused.and_then(Arc::into_inner) {
            unused.when_dropped(|_, _| {});
        }
        Ok(None)
    }

    /// The parcel of a value that came.
    pub(super) fn parcel(&mut self, packed: Packed, bytes: u64) -> Result<Parcel, String> {
        let segment = match packed.segment {
            None => None,
            Some(id) => Some(self.fresh.remove(&id).ok_or_else(|| {
                format!("its worker process says that it lies in segment {id}, which is not known")
            })?),
        };
        Parcel::unpack(packed, bytes, segment).map_err(|error| error.to_string())
    }

    /// Makes the segments known in which the inputs of calls lie that come next.
    pub(super) fn make_known(&mut self, fleet: &Fleet, segments: &mut Vec<Arc<Segment>>) {
        for segment in segments.drain(..) {
            let id = segment.id();
            if id.is_made_by(self.number) || !fleet.becomes_known(id, self.number) {
                continue;
            }
            let capacity = segment.capacity();
            self.outlet.say(&ToChild::Know { segment: id, capacity }, &[segment.as_fd()]);
        }
    }

    /// Nothing more comes of runs but these: the child may forget them.
    pub(super) fn forget_runs(&mut self, is_over: impl Fn(RunId) -> bool) {
        let outlet = &self.outlet;
        self.definitions.retain(|run, _| {
            let over = is_over(*run);
            if over {
                outlet.say(&ToChild::ForgetRun { run: run.0 }, &[]);
            }
            !over
        });
    }

    /// Ends the process at once.
    pub(super) fn kill(&mut self) {
        // If it is gone already, that is what is wanted. Its own children are of its group, too.
        if let Some(group) = Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(0)) {
            rustix::process::kill_process_group(group, Signal::KILL).ok();
        }
        self.child.kill().ok();
    }

    /// Waits until the process has ended, or ends it, and tells how it ended.
    pub(super) fn end(mut self, fleet: &Fleet, why: Option<String>) -> ProcessEnd {
        const GRACE: Duration = Duration::from_millis(500);
        self.life.end();
        self.outlet.close();
        let process = self.process_id();
        #[expect(clippy::disallowed_methods, reason = "a process gets a moment to end")]
        let began = Instant::now();
        while began.elapsed() < GRACE && is_running(process) {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        // Also if it has ended by itself, for those that it has started: as long as it was not waited for, its
        // number is its own.
        self.kill();
        let used = self.child.wait4();
        let output = self.output.last_lines();
        self.output.close();
        fleet.left(self.number);
        match used {
            Ok(used) => {
                let own = Some(used.rusage.maxrss).filter(|peak| *peak > self.inherited_peak);
                let peak = own.unwrap_or(0).max(self.peak);
                ended(process, &used, why, self.oom_kills, peak, output)
            }
            Err(error) => ProcessEnd {
                process: Some(process),
                exit: ProcessExit::Unfit(error.to_string()),
                peak_bytes: None,
                out_of_memory: false,
                output,
            },
        }
    }
}
