//! `mobula explain`: what is known of a key.

use std::io::Write;

use serde::Deserialize;

use super::address::Address;
use super::failure::Failure;
use super::http;

/// What the dashboard answers.
#[derive(Debug, Deserialize)]
struct Told {
    explanation: String,
    /// What happened to the key, oldest first.
    story: Vec<String>,
}

pub(super) fn tell(address: &Address, key: &str, out: &mut dyn Write) -> Result<(), Failure> {
    let told: Told = http::ask(address, "/api/explain", &[("key", key)])?;
    writeln!(out, "{}", harmless(told.explanation.trim_end()))?;
    if !told.story.is_empty() {
        writeln!(out, "\nWhat happened:")?;
        for line in &told.story {
            writeln!(out, "  {}", harmless(line))?;
        }
    }
    Ok(())
}

/// Text that cannot move the cursor: keys and errors may hold anything.
fn harmless(text: &str) -> String {
    let replaced = |letter: char| {
        if letter.is_control() && letter != '\n' && letter != '\t' { '\u{fffd}' } else { letter }
    };
    text.chars().map(replaced).collect()
}
