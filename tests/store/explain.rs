//! What a key's story and explanation say, while runs go on and after.

use mobula::{Func, Graph, Happening, Key, ObjectRef, Outputs, Plan, Task, TaskState, lit};

use crate::gate::gate;
use crate::site::{BLOCK, NOTHING, block, site, site_with};
use crate::watchdog::{until, watched};

#[test]
fn a_task_that_is_held_back_says_for_how_many_bytes_it_waits() {
    watched(|| {
        // It is known what blocks take, and that no two of them fit.
        let site = site(2, BLOCK as u64);
        let known = site.persist_blocks(0..1);
        site.check_blocks(&known, 0..1);
        drop(known);
        site.until_empty();
        let (gate, opener) = gate();
        let at_gate = gate.clone();
        let slow = Func::new(move |number: u64| {
            gate.pass();
            block(number)
        });
        let mut graph = Graph::new();
        let keys: Vec<Key> = (1..4_u64).map(|number| Key::from(("block", number))).collect();
        for (key, number) in keys.iter().zip(1_u64..) {
            graph.insert(key.clone(), Task::new(slow.clone(), [lit(number)]));
        }
        let run = site.run(Plan::new(graph, Outputs::from(keys.clone())).unwrap());
        at_gate.arrivals(1);
        let state = |key: &Key| site.explain_blocking(key).unwrap().runs[0].state;
        let is_held_back = |key: &&Key| matches!(state(key), TaskState::HeldBack { .. });
        until(|| keys.iter().any(|key| is_held_back(&key)));
        let waiting = keys.iter().find(is_held_back).expect("one of them waits");
        let TaskState::HeldBack { adds, held, pause } = state(waiting) else {
            unreachable!("it waits until the gate is opened")
        };
        assert!(adds >= BLOCK as u64 && held + adds > pause, "{adds} {held} {pause}");
        let words = site.explain_blocking(waiting).unwrap().to_string();
        assert!(words.contains("waits for room in memory"), "{words}");
        let running = keys.iter().filter(|key| matches!(state(key), TaskState::Running { .. }));
        assert_eq!(running.count(), 1);
        opener.open();
        run.wait().unwrap();
        site.until_empty();
        let words = site.explain_blocking(&keys[0]).unwrap().to_string();
        assert!(words.contains("no run that goes on has such a task"), "{words}");
    });
}

#[test]
fn a_key_of_two_runs_is_explained_in_both_and_its_values_are_found() {
    watched(|| {
        let site = site(1, NOTHING);
        let object: ObjectRef = site.put("x", block(1));
        until(|| object.is_spilled());
        let (gate, opener) = gate();
        let at_gate = gate.clone();
        let runs: Vec<_> = (0..2)
            .map(|_| {
                let gate = gate.clone();
                let mut graph = Graph::new();
                graph.insert("x", (move || gate.pass(),));
                graph.insert("y", (|(): ()| 1_i64, "x"));
                site.run(Plan::new(graph, "y").unwrap())
            })
            .collect();
        at_gate.arrivals(1);
        let explanation = site.explain_blocking(&Key::from("y")).unwrap();
        let states: Vec<TaskState> = explanation.runs.iter().map(|run| run.state).collect();
        assert_eq!(states, [TaskState::Waiting { missing: 1 }; 2]);
        assert!(explanation.runs.iter().all(|run| run.waits_for[0].0 == Key::from("x")));
        let explanation = site.explain_blocking(&Key::from("x")).unwrap();
        assert_eq!((explanation.values.len(), explanation.values[0].in_memory), (1, false));
        assert!(explanation.to_string().contains("on disk"), "{explanation}");
        opener.open();
        for run in runs {
            run.wait().unwrap();
        }
    });
}

#[test]
fn a_story_tells_of_moves_and_is_bounded() {
    watched(|| {
        let site = site_with(1, NOTHING, |builder| builder.history(50).history_of_every_task(true));
        let refs = site.spill_blocks(0..1);
        site.check_blocks(&refs, 0..1);
        let story = site.story(refs[0].key());
        let told = |what: &dyn Fn(&Happening) -> bool| story.iter().any(|event| what(&event.what));
        assert!(told(&|what| matches!(what, Happening::Ended { .. })), "{story:?}");
        assert!(told(&|what| matches!(what, Happening::Spilled { .. })), "{story:?}");
        assert!(told(&|what| matches!(what, Happening::Restored { .. })), "{story:?}");
        assert!(story.is_sorted_by_key(|event| event.at));
        // From here on nothing moves any more.
        let key = refs[0].key().clone();
        drop(refs);
        site.until_empty();
        for number in 0..100_i64 {
            let graph = mobula::graph! { "short" => (|x: i64| x, number) };
            site.get_blocking(graph, "short").unwrap();
        }
        let short = site.story(&Key::from("short"));
        assert_eq!(short.len(), 50, "the oldest are forgotten, also those of other keys");
        assert!(site.story(&key).is_empty());
    });
}
