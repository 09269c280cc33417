//! What a manifest knows of its engine's failures: a sentence before the engine's own words.

use crate::{
    failure::Failure,
    manifest::ProblemRule,
    results::{Texts, Written},
};

/// How a program ended: its exit status, or the signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedBy {
    pub exit_status: Option<i32>,
    pub signal: Option<i32>,
}

/// Fails for what the program said although it ended well. Blocks.
pub fn check(rules: &[ProblemRule], written: &Written<'_>) -> Result<(), Failure> {
    let mut texts = Texts::of(written);
    for rule in rules.iter().filter(|rule| rule.fails) {
        if let Some(message) = sentence(rule, &mut texts) {
            return Err(Failure::output_invalid(message).quoting(written.stdout, written.stderr));
        }
    }
    Ok(())
}

/// The failure with the sentence of the first rule that knows it. Blocks.
pub fn explain(
    rules: &[ProblemRule],
    ended: EndedBy,
    written: &Written<'_>,
    failure: Failure,
) -> Failure {
    let mut texts = Texts::of(written);
    let so_ended = |wanted: Option<i32>, found: Option<i32>| wanted.is_none() || wanted == found;
    for rule in rules {
        if !so_ended(rule.signal, ended.signal) || !so_ended(rule.exit_status, ended.exit_status) {
            continue;
        }
        if let Some(message) = sentence(rule, &mut texts) {
            return failure.explained(&message, rule.retry);
        }
    }
    failure
}

/// What the rule says, if the program said what it looks for.
fn sentence(rule: &ProblemRule, texts: &mut Texts<'_>) -> Option<String> {
    let Some((source, pattern)) = &rule.said else { return Some(rule.message.clone()) };
    let groups = pattern.captures(texts.get(source).ok()?)?;
    let value = groups.name("value").map_or("", |group| group.as_str().trim());
    Some(rule.message.replace("{value}", value))
}
