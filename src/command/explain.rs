//! `mobula explain`: what is known of a key.

use lexopt::{Arg, Parser, ValueExt};
use serde::Deserialize;

use super::page::{Page, VARIABLE};
use super::{Failed, Terminal, harmless, say, unparsed, wrong};

const HELP: &str = "\
Tell what a task is doing, why it does not get on, and what happened to it lately.

Usage: mobula explain KEY [--url URL]

  KEY                 the key as it is shown: x, or \"('x', 0)\" in quotes
  --url URL           the dashboard's URL, as its program has printed it; by default what stands in the
                      variable MOBULA_DASHBOARD
  -h, --help          tell this
";

/// What a dashboard tells of a key.
#[derive(Deserialize)]
struct Told {
    explanation: String,
    story: Vec<String>,
}

pub(super) fn run(parser: &mut Parser, terminal: &mut Terminal<'_>) -> Result<(), Failed> {
    let (mut key, mut url) = (None, None);
    while let Some(argument) = parser.next().map_err(unparsed(HELP))? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return say(terminal, HELP),
            Arg::Long("url") => {
                let value = parser.value().and_then(ValueExt::string);
                url = Some(value.map_err(unparsed(HELP))?);
            }
            Arg::Value(value) if key.is_none() => {
                key = Some(value.string().map_err(unparsed(HELP))?);
            }
            Arg::Short(_) | Arg::Long(_) | Arg::Value(_) => return Err(wrong(&argument, HELP)),
        }
    }
    let Some(key) = key else { return Err(Failed::Usage("name the key".to_owned(), HELP)) };
    let Some(url) = url.or_else(|| std::env::var(VARIABLE).ok()) else {
        let what = format!("say which dashboard to ask: with --url, or in the variable {VARIABLE}");
        return Err(Failed::Usage(what, HELP));
    };
    let told: Told = Page::at(&url)?.get("/api/explain", Some(("key", &key)))?;
    say(terminal, &text(&told))
}

/// What is printed of it.
fn text(told: &Told) -> String {
    let mut text = harmless(&told.explanation);
    text.push('\n');
    if !told.story.is_empty() {
        text += "\nWhat happened to it:\n";
        for line in &told.story {
            text.extend(["  ", &harmless(line).replace('\n', "\n    "), "\n"]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Told, text};

    #[test]
    fn what_is_told_does_not_drive_the_terminal() {
        let told = Told {
            explanation: "It waits.\nIt needs \x1b[2Jy.".to_owned(),
            story: vec!["it failed: \u{9b}31mone\r\ntwo".to_owned(), "it ended".to_owned()],
        };
        let printed = "It waits.\nIt needs \u{fffd}[2Jy.\n\nWhat happened to it:\n  \
                       it failed: \u{fffd}31mone\u{fffd}\n    two\n  it ended\n";
        assert_eq!(text(&told), printed);
    }
}
