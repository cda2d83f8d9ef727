//! The lines of edges: curves that begin and end upright, and round corners where a line turns.

use std::fmt::{Result, Write as _};

use super::text::Number;

/// How round a corner is.
const CORNER: f32 = 6.0;

/// Writes the way through some points as the data of a path.
pub(super) fn write(svg: &mut String, points: &[(f32, f32)]) -> Result {
    let Some(first) = points.first() else { return Ok(()) };
    write!(svg, "M{} {}", Number(first.0), Number(first.1))?;
    let mut from = *first;
    for (at, to) in points.iter().enumerate().skip(1) {
        let next = points.get(at + 1);
        let is_corner = next.is_some_and(|next| is_upright(from, *to) != is_upright(*to, *next))
            && is_straight(from, *to)
            && next.is_some_and(|next| is_straight(*to, *next));
        if is_corner && let Some(next) = next {
            let (before, after) = (towards(*to, from), towards(*to, *next));
            write!(svg, "L{} {}", Number(before.0), Number(before.1))?;
            write!(
                svg,
                "Q{} {} {} {}",
                Number(to.0),
                Number(to.1),
                Number(after.0),
                Number(after.1)
            )?;
            from = after;
            continue;
        }
        if is_straight(from, *to) {
            write!(svg, "L{} {}", Number(to.0), Number(to.1))?;
        } else {
            let middle = f32::midpoint(from.1, to.1);
            write!(
                svg,
                "C{} {} {} {} {} {}",
                Number(from.0),
                Number(middle),
                Number(to.0),
                Number(middle),
                Number(to.0),
                Number(to.1)
            )?;
        }
        from = *to;
    }
    Ok(())
}

/// Where the middle of the longest part of a way is.
pub(super) fn middle(points: &[(f32, f32)]) -> (f32, f32) {
    let length =
        |pair: &&[(f32, f32)]| (pair[1].0 - pair[0].0).abs() + (pair[1].1 - pair[0].1).abs();
    let longest = points.windows(2).max_by(|one, other| length(one).total_cmp(&length(other)));
    longest.map_or((0.0, 0.0), |pair| {
        (f32::midpoint(pair[0].0, pair[1].0), f32::midpoint(pair[0].1, pair[1].1))
    })
}

fn is_upright(from: (f32, f32), to: (f32, f32)) -> bool {
    (from.0 - to.0).abs() < 0.05
}

fn is_straight(from: (f32, f32), to: (f32, f32)) -> bool {
    is_upright(from, to) || (from.1 - to.1).abs() < 0.05
}

/// A point near a corner on the way to another point.
fn towards(corner: (f32, f32), other: (f32, f32)) -> (f32, f32) {
    let step = |from: f32, to: f32| {
        from + (to - from)
            .clamp(-CORNER, CORNER)
            .clamp(-(to - from).abs() / 2.0, (to - from).abs() / 2.0)
    };
    (step(corner.0, other.0), step(corner.1, other.1))
}

#[cfg(test)]
mod tests {
    use super::{middle, write};

    fn path(points: &[(f32, f32)]) -> String {
        let mut path = String::new();
        write(&mut path, points).expect("writing to a string does not fail");
        path
    }

    #[test]
    fn lines_are_straight_where_they_can_be() {
        assert_eq!(path(&[(5.0, 0.0), (5.0, 20.0)]), "M5 0L5 20");
        assert_eq!(path(&[(5.0, 0.0), (9.0, 20.0)]), "M5 0C5 10 9 10 9 20");
    }

    #[test]
    fn corners_are_round() {
        let points = [(0.0, 0.0), (0.0, 20.0), (40.0, 20.0), (40.0, 0.0)];
        assert_eq!(path(&points), "M0 0L0 14Q0 20 6 20L34 20Q40 20 40 14L40 0");
    }

    #[test]
    fn the_middle_is_that_of_the_longest_part() {
        let (x, y) = middle(&[(0.0, 0.0), (0.0, 4.0), (40.0, 4.0)]);
        assert!((x - 20.0).abs() < 0.01 && (y - 4.0).abs() < 0.01);
    }
}
