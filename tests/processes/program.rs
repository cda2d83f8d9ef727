//! A program with worker processes in a few lines: functions that are known by a word.

use std::any::Any;
use std::collections::BTreeSet;
use std::io;
use std::process::Command;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use mobula::process::Parcel;
use mobula::{
    Arg, BoxError, CallError, Cluster, ClusterBuilder, Func, Function, Graph, Input, Key, Outcome,
    PackError, Packing, Placement, Processes, Question, Request, Stream, Task, Value,
};

/// Set for a process that is a child.
pub(crate) const CHILD: &str = "MOBULA_TEST_CHILD";

/// What a child can do. The first word of a call's payload says what, the others are its settings.
#[derive(Debug)]
pub(crate) struct There(pub(crate) &'static str);

impl Function for There {
    fn name(&self) -> &str {
        self.0
    }

    fn arity(&self) -> Option<usize> {
        None
    }

    fn call(&self, inputs: &mut [Input<'_>]) -> Result<Outcome, CallError> {
        // In the parent only the sum is known.
        let sum = inputs.iter().map(|input| number(input.value())).sum::<i64>();
        Ok(Outcome::Ready(Value::new(sum)))
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

/// What a value says: one that came from a child, or a number of the parent's.
pub(crate) fn number(value: &Value) -> i64 {
    if let Some(parcel) = value.downcast_ref::<Parcel>() {
        let part = parcel.read_part(0).expect("a parcel can be read");
        return i64::from_le_bytes(part[..8].try_into().expect("a number comes first"));
    }
    *value.downcast_ref::<i64>().expect("a number")
}

/// What the test hears of its children.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// The lines that children wrote: the key, if it was told, and the text.
    pub(crate) lines: Mutex<Vec<(Option<Key>, String)>>,
    pub(crate) questions: Mutex<Vec<Bytes>>,
    /// The numbers of children that have ended.
    pub(crate) ended: Mutex<BTreeSet<u32>>,
}

#[derive(Debug)]
pub(crate) struct Program {
    heard: Arc<Heard>,
    /// What children are told, which decides whether they begin.
    greeting: &'static str,
}

impl Processes for Program {
    fn command(&self) -> io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--exact", "child::child_process", "--nocapture"]).env(CHILD, "1");
        Ok(command)
    }

    fn greeting(&self) -> Vec<u8> {
        self.greeting.as_bytes().to_vec()
    }

    fn pack(
        &self,
        function: &dyn Any,
        arguments: &[Value],
        packing: &mut Packing<'_>,
    ) -> Result<(), PackError> {
        let There(what) = function.downcast_ref().expect("all functions are words");
        match *what {
            "here" => return Err(PackError::Here),
            "unpackable" => return Err(PackError::Failed("it cannot be packed".into())),
            _ => {}
        }
        packing.define(1, || Bytes::from_static(b"defined"));
        packing.payload().extend_from_slice(what.as_bytes());
        for argument in arguments {
            if !packing.value(argument) {
                let bytes = number(argument).to_le_bytes();
                let parcel = Parcel::of_parts(&[&bytes], 8).expect("it is small");
                packing.parcel(&parcel);
            }
        }
        Ok(())
    }

    fn raised(&self, raised: &[u8]) -> BoxError {
        String::from_utf8_lossy(raised).into_owned().into()
    }

    fn ask(&self, question: Question) {
        self.heard.questions.lock().expect("no test panics here").push(question.payload().clone());
        std::thread::spawn(move || {
            let answer = question.payload().clone();
            question.answer(answer).expect("it is short");
        });
    }

    fn ended(&self, process: u32) {
        self.heard.ended.lock().expect("no test panics here").insert(process);
    }

    fn output(&self, _: u32, key: Option<&Key>, _: Stream, line: &str) {
        self.heard.lines.lock().expect("no test panics here").push((key.cloned(), line.to_owned()));
    }
}

/// A cluster with so many workers that have children.
pub(crate) fn cluster(workers: usize) -> (Cluster, Arc<Heard>) {
    let (builder, heard) = builder("begin");
    (builder.workers(workers).start().expect("it starts"), heard)
}

pub(crate) fn builder(greeting: &'static str) -> (ClusterBuilder, Arc<Heard>) {
    let heard = Arc::<Heard>::default();
    let program = Program { heard: Arc::clone(&heard), greeting };
    (Cluster::builder().processes(program), heard)
}

pub(crate) fn elsewhere(cluster: &Cluster) -> Request {
    cluster.request().placement(Placement::Processes)
}

/// Adds a task: a word, and the keys or numbers that it is called with.
pub(crate) fn task(graph: &mut Graph, key: &str, what: &'static str, arguments: Vec<Arg>) {
    let func = Func::from_function(There(what));
    graph.insert(key, Arg::Task(Task::new(func, arguments)));
}

pub(crate) fn of(key: &str) -> Arg {
    Arg::Key(Key::from(key))
}

pub(crate) fn literal(number: i64) -> Arg {
    Arg::Literal(Value::new(number))
}
