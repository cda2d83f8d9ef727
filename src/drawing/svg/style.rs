//! The style sheet of a picture. It is plain, without variables, because programs other than browsers read it;
//! those that know no `@media` show the light one.

/// How many key prefixes have colours of their own; then the colours come again.
pub(super) const PALETTE: u32 = 12;

/// The first rules are those of light paper.
pub(super) const SHEET: &str = "\
.mobula-drawing{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','DejaVu Sans',sans-serif}
.mobula-drawing .paper{fill:#fff}
.mobula-drawing .ink{fill:#14222b}
.mobula-drawing .soft{fill:#536470}
.mobula-drawing .head{font-size:13px;font-weight:600}
.mobula-drawing .note{font-size:11px}
.mobula-drawing .key{font:11px ui-monospace,'SF Mono','Cascadia Mono','DejaVu Sans Mono','Liberation Mono',Menlo,Consolas,monospace;text-anchor:middle}
.mobula-drawing .small{font-size:9.5px;text-anchor:middle;opacity:.85}
.mobula-drawing .count{font-size:10px;text-anchor:middle;fill:#536470;stroke:#fff;stroke-width:3px;paint-order:stroke;stroke-linejoin:round}
.mobula-drawing .on-dark{fill:#fff}
.mobula-drawing .on-light{fill:#10181d}
.mobula-drawing .edge{fill:none;stroke:#a3b2bb;stroke-linecap:round;stroke-linejoin:round}
.mobula-drawing .back{stroke-dasharray:5 4}
.mobula-drawing .tip{fill:#8496a1}
.mobula-drawing .node{stroke:#14222b;stroke-opacity:.3}
.mobula-drawing .plain{fill:#edf2f4}
.mobula-drawing .under{fill:#edf2f4;stroke:#14222b;stroke-opacity:.25}
.mobula-drawing .frame{fill:none;stroke:#14222b;stroke-width:1.2}
.mobula-drawing .failed{stroke:#c8102e;stroke-opacity:1;stroke-width:2.5}
.mobula-drawing .cached{stroke-opacity:.9;stroke-dasharray:4 3;stroke-width:1.4}
.mobula-drawing .item:hover .node{stroke-opacity:1;stroke-width:2}
.mobula-drawing .edge:hover{stroke:#08698a;stroke-width:2.5}
";

/// What is different on dark paper.
const DARK: &str = "\
.mobula-drawing .paper{fill:#141d23}
.mobula-drawing .ink{fill:#e6edf0}
.mobula-drawing .soft{fill:#97a8b2}
.mobula-drawing .count{fill:#97a8b2;stroke:#141d23}
.mobula-drawing .edge{stroke:#4b5d68}
.mobula-drawing .tip{fill:#70838f}
.mobula-drawing .node{stroke:#e6edf0;stroke-opacity:.35}
.mobula-drawing .plain{fill:#22303a}
.mobula-drawing .under{fill:#22303a;stroke:#e6edf0;stroke-opacity:.25}
.mobula-drawing .frame{stroke:#e6edf0}
.mobula-drawing .failed{stroke:#ff6a6e;stroke-opacity:1}
.mobula-drawing .cached{stroke-opacity:.9}
.mobula-drawing .edge:hover{stroke:#5cc1de}
";

/// The colours of key prefixes, on light and on dark paper: those of the report and the dashboard.
const PREFIXES: [(&str, &str); PALETTE as usize] = [
    ("#2f6fd0", "#6aa5f5"),
    ("#c07a00", "#f0b43c"),
    ("#0d7f78", "#2fc4b2"),
    ("#6a2bb0", "#a86ff5"),
    ("#86a01c", "#d3e26a"),
    ("#c9609f", "#f58ac4"),
    ("#144b75", "#4a7fb0"),
    ("#a5664e", "#c98a66"),
    ("#3d9ac6", "#86dcfb"),
    ("#454b5c", "#808b95"),
    ("#5a6400", "#7d9a2e"),
    ("#8f82d8", "#c3b6ff"),
];

/// The style sheet, with rules for so many key prefixes.
pub(super) fn sheet(prefixes: u32) -> String {
    let rules = |is_dark: bool| {
        let used = PREFIXES.iter().zip(0..prefixes);
        let rule = move |((light, dark), number): (&(&str, &str), u32)| {
            let color = if is_dark { dark } else { light };
            format!(
                ".mobula-drawing .p{number}{{fill:{color};fill-opacity:.2;stroke:{color};stroke-opacity:1;stroke-width:1.6}}\n"
            )
        };
        used.map(rule).collect::<String>()
    };
    let (light, dark) = (rules(false), rules(true));
    format!("{SHEET}{light}@media (prefers-color-scheme:dark){{\n{DARK}{dark}}}\n")
}
