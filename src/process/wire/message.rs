//! What a parent and its child say to each other. Plain data, both enums closed.
//!
//! Requests are imperative, reports are in the past tense. Calls are numbered by the parent, in the order
//! in which they are sent to one child; a child makes them in that order, except that one which waits for
//! an answer of its parent makes those that come meanwhile.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::super::{Medium, Part, SegmentId};

/// From the parent to a child.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToChild {
    /// The first message. A descriptor comes with it: the child's *log*, a small file into which it writes
    /// the number of the call that it is in (see [`Log`](super::super::Log)).
    Greet {
        /// The child's number among all that its parent has had: the maker of its segments.
        number: u32,
        /// Where its segments lie, best place first.
        media: Vec<Medium>,
        /// What the program says to its children.
        greeting: Bytes,
    },
    /// What the calls of a run refer to by number, and what is the same for many of them.
    Define {
        /// The run.
        run: u64,
        /// The definitions.
        definitions: Vec<Definition>,
    },
    /// Make these calls, one after the other.
    Call(Vec<Call>),
    /// Drop what was not begun of a run, and interrupt the call of it that is being made.
    Cancel {
        /// The run.
        run: u64,
    },
    /// Nothing more comes of a run: forget its definitions.
    ForgetRun {
        /// The run.
        run: u64,
    },
    /// Give back calls that were not begun, the last ones first, but leave `keep` of them. Always answered
    /// with [`ToParent::Returned`], also when there are none.
    Recall {
        /// How many to leave.
        keep: u32,
    },
    /// A segment that inputs of later calls lie in. Its descriptor comes with the message.
    Know {
        /// The segment.
        segment: SegmentId,
        /// Its size in bytes.
        capacity: u64,
    },
    /// No later call refers to these segments; answered with [`ToParent::Forgotten`].
    Forget {
        /// The segments.
        segments: Vec<SegmentId>,
    },
    /// Segments of the child's own making, whose values nobody needs any more: use them for other values.
    /// Those that the child still shows somebody it forgets instead, and says so with
    /// [`ToParent::Forgotten`].
    Reuse {
        /// The segments.
        segments: Vec<SegmentId>,
    },
    /// Nobody needs these values any more that have stayed in the child.
    Release {
        /// The numbers of the calls that made them.
        values: Vec<u64>,
    },
    /// The answer to a question.
    Answer {
        /// The question's number.
        question: u64,
        /// What the program says to it.
        payload: Bytes,
    },
    /// End after the call that is being made.
    Stop,
}

/// From a child to its parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToParent {
    /// The greeting was understood: calls can be made.
    Ready,
    /// The greeting was not understood, or what it asks for failed: the child ends.
    Refused {
        /// Why.
        reason: String,
    },
    /// Calls came to their end, in this order.
    Done(Vec<Done>),
    /// Calls that were not begun and are given back: because of a `Recall`, because their run was cancelled,
    /// or because the call that is being made waits for an answer.
    Returned {
        /// Their numbers.
        calls: Vec<u64>,
    },
    /// The child asks something, and waits for the answer.
    Ask {
        /// The question's number, counted by the child.
        question: u64,
        /// The innermost call that waits; none if another thread of the child asks, while calls go on.
        call: Option<u64>,
        /// What it asks; the program's affair.
        payload: Bytes,
    },
    /// A new segment, in which values of the child's lie. Its descriptor comes with the message.
    Share {
        /// The segment.
        segment: SegmentId,
        /// Its size in bytes.
        capacity: u64,
        /// Why it does not lie where it should, if it does not: one line for the user.
        fallback: Option<String>,
    },
    /// The answer to [`ToChild::Forget`]: by segment, true if nothing in the child shows it any more. False
    /// also if the segment was told of anew meanwhile, and so is known as before.
    Forgotten {
        /// The segments.
        segments: Vec<(SegmentId, bool)>,
    },
}

/// Something that calls of a run refer to by its number: a function, hooks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// Its number in the run.
    pub number: u32,
    /// What it is; the program's affair.
    pub bytes: Bytes,
}

/// A call to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The call's number.
    pub number: u64,
    /// The run of its task.
    pub run: u64,
    /// A call before it, in the same child, without whose success it is not made.
    pub after: Option<u64>,
    /// Where its value goes.
    pub keep: Keep,
    /// What is called, and how its arguments are put together; the program's affair.
    pub payload: Bytes,
    /// The values that the call needs, in order.
    pub inputs: Vec<InputRef>,
}

/// Where the value of a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Keep {
    /// To the parent.
    Export,
    /// To the parent if it is small. Else it stays, until the parent says `Release`, for a later call that
    /// comes to this child.
    Stay,
    /// As `Stay`, but a small value stays, too, besides going to the parent: a call behind this one, which
    /// was sent before, has it for an input.
    Follow,
}

/// Where a child finds an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InputRef {
    /// It comes with the call, or lies in a segment that the child knows.
    Packed(Packed),
    /// It has stayed in the child.
    Stayed {
        /// The number of the call that made it.
        number: u64,
        /// True if the child lets go of it when this call has succeeded.
        last: bool,
    },
}

/// A parcel as it travels: what is small comes along, what is large lies in a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed {
    /// The bytes that come along.
    pub inline: Bytes,
    /// The parts, in order.
    pub parts: Vec<Part>,
    /// Where the large parts lie, if there are any.
    pub segment: Option<SegmentId>,
}

/// A call that came to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The call's number.
    pub number: u64,
    /// How long it took, in nanoseconds, the packing of its value included.
    pub elapsed: u64,
    /// How it ended.
    pub end: End,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// With a value, which comes along.
    Value {
        /// The value.
        packed: Packed,
        /// What it weighs in memory, in bytes.
        bytes: u64,
        /// True if something of the parent's own is in it, which lives only as long as somebody says so. The
        /// program looks at it at once.
        holds: bool,
    },
    /// With a value that stays in the child under the number of the call.
    Stayed {
        /// What it weighs in memory, in bytes.
        bytes: u64,
        /// Why it cannot leave, if it cannot.
        reason: Option<String>,
    },
    /// With a failure.
    Failed(Failed),
    /// It was not made, because the call before it failed or was not made.
    NotMade,
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failed {
    /// The function raised; the payload is the program's affair.
    Raised(Bytes),
    /// What it calls or is given could not be read; the payload, likewise, says why.
    Unreadable(Bytes),
    /// A hook around it raised.
    Hook {
        /// Which hook of which callback.
        hook: String,
        /// What it raised; the program's affair.
        raised: Bytes,
    },
    /// The call could not be put together; in words.
    Misfit(String),
}
