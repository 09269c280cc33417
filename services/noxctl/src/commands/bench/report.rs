//! Prints what was measured: as tables, as Markdown, or as JSON, a line each.

use std::io;

use serde_json::{Map, Value, json};

use super::{
    figures::Series,
    judge::{Aim, Verdict},
    loads::Size,
    machine::Machine,
    statistics::Spread,
};
use crate::{output::aligned, terminal::say};

/// The form of what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Table,
    Markdown,
    Json,
}

/// Says what everything was measured on.
pub fn print_machine(machine: &Machine, form: Form) -> io::Result<()> {
    match form {
        Form::Table => say!("{machine}"),
        Form::Markdown => say!("{machine}\n"),
        // Each line of a measurement says it.
        Form::Json => Ok(()),
    }
}

/// Prints the series of one load side by side.
pub fn print_load(all: &[Series], size: Size, machine: &Machine, form: Form) -> io::Result<()> {
    let Some(first) = all.first() else { return Ok(()) };
    if form == Form::Json {
        return all.iter().try_for_each(|series| say!("{}", line(series, size, machine)));
    }
    let rounds: Vec<_> = all.iter().map(|series| series.rounds.len().to_string()).collect();
    let on_top = match size.retained {
        0 => String::new(),
        retained => format!(" on top of {retained}"),
    };
    let title =
        format!("{}: {} jobs{on_top}, rounds: {}", first.load, size.jobs, rounds.join(", "));
    let mut names: Vec<&str> = Vec::new();
    for name in all.iter().flat_map(Series::names) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut head = vec![""];
    head.extend(all.iter().map(|series| series.subject));
    let rows: Vec<Vec<String>> = names
        .into_iter()
        .map(|name| {
            let cells = all.iter().map(|series| series.spread(name).map_or("-".to_owned(), shown));
            std::iter::once(name.to_owned()).chain(cells).collect()
        })
        .collect();
    print_table(&title, &head, &rows, form)
}

/// Prints what the figures say together.
pub fn print_verdicts(verdicts: &[Verdict], form: Form) -> io::Result<()> {
    if form == Form::Json {
        return verdicts.iter().try_for_each(|verdict| say!("{}", verdict_line(verdict)));
    }
    let rows: Vec<Vec<String>> = verdicts
        .iter()
        .map(|verdict| {
            let (aim, met) = match verdict.aim {
                Some(aim) => (aim_shown(aim), met(verdict)),
                None => ("-".to_owned(), "-".to_owned()),
            };
            vec![verdict.what.clone(), shown(verdict.value), aim, met]
        })
        .collect();
    match rows.is_empty() {
        true => Ok(()),
        false => print_table("together", &["", "median", "aim", "met"], &rows, form),
    }
}

fn print_table(title: &str, head: &[&str], rows: &[Vec<String>], form: Form) -> io::Result<()> {
    if form == Form::Table {
        say!("\n{title}")?;
        return aligned(head, rows).iter().try_for_each(|line| say!("  {line}"));
    }
    say!("**{title}**\n\n| {} |", head.join(" | "))?;
    say!("|{}", "---|".repeat(head.len()))?;
    rows.iter().try_for_each(|row| say!("| {} |", row.join(" | ")))?;
    say!("")
}

/// The median, and from where to where rounds went.
fn shown(Spread { median, min, max }: Spread) -> String {
    match min == max {
        true => number(median),
        false => format!("{} ({}–{})", number(median), number(min), number(max)),
    }
}

/// With as many digits as mean something.
fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn aim_shown(aim: Aim) -> String {
    match aim {
        Aim::AtLeast(bound) => format!("≥ {}", number(bound)),
        Aim::AtMost(bound) => format!("≤ {}", number(bound)),
    }
}

fn met(verdict: &Verdict) -> String {
    let is_met = verdict.aim.is_some_and(|aim| aim.is_met(verdict.value.median));
    (if is_met { "yes" } else { "no" }).to_owned()
}

fn line(series: &Series, size: Size, machine: &Machine) -> Value {
    let figures = series.names().into_iter().filter_map(|name| {
        let Spread { median, min, max } = series.spread(name)?;
        let rounds = series.values(name);
        let figure = json!({"median": median, "min": min, "max": max, "rounds": rounds});
        Some((name.to_owned(), figure))
    });
    json!({
        "load": series.load,
        "subject": series.subject,
        "jobs": size.jobs,
        "retained": size.retained,
        "figures": figures.collect::<Map<_, _>>(),
        "machine": machine,
    })
}

fn verdict_line(verdict: &Verdict) -> Value {
    let Spread { median, min, max } = verdict.value;
    let mut line = json!({"verdict": verdict.what, "median": median, "min": min, "max": max});
    if let Some(aim) = verdict.aim {
        let (bound, value) = match aim {
            Aim::AtLeast(value) => ("at_least", value),
            Aim::AtMost(value) => ("at_most", value),
        };
        line[bound] = value.into();
        line["met"] = aim.is_met(median).into();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_mean_something() {
        assert_eq!([12_345.6, 99.94, 1.234, 0.0].map(number), ["12346", "99.9", "1.23", "0.00"]);
        let spread = Spread { median: 2.0, min: 1.0, max: 300.0 };
        assert_eq!(shown(spread), "2.00 (1.00–300)");
        assert_eq!(shown(Spread { median: 2.0, min: 2.0, max: 2.0 }), "2.00");
    }

    #[test]
    fn a_missed_aim_is_said() {
        let value = Spread { median: 1.0, min: 1.0, max: 1.0 };
        let verdict = Verdict { what: "x".to_owned(), value, aim: Some(Aim::AtLeast(1.2)) };
        let line = verdict_line(&verdict);
        assert_eq!((&line["met"], &line["at_least"]), (&json!(false), &json!(1.2)));
        assert_eq!((met(&verdict), aim_shown(Aim::AtMost(4.0))), ("no".into(), "≤ 4.00".into()));
    }
}
