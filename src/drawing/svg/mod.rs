//! A diagram as one SVG element.
//!
//! | file | what it writes |
//! |---|---|
//! | `boxes.rs` | nodes |
//! | `paths.rs` | edges |
//! | `legend.rs` | the head: what colours and frames mean |
//! | `style.rs` | the style sheet, light and dark |
//! | `text.rs` | text and numbers |

mod boxes;
mod legend;
mod paths;
mod style;
mod text;

use std::fmt::{Result, Write as _};

use twox_hash::XxHash3_64;

use super::color::{Color, Scale};
use super::diagram::Diagram;
use super::layout::Layout;
use boxes::{Label, Paint};
use text::{Escaped, Number};

/// Where everything stands.
pub(super) fn layout(diagram: &Diagram, color: Color) -> Layout {
    placed(diagram, &boxes::labels(diagram, color))
}

fn placed(diagram: &Diagram, labels: &[Label]) -> Layout {
    let sizes: Vec<(f32, f32)> = labels.iter().map(Label::size).collect();
    Layout::of(&sizes, &diagram.ends())
}

/// The whole picture.
pub(super) fn write(diagram: &Diagram, color: Color) -> String {
    let labels = boxes::labels(diagram, color);
    let layout = placed(diagram, &labels);
    let paint = Paint { color, scale: Scale::of(diagram, color) };
    let mut svg = String::new();
    let written = Picture { diagram, labels, layout, paint }.write(&mut svg);
    written.expect("writing to a string does not fail");
    svg
}

struct Picture<'a> {
    diagram: &'a Diagram,
    labels: Vec<Label>,
    layout: Layout,
    paint: Paint,
}

impl Picture<'_> {
    fn write(&self, svg: &mut String) -> Result {
        let width = self.layout.width.max(legend::LEAST_WIDTH).ceil();
        let mut head = String::new();
        let top = legend::write(&mut head, self.diagram, self.paint, width)?;
        let height = (self.layout.height + top).ceil();
        let mut body = String::new();
        let left = ((width - self.layout.width) / 2.0).round();
        writeln!(body, "<g transform=\"translate({} {})\">", Number(left), Number(top))?;
        let tip = self.edges(&mut body)?;
        self.nodes(&mut body)?;
        body.push_str("</g>\n");

        let (width, height) = (Number(width), Number(height));
        writeln!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"mobula-drawing\" role=\"img\" \
             viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\">"
        )?;
        let headline = legend::headline(self.diagram);
        writeln!(
            svg,
            "<title>{}, coloured by {}</title>",
            Escaped(&headline),
            self.paint.color.meaning()
        )?;
        let prefixes = if self.paint.color == Color::Prefix { style::PALETTE } else { 0 };
        write!(svg, "<style>\n{}</style>\n{tip}", style::sheet(prefixes))?;
        writeln!(svg, "<rect class=\"paper\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>")?;
        svg.push_str(&head);
        svg.push_str(&body);
        svg.push_str("</svg>\n");
        Ok(())
    }

    /// Writes the edges; answers the definition of their tips. Its name is made of what is drawn: pictures on one
    /// page may not share names, as one of them may be hidden.
    fn edges(&self, svg: &mut String) -> std::result::Result<String, std::fmt::Error> {
        if self.diagram.edges.is_empty() {
            return Ok(String::new());
        }
        let mut paths = Vec::new();
        for points in &self.layout.edges {
            let mut path = String::new();
            paths::write(&mut path, points)?;
            paths.push(path);
        }
        let labels = self.diagram.nodes.iter().map(|node| node.label.as_str());
        let all: String = labels.chain(paths.iter().map(String::as_str)).collect();
        let name = format!("mobula-tip-{:016x}", XxHash3_64::oneshot(all.as_bytes()));
        svg.push_str("<g stroke-width=\"1.1\">\n");
        for (edge, path) in paths.iter().enumerate() {
            self.edge(svg, edge, path, &name)?;
        }
        svg.push_str("</g>\n");
        Ok(format!(
            "<defs><marker id=\"{name}\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"8\" \
             markerHeight=\"8\" markerUnits=\"userSpaceOnUse\" orient=\"auto\">\
             <path class=\"tip\" d=\"M0 0.8L8 4L0 7.2z\"/></marker></defs>\n"
        ))
    }

    fn edge(&self, svg: &mut String, number: usize, path: &str, tip: &str) -> Result {
        let edge = self.diagram.edges[number];
        let class = if self.layout.turned[number] { "edge back" } else { "edge" };
        write!(svg, "<path class=\"{class}\" marker-end=\"url(#{tip})\" d=\"{path}\"")?;
        if !self.diagram.is_grouped {
            svg.push_str("/>\n");
            return Ok(());
        }
        let label = |node: u32| Escaped(&self.diagram.nodes[node as usize].label);
        let count = crate::monitor::human::count(edge.count);
        writeln!(
            svg,
            " stroke-width=\"{}\"><title>{count} × {} → {}</title></path>",
            Number(thickness(edge.count)),
            label(edge.from),
            label(edge.to)
        )?;
        if edge.count > 1 {
            let (x, y) = paths::middle(&self.layout.edges[number]);
            writeln!(
                svg,
                "<text class=\"count\" x=\"{}\" y=\"{}\">{count}</text>",
                Number(x),
                Number(y + 3.5)
            )?;
        }
        Ok(())
    }

    fn nodes(&self, svg: &mut String) -> Result {
        let places = self.diagram.nodes.iter().zip(&self.labels).zip(&self.layout.nodes);
        for ((node, label), place) in places {
            boxes::write(svg, self.diagram, node, label, *place, self.paint)?;
        }
        Ok(())
    }
}

/// How thick the line of so many needs is: it grows with the number of digits.
#[expect(clippy::cast_precision_loss, reason = "lines are no more precise than that")]
fn thickness(count: u64) -> f32 {
    1.1 + 0.7 * (count.max(1) as f32).log10()
}
