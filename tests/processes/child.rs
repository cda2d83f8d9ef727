//! The child: this test program, when it was started as one.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::Write;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use mobula::process::wire::{Call, Definition, End, Failed, InputRef, Keep, Packed};
use mobula::process::{Calls, Desk, Layout, Part, Place, SegmentId, Setting, serve};

use crate::program::CHILD;

/// Serves, in a process that was started as a child; elsewhere it does nothing.
#[test]
fn child_process() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let socket = std::io::stdin().as_fd().try_clone_to_owned().expect("it is open");
    let is_interrupted = Arc::<AtomicBool>::default();
    let interrupt = Arc::clone(&is_interrupted);
    let words = Words { is_interrupted, values: RefCell::default(), failures: Cell::new(0) };
    let setting = Setting::new(move || interrupt.store(true, Ordering::Release));
    serve(socket, Rc::new(words), setting).expect("the parent says when it is over");
    // Nothing of the test program's own is to be said.
    std::process::exit(0);
}

/// What the words mean.
struct Words {
    is_interrupted: Arc<AtomicBool>,
    /// What has stayed.
    values: RefCell<HashMap<u64, i64>>,
    failures: Cell<u32>,
}

impl Words {
    fn input(&self, input: &InputRef, desk: &Desk) -> i64 {
        match input {
            InputRef::Stayed { number, .. } => self.values.borrow()[number],
            InputRef::Packed(packed) => {
                let part = packed.parts[0];
                let mut bytes = [0; 8];
                match part.place {
                    Place::Inline => bytes.copy_from_slice(&packed.inline[..8]),
                    Place::Shared => {
                        let segment = desk
                            .segment(packed.segment.expect("one is named"))
                            .expect("it is known");
                        segment.read_at(&mut bytes, part.offset).expect("it can be read");
                    }
                }
                i64::from_le_bytes(bytes)
            }
        }
    }

    /// What a call comes to: a number, as so many bytes.
    fn outcome(&self, call: &Call, desk: &Desk) -> Result<(i64, usize), End> {
        let what = str::from_utf8(&call.payload).expect("words are text");
        let inputs: Vec<i64> = call.inputs.iter().map(|input| self.input(input, desk)).collect();
        let sum: i64 = inputs.iter().sum();
        let raised =
            |text: &'static str| End::Failed(Failed::Raised(Bytes::from_static(text.as_bytes())));
        match what {
            "sum" => Ok((sum, 8)),
            "large" => Ok((sum, 1 << 20)),
            "process" => Ok((i64::from(std::process::id()), 8)),
            "fail" => Err(raised("it was told to fail")),
            "fail twice" => {
                self.failures.set(self.failures.get() + 1);
                if self.failures.get() < 3 { Err(raised("not yet")) } else { Ok((3, 8)) }
            }
            "print" => {
                let mut out = std::io::stdout();
                writeln!(out, "\x1e{}\x1fit speaks", call.number).expect("the parent reads");
                out.flush().expect("the parent reads");
                Ok((sum, 8))
            }
            "ask" => {
                let answer =
                    desk.ask(Bytes::copy_from_slice(&sum.to_le_bytes())).expect("it is answered");
                Ok((i64::from_le_bytes(answer[..8].try_into().expect("a number")), 8))
            }
            "sleep" => {
                for _ in 0..sum {
                    if self.is_interrupted.load(Ordering::Acquire) {
                        return Err(raised("interrupted"));
                    }
                    std::thread::park_timeout(Duration::from_millis(1));
                }
                Ok((sum, 8))
            }
            "sleep deeply" => {
                std::thread::park_timeout(Duration::from_millis(sum.unsigned_abs()));
                Ok((sum, 8))
            }
            "exit" | "abort" => {
                writeln!(std::io::stderr(), "last words").expect("the parent reads");
                if what == "exit" { std::process::exit(3) } else { std::process::abort() }
            }
            _ => {
                let mark = what.strip_prefix("exit once ").expect("the word is known");
                if std::fs::File::create_new(mark).is_ok() {
                    std::process::exit(4);
                }
                Ok((sum + 1, 8))
            }
        }
    }

    fn export(number: i64, size: usize, desk: &Desk) -> End {
        let mut bytes = number.to_le_bytes().to_vec();
        bytes.resize(size, 0);
        let Layout { parts, shared, .. } = Layout::of(&[size as u64]);
        if shared == 0 {
            let packed = Packed { inline: bytes.into(), parts, segment: None };
            return End::Value { packed, bytes: size as u64, holds: false };
        }
        let segment = desk.room(shared).expect("there is room");
        let Part { offset, .. } = parts[0];
        segment.write_at(&bytes, offset).expect("it can be written");
        let packed = Packed { inline: Bytes::new(), parts, segment: Some(segment.id()) };
        End::Value { packed, bytes: size as u64, holds: false }
    }
}

impl Calls for Words {
    fn greet(&self, greeting: &[u8], _: &Desk) -> Result<(), String> {
        match greeting {
            b"refuse" => Err("it was told to refuse".to_owned()),
            b"die" => std::process::exit(9),
            _ => Ok(()),
        }
    }

    fn define(&self, _: u64, definition: Definition) {
        assert_eq!(definition.bytes, "defined");
    }

    fn forget_run(&self, _: u64) {}

    fn call(&self, call: &Call, desk: &Desk) -> End {
        if call.payload == "bound" {
            self.values.borrow_mut().insert(call.number, self.input(&call.inputs[0], desk));
            return End::Stayed { bytes: 1 << 20, reason: Some("it is bound".to_owned()) };
        }
        let (number, size) = match self.outcome(call, desk) {
            Ok(outcome) => outcome,
            Err(end) => return end,
        };
        for input in &call.inputs {
            if let InputRef::Stayed { number, last: true } = input {
                self.values.borrow_mut().remove(number);
            }
        }
        match call.keep {
            Keep::Export => return Self::export(number, size, desk),
            Keep::Stay if size < 1 << 16 => return Self::export(number, size, desk),
            Keep::Stay | Keep::Follow => {}
        }
        self.values.borrow_mut().insert(call.number, number);
        if size < 1 << 16 {
            return Self::export(number, size, desk);
        }
        End::Stayed { bytes: size as u64, reason: None }
    }

    fn release(&self, value: u64) {
        self.values.borrow_mut().remove(&value);
    }

    fn forget_segment(&self, _: SegmentId) -> bool {
        true
    }

    fn waiting(&self, body: &mut dyn FnMut()) {
        body();
    }

    fn clear_interrupt(&self) {
        self.is_interrupted.store(false, Ordering::Release);
    }
}
