//! The head of a picture: what it shows, what colours and frames mean.

use std::fmt::{Result, Write as _};

use super::boxes::{Paint, tasks};
use super::style::PALETTE;
use super::text::{Escaped, Number, sans_width};
use crate::drawing::color::{Color, viridis};
use crate::drawing::diagram::{Diagram, DiagramNode, NodeKind};
use crate::monitor::human;

/// The least width of a picture, so that its head is readable.
pub(super) const LEAST_WIDTH: f32 = 380.0;

/// No head is wider than this: the picture may be, and then the reader sees its left part first.
const MOST_WIDTH: f32 = 900.0;

const LEFT: f32 = 16.0;
const TOP: f32 = 28.0;
const LINE: f32 = 20.0;

/// The height and width of a scale, and the number of its steps.
const BAR: (f32, f32) = (10.0, 160.0);
const STEPS: u32 = 32;

/// More key prefixes are not named.
const NAMED: usize = 24;

/// A word of the legend with its sign in front of it.
struct Entry {
    sign: String,
    text: String,
}

/// Writes the head of a picture; answers its height.
pub(super) fn write(
    svg: &mut String,
    diagram: &Diagram,
    paint: Paint,
    width: f32,
) -> std::result::Result<f32, std::fmt::Error> {
    let room = width.min(MOST_WIDTH) - 2.0 * LEFT;
    write!(svg, "<text class=\"head ink\" x=\"{}\" y=\"{}\">", Number(LEFT), Number(TOP))?;
    writeln!(svg, "{}</text>", Escaped(&headline(diagram)))?;
    let mut y = TOP + LINE + 2.0;
    match paint.color {
        Color::Prefix => {}
        Color::Order | Color::Time | Color::Memory => {
            y = scale(svg, paint, y, room)?;
        }
    }
    let mut entries = Vec::new();
    if paint.color == Color::Prefix {
        entries.extend(prefixes(diagram));
    }
    entries.extend(frames(diagram, paint));
    flow(svg, &entries, y, room)
}

/// What the picture shows, in words.
pub(super) fn headline(diagram: &Diagram) -> String {
    if diagram.tasks == 0 {
        return "No tasks".to_owned();
    }
    let all = tasks(diagram.tasks);
    if !diagram.is_grouped {
        return all;
    }
    let groups = diagram.nodes.len() as u64;
    format!(
        "{all} in {} by key prefix",
        match groups {
            1 => "one group".to_owned(),
            count => format!("{} groups", human::count(count)),
        }
    )
}

/// The scale of colours with its ends; answers where the next line is.
fn scale(
    svg: &mut String,
    paint: Paint,
    y: f32,
    room: f32,
) -> std::result::Result<f32, std::fmt::Error> {
    let Paint { color, scale } = paint;
    let text = |svg: &mut String, x: f32, text: &str| {
        writeln!(
            svg,
            "<text class=\"note soft\" x=\"{}\" y=\"{}\">{}</text>",
            Number(x),
            Number(y),
            Escaped(text)
        )
    };
    let Some(scale) = scale else {
        text(svg, LEFT, &format!("Colour: {}, which is not known", color.meaning()))?;
        return Ok(y + LINE);
    };
    let kind = if scale.is_logarithmic { ", logarithmic" } else { "" };
    let title = format!("Colour: {}{kind}", color.meaning());
    text(svg, LEFT, &title)?;
    // Where it is narrow, the bar has a line of its own.
    let aside = LEFT + sans_width(&title, 11.0) + 14.0;
    let low = color.text(scale.value(0.0));
    let high = color.text(scale.value(1.0));
    let low_width = sans_width(&low, 11.0) + 6.0;
    let need = low_width + BAR.1 + 6.0 + sans_width(&high, 11.0);
    let (mut x, y) = if aside + need > room + LEFT { (LEFT, y + LINE) } else { (aside, y) };
    let text = |svg: &mut String, x: f32, text: &str| {
        writeln!(
            svg,
            "<text class=\"note ink\" x=\"{}\" y=\"{}\">{}</text>",
            Number(x),
            Number(y),
            Escaped(text)
        )
    };
    text(svg, x, &low)?;
    x += low_width;
    bar(svg, x, y - BAR.0 + 1.0)?;
    text(svg, x + BAR.1 + 6.0, &high)?;
    Ok(y + LINE)
}

/// Steps of colour rather than a gradient, which would need a name that is unique on its page.
fn bar(svg: &mut String, left: f32, top: f32) -> Result {
    let (height, width) = BAR;
    svg.push_str("<g shape-rendering=\"crispEdges\">");
    for step in 0..STEPS {
        let [red, green, blue] = viridis(f64::from(step) / f64::from(STEPS - 1));
        let each = width / 32.0;
        let x = left + each * f32::from(u8::try_from(step).expect("there are few steps"));
        let (x, top, each, height) = (Number(x), Number(top), Number(each + 0.1), Number(height));
        write!(
            svg,
            "<rect x=\"{x}\" y=\"{top}\" width=\"{each}\" height=\"{height}\" fill=\"#{red:02x}{green:02x}{blue:02x}\"/>"
        )?;
    }
    svg.push_str("</g>\n");
    Ok(())
}

/// The key prefixes with their colours.
fn prefixes(diagram: &Diagram) -> Vec<Entry> {
    let named = diagram.prefixes.iter().zip(0_u32..).take(NAMED);
    let entry = |(name, number): (&String, u32)| Entry {
        sign: format!(
            "<rect class=\"node p{}\" x=\"0\" y=\"-9\" width=\"12\" height=\"10\" rx=\"3\"/>",
            number % PALETTE
        ),
        text: human::shortened(name, 28),
    };
    let mut entries: Vec<Entry> = named.map(entry).collect();
    let more = diagram.prefixes.len().saturating_sub(NAMED);
    if more > 0 {
        entries.push(Entry { sign: String::new(), text: format!("and {more} more") });
    }
    entries
}

/// Frames and shapes that are in the picture.
fn frames(diagram: &Diagram, paint: Paint) -> Vec<Entry> {
    let any = |is: fn(&DiagramNode) -> bool| diagram.nodes.iter().any(is);
    let shape = |class: &str, round: u32| {
        format!(
            "<rect class=\"node {class}\" x=\"0\" y=\"-9\" width=\"18\" height=\"10\" rx=\"{round}\"/>"
        )
    };
    let double = || {
        format!(
            "{}<rect class=\"frame\" x=\"-2\" y=\"-11\" width=\"22\" height=\"14\" rx=\"7\"/>",
            shape("plain", 5)
        )
    };
    let is_unknown = |node: &DiagramNode| {
        node.kind != NodeKind::Data && node.cached == 0 && paint.color.value(node).is_none()
    };
    let has_unknown = paint.scale.is_some() && diagram.nodes.iter().any(is_unknown);
    let all = [
        (has_unknown, shape("plain", 5), "not measured"),
        (any(|node| node.kind == NodeKind::Data), shape("plain", 0), "data"),
        (any(|node| node.wanted > 0), double(), "wanted"),
        (any(|node| node.cached > 0), shape("plain cached", 5), "answered by a callback"),
        (any(|node| node.failed > 0), shape("plain failed", 5), "failed"),
    ];
    let shown = all.into_iter().filter(|(is_there, ..)| *is_there);
    shown.map(|(_, sign, text)| Entry { sign, text: text.to_owned() }).collect()
}

/// Entries in lines; answers the height that is taken.
fn flow(
    svg: &mut String,
    entries: &[Entry],
    mut y: f32,
    room: f32,
) -> std::result::Result<f32, std::fmt::Error> {
    let mut x = LEFT;
    for entry in entries {
        let width = 26.0 + sans_width(&entry.text, 11.0) + 14.0;
        if x > LEFT && x + width > LEFT + room {
            x = LEFT;
            y += LINE;
        }
        let text = if entry.sign.is_empty() { 0 } else { 25 };
        write!(svg, "<g transform=\"translate({} {})\">{}", Number(x), Number(y), entry.sign)?;
        writeln!(svg, "<text class=\"note ink\" x=\"{text}\">{}</text></g>", Escaped(&entry.text))?;
        x += width;
    }
    Ok(if entries.is_empty() { y - LINE + 10.0 } else { y + 10.0 })
}
