//! Placeholder while the order is written.
use std::cmp::Ordering;
pub(crate) struct Edges<'a> {
    pub(crate) starts: &'a [u32],
    pub(crate) targets: &'a [u32],
}
pub(crate) struct Shape<'a> {
    pub(crate) dependencies: Edges<'a>,
    pub(crate) dependents: Edges<'a>,
    pub(crate) outputs: &'a [u32],
}
pub(crate) struct Cyclic {
    pub(crate) task: u32,
}
pub(crate) fn static_order(
    shape: &Shape<'_>,
    tie: impl Fn(u32, u32) -> Ordering,
) -> Result<Vec<u32>, Cyclic> {
    let n = shape.dependencies.starts.len() - 1;
    let mut waits: Vec<u32> = shape.dependencies.starts.windows(2).map(|p| p[1] - p[0]).collect();
    let mut ready: Vec<u32> = (0..n as u32).filter(|t| waits[*t as usize] == 0).collect();
    ready.sort_by(|a, b| tie(*b, *a));
    let mut order = vec![];
    while let Some(t) = ready.pop() {
        order.push(t);
        for d in &shape.dependents.targets[shape.dependents.starts[t as usize] as usize
            ..shape.dependents.starts[t as usize + 1] as usize]
        {
            waits[*d as usize] -= 1;
            if waits[*d as usize] == 0 {
                ready.push(*d);
            }
        }
    }
    if order.len() < n {
        return Err(Cyclic { task: (0..n as u32).find(|t| waits[*t as usize] > 0).unwrap() });
    }
    Ok(order)
}
