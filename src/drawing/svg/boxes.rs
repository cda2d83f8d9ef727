//! The boxes of nodes: what is written in them, how large they are, how they look.

use std::fmt::{Result, Write as _};

use super::style::PALETTE;
use super::text::{Escaped, LETTER, Number, letters, sans_width};
use crate::drawing::color::{Color, Scale, is_light, viridis};
use crate::drawing::diagram::{Diagram, DiagramNode, NodeKind};
use crate::monitor::human;

/// A node with one line of text is so high, one with two lines so high.
const ONE_LINE: f32 = 24.0;
const TWO_LINES: f32 = 38.0;

/// Nodes have a second line if there are no more than these.
const FEW: usize = 200;

/// The height of the second line's letters.
const SMALL: f32 = 9.5;

/// The least width, and what is left free on both sides.
const NARROW: f32 = 40.0;
const PADDING: f32 = 9.0;

/// The distance of a second frame.
const FRAME: f32 = 3.5;

/// What is written in a node.
#[derive(Debug)]
pub(super) struct Label {
    key: String,
    detail: Option<String>,
    width: f32,
    height: f32,
    /// How far the second frame of a wanted node stands off.
    frame: f32,
}

impl Label {
    /// How wide and how high the node is with its label.
    pub(super) fn size(&self) -> (f32, f32) {
        (self.width + 2.0 * self.frame, self.height + 2.0 * self.frame)
    }
}

/// By node: what is written in it. The more nodes there are, the less.
pub(super) fn labels(diagram: &Diagram, color: Color) -> Vec<Label> {
    let count = diagram.nodes.len();
    let most = match count {
        0..=24 => 30,
        25..=60 => 22,
        61..=FEW => 16,
        _ => 14,
    };
    let label = |node: &DiagramNode| {
        let key = human::shortened(&node.label, most);
        let detail = if count <= FEW { detail(node, color) } else { None };
        let detail = detail.map(|detail| human::shortened(&detail, most + 6));
        let small = detail.as_deref().map_or(0.0, |detail| sans_width(detail, SMALL));
        let width = (letters(&key) * LETTER).max(small) + 2.0 * PADDING;
        let height = if detail.is_some() { TWO_LINES } else { ONE_LINE };
        let frame = if node.wanted > 0 { FRAME } else { 0.0 };
        Label { key, detail, width: width.max(NARROW), height, frame }
    };
    diagram.nodes.iter().map(label).collect()
}

/// The second line: what the colour stands for, in words.
fn detail(node: &DiagramNode, color: Color) -> Option<String> {
    if node.kind == NodeKind::Data {
        return Some("data".to_owned());
    }
    let first = match (node.kind, &node.function) {
        (NodeKind::Group, _) => Some(tasks(node.tasks)),
        (NodeKind::Task | NodeKind::Data, function) => function.clone(),
    };
    let second = color.value(node).filter(|_| node.kind == NodeKind::Task || color != Color::Order);
    let parts: Vec<String> =
        first.into_iter().chain(second.map(|value| color.text(value))).collect();
    (!parts.is_empty()).then(|| parts.join(" · "))
}

pub(super) fn tasks(count: u64) -> String {
    format!("{} {}", human::count(count), if count == 1 { "task" } else { "tasks" })
}

/// How nodes of a picture get their colours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    pub(super) color: Color,
    pub(super) scale: Option<Scale>,
}

/// Writes a node with its middle at a place.
pub(super) fn write(
    svg: &mut String,
    diagram: &Diagram,
    node: &DiagramNode,
    label: &Label,
    (x, y): (f32, f32),
    paint: Paint,
) -> Result {
    writeln!(svg, "<g class=\"item\" transform=\"translate({} {})\">", Number(x), Number(y))?;
    let tip = tip(diagram, node).join("\n");
    // Line breaks stay line breaks in a tip.
    let tip: Vec<String> = tip.lines().map(|line| Escaped(line).to_string()).collect();
    writeln!(svg, "<title>{}</title>", tip.join("\n"))?;
    let inner = (label.width, label.height);
    if node.kind == NodeKind::Group && node.tasks > 1 {
        write!(svg, "<rect class=\"under\" {}/>", frame(node, inner, (3.0, 3.0)))?;
    }
    let (class, fill, text) = look(node, paint);
    writeln!(svg, "<rect class=\"node{class}\" {}{fill}/>", frame(node, inner, (0.0, 0.0)))?;
    if node.wanted > 0 {
        writeln!(svg, "<rect class=\"frame\" {}/>", frame(node, label.size(), (0.0, 0.0)))?;
    }
    let line = if label.detail.is_some() { -2.5 } else { 4.0 };
    write!(
        svg,
        "<text class=\"key {text}\" y=\"{}\">{}</text>",
        Number(line),
        Escaped(&label.key)
    )?;
    if let Some(detail) = &label.detail {
        write!(svg, "<text class=\"small {text}\" y=\"11\">{}</text>", Escaped(detail))?;
    }
    svg.push_str("</g>\n");
    Ok(())
}

/// The rectangle: tasks have round ends, data have corners.
fn frame(node: &DiagramNode, (width, height): (f32, f32), (right, down): (f32, f32)) -> String {
    let round = match node.kind {
        NodeKind::Task => height / 2.0,
        NodeKind::Group => 8.0,
        NodeKind::Data => 0.0,
    };
    let (left, top) = (Number(right - width / 2.0), Number(down - height / 2.0));
    let (width, height, round) = (Number(width), Number(height), Number(round));
    format!("x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" rx=\"{round}\"")
}

/// Classes of the rectangle, its own colour if it has one, the class of the text.
fn look(node: &DiagramNode, paint: Paint) -> (String, String, &'static str) {
    let mut class = String::new();
    let value = paint.color.value(node).zip(paint.scale);
    let (fill, text) = if paint.color == Color::Prefix {
        class = format!(" p{}", node.prefix % PALETTE);
        (String::new(), "ink")
    } else if let Some((value, scale)) = value {
        let [red, green, blue] = viridis(scale.place(value));
        let text = if is_light([red, green, blue]) { "on-light" } else { "on-dark" };
        (format!(" fill=\"#{red:02x}{green:02x}{blue:02x}\""), text)
    } else {
        class.push_str(" plain");
        (String::new(), "ink")
    };
    if node.cached > 0 {
        class.push_str(" cached");
    }
    if node.failed > 0 {
        class.push_str(" failed");
    }
    (class, fill, text)
}

/// All that is known of a node, line by line.
fn tip(diagram: &Diagram, node: &DiagramNode) -> Vec<String> {
    let mut lines = vec![node.label.clone()];
    match node.kind {
        NodeKind::Data => lines.push("data of the graph".to_owned()),
        NodeKind::Group => lines.push(tasks(node.tasks)),
        NodeKind::Task => {
            if let Some(prefix) = diagram.prefixes.get(node.prefix as usize) {
                lines.push(format!("prefix: {prefix}"));
            }
        }
    }
    lines.extend(node.function.as_ref().map(|function| format!("function: {function}")));
    if let (NodeKind::Task, Some(order)) = (node.kind, node.order) {
        lines.push(format!("place in the order: {}", human::count(order.into())));
    }
    lines.extend(node.seconds.map(|seconds| format!("time: {}", human::seconds(seconds))));
    lines.extend(node.bytes.map(|bytes| format!("value: {}", human::bytes(bytes))));
    let is_group = node.kind == NodeKind::Group;
    let counted = |count: u64, word: &str| match (count, is_group) {
        (0, _) => None,
        (_, false) => Some(word.to_owned()),
        (count, true) => Some(format!("{word}: {}", human::count(count))),
    };
    lines.extend(counted(node.failed, "failed"));
    lines.extend(counted(node.cached, "cached"));
    lines.extend(counted(node.wanted, "wanted"));
    lines.extend(counted(node.within, "needs among themselves"));
    lines
}
