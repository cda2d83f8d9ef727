//! Tasks that run graphs of their own while they hold room in memory: nobody waits for ever.

use mobula::{Client, Delayed, delayed};

use crate::site::{BLOCK, NOTHING, block, site, sum, sum_of, total};
use crate::watchdog::watched;

/// A block, made by a task that waits for a run of such blocks, and so on.
fn deep(client: &Client, depth: u64) -> Result<Vec<u8>, mobula::Error> {
    if depth == 0 {
        return Ok(block(1));
    }
    let inner = client.clone();
    let below = delayed(move |depth: u64| deep(&inner, depth));
    let same = delayed(|block: &Vec<u8>| block.clone());
    let parts: Vec<Delayed<Vec<u8>>> = (0..3).map(|_| same.call(below.call(depth - 1))).collect();
    let blocks = client.compute_all_blocking(&parts[..])?;
    assert!(blocks.iter().all(|data| *data == block(1)));
    Ok(block(1))
}

#[test]
fn nested_runs_find_room_for_whoever_waits() {
    watched(|| {
        for workers in [1, 2, 3] {
            for limit in [NOTHING, 3 * BLOCK as u64, 8 * BLOCK as u64] {
                let site = site(workers, limit);
                let client = site.client().clone();
                let outer = delayed(move |_: u64| deep(&client, 3));
                let parts: Vec<Delayed<Vec<u8>>> =
                    (0..4_u64).map(|number| outer.call(number)).collect();
                for data in site.compute_all_blocking(&parts[..]).unwrap() {
                    assert!(data == block(1));
                }
                drop((parts, outer));
                site.until_empty();
            }
        }
    });
}

#[test]
fn nested_runs_with_inputs_that_come_back() {
    watched(|| {
        for workers in [1, 2] {
            let site = site(workers, NOTHING);
            let refs = site.spill_blocks(0..8);
            let client = site.client().clone();
            // Each waits for a run that reads what is on disk, and for the values themselves.
            let inner = refs.clone();
            let read = delayed(move |number: u64| -> Result<Vec<u8>, mobula::Error> {
                let at = usize::try_from(number).unwrap_or(0);
                let one = Delayed::<Vec<u8>>::from_ref(inner[at].clone());
                let two = client.gather_blocking(&inner[at..=at])?;
                let sums = client.compute_blocking(&delayed(sum).call(one))?;
                let same = two[0].downcast_ref::<Vec<u8>>().map(sum) == Some(sums);
                Ok(if same { block(number) } else { Vec::new() })
            });
            let sums: Vec<Delayed<u64>> =
                (0..8_u64).map(|number| delayed(sum).call(read.call(number))).collect();
            let answer = site.compute_blocking(&delayed(total).call(sums)).unwrap();
            assert_eq!(answer, (0..8).map(sum_of).sum::<u64>());
            drop((refs, read));
            site.until_empty();
        }
    });
}
