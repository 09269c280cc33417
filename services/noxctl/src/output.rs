//! What commands print: data on standard output, in the form that was asked for; all else on
//! standard error.

use std::{
    borrow::Cow,
    io::{self, IsTerminal},
};

use anyhow::Context;
use clap::ValueEnum;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::terminal::{marked_line, print, print_raw, print_with_head};

/// The form of data on standard output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns on a terminal; else fields between tabs, without a head.
    #[default]
    Table,
    /// One indented document.
    Json,
    /// A document a line.
    Jsonl,
}

/// Where data goes.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    pub format: Format,
    terminal: bool,
    /// Columns of the terminal, where that is known.
    width: Option<usize>,
    colour: bool,
    raw: bool,
}

impl Output {
    pub fn new(format: Format) -> Self {
        let terminal = io::stdout().is_terminal();
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var("TERM").is_ok_and(|kind| kind == "dumb");
        let colour = !set("NO_COLOR") && !dumb && (terminal || set("CLICOLOR_FORCE"));
        let width = terminal.then(width).flatten();
        Self { format, terminal, width, colour, raw: false }
    }

    /// The same for data that comes bit by bit, of which no one document can be made.
    pub fn streaming(self) -> Self {
        let format = if self.format == Format::Json { Format::Jsonl } else { self.format };
        Self { format, ..self }
    }

    /// The same, where a terminal is to obey what is printed.
    pub fn raw(self) -> Self {
        Self { raw: true, ..self }
    }

    /// Whether people read it, as far as that can be known.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    pub fn format(&self) -> Format {
        self.format
    }

    /// Prints rows that all have a cell for each of `head`.
    pub fn table(&self, head: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
        if !self.terminal {
            let line = |row: &Vec<String>| {
                let fields: Vec<_> = row.iter().map(|cell| marked_line(cell)).collect();
                fields.join("\t")
            };
            return self.lines(&rows.iter().map(line).collect::<Vec<_>>());
        }
        let lines = fitted(head, rows, self.width);
        if self.colour { print_with_head(&lines) } else { self.lines(&lines) }
    }

    /// Prints what one thing is: a name and a value a line, below its title.
    pub fn members(&self, title: &str, members: &[(&str, String)]) -> io::Result<()> {
        let row = |(name, value): &(&str, String)| vec![(*name).to_owned(), value.clone()];
        self.table(&[title, ""], &members.iter().map(row).collect::<Vec<_>>())
    }

    /// Prints a document as it came, indented or in one line.
    pub fn json(&self, document: &str) -> io::Result<()> {
        match self.format {
            Format::Jsonl => self.line(&compact(document)),
            Format::Table | Format::Json => self.line(&indented(document)),
        }
    }

    /// Prints many things: a row of cells for each in a table, else their documents as they came.
    pub fn list<T: DeserializeOwned>(
        &self,
        documents: &[Box<RawValue>],
        head: &[&str],
        row: impl Fn(T) -> Vec<String>,
    ) -> anyhow::Result<()> {
        if self.format != Format::Table {
            return Ok(self.documents(documents)?);
        }
        let rows = documents.iter().map(|one| serde_json::from_str(one.get()).map(&row));
        let rows = rows.collect::<serde_json::Result<Vec<_>>>().context("an unexpected answer")?;
        Ok(self.table(head, &rows)?)
    }

    /// Prints many documents: as one array, or a line each.
    pub fn documents(&self, documents: &[Box<RawValue>]) -> io::Result<()> {
        match self.format {
            Format::Jsonl => {
                let lines: Vec<_> = documents.iter().map(|one| compact(one.get())).collect();
                self.lines(&lines)
            }
            Format::Table | Format::Json => {
                let all: Vec<_> = documents.iter().map(|one| one.get()).collect();
                self.line(&indented(&format!("[{}]", all.join(","))))
            }
        }
    }

    /// Prints what somebody else has said in one line of text.
    pub fn lines_of(&self, text: &str) -> io::Result<()> {
        self.line(&marked_line(text))
    }

    pub fn line(&self, line: &str) -> io::Result<()> {
        print(format!("{line}\n"))
    }

    /// Prints what somebody else ends lines in, which need not be text.
    pub fn bytes(&self, bytes: &[u8]) -> io::Result<()> {
        if self.raw { print_raw(bytes) } else { print(bytes) }
    }

    fn lines(&self, lines: &[String]) -> io::Result<()> {
        print(lines.iter().map(|line| format!("{line}\n")).collect::<String>())
    }
}

/// Fewest columns to which a cell is cut.
const CELL_WIDTH_MIN: usize = 8;

/// What stands for what was cut off.
const CUT: &str = "…";

/// The columns of the terminal: what it says itself, or `COLUMNS`.
fn width() -> Option<usize> {
    let named = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let told = || rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| size.ws_col.into());
    named.or_else(told).filter(|columns| *columns > 0)
}

/// Lines of columns that are as wide as their widest cell; nothing is cut off.
pub fn aligned(head: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    fitted(head, rows, None)
}

/// The same, in lines of at most `width` columns where that can be had: the widest column is cut first,
/// and the first one, which names what a row is about, never.
fn fitted(head: &[&str], rows: &[Vec<String>], width: Option<usize>) -> Vec<String> {
    let head: Vec<String> = head.iter().map(|name| name.to_uppercase()).collect();
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| marked_line(cell).into()).collect()).collect();
    let all = || std::iter::once(&head).chain(&rows);
    let mut widths: Vec<usize> = (0..head.len())
        .map(|column| all().map(|row| row[column].width()).max().unwrap_or_default())
        .collect();
    let gaps = 2 * widths.len().saturating_sub(1);
    while width.is_some_and(|width| widths.iter().sum::<usize>() + gaps > width) {
        // Of the widest ones the last, which is most often a sentence.
        let widest = widths.iter_mut().skip(1).max_by_key(|width| **width);
        let Some(widest) = widest.filter(|width| **width > CELL_WIDTH_MIN) else { break };
        *widest -= 1;
    }
    all()
        .map(|row| {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let cell = cut(cell, *width);
                line.push_str(&cell);
                line.push_str(&" ".repeat(width - cell.width() + 2));
            }
            line.trim_end().to_owned()
        })
        .collect()
}

/// `cell` in at most `width` columns.
fn cut(cell: &str, width: usize) -> Cow<'_, str> {
    if cell.width() <= width {
        return cell.into();
    }
    let mut short = String::new();
    let mut left = width.saturating_sub(CUT.width());
    for c in cell.chars() {
        let Some(rest) = left.checked_sub(c.width().unwrap_or_default()) else { break };
        left = rest;
        short.push(c);
    }
    short.push_str(CUT);
    short.into()
}

/// `document` with each member on a line of its own. Numbers and strings stay byte for byte what they
/// are, which reading and writing them would not promise.
pub fn indented(document: &str) -> String {
    let mut out = String::new();
    let mut depth = 0;
    let mut tokens = tokens(document).peekable();
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    };
    while let Some(token) = tokens.next() {
        let closing = tokens.peek().is_some_and(|next| matches!(*next, "}" | "]"));
        out.push_str(token);
        match token {
            "{" | "[" => {
                depth += 1;
                if !closing {
                    line(&mut out, depth);
                }
            }
            "," => line(&mut out, depth),
            ":" => out.push(' '),
            _ => {}
        }
        if closing {
            depth = depth.saturating_sub(1);
            if !matches!(token, "{" | "[") {
                line(&mut out, depth);
            }
        }
    }
    out
}

fn compact(document: &str) -> String {
    tokens(document).collect()
}

/// The pieces of valid JSON, without the blanks between them.
fn tokens(document: &str) -> impl Iterator<Item = &str> {
    let mut rest = document;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let first = rest.bytes().next()?;
        let length = match first {
            b'{' | b'}' | b'[' | b']' | b',' | b':' => 1,
            b'"' => string_length(rest),
            _ => rest
                .find(|c: char| c.is_whitespace() || ",:]}".contains(c))
                .unwrap_or(rest.len())
                .max(1),
        };
        let (token, after) = rest.split_at(length.min(rest.len()));
        rest = after;
        Some(token)
    })
}

fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_indented_without_touching_numbers_or_strings() {
        let document =
            r#"{"a":[1.50,12345678901234567890123,{"b":"x, \"{y}\" ü"}],"e":{},"l":[],"t":true}"#;
        let expected = "{\n  \"a\": [\n    1.50,\n    12345678901234567890123,\n    {\n      \
                        \"b\": \"x, \\\"{y}\\\" ü\"\n    }\n  ],\n  \"e\": {},\n  \"l\": [],\n  \
                        \"t\": true\n}";
        assert_eq!(indented(document), expected);
        assert_eq!(compact(expected), document);
    }

    #[test]
    fn single_values_are_documents() {
        for document in ["5", "\"x\"", "null", "[]", "{}"] {
            assert_eq!(indented(document), document);
        }
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_obey_nobody() {
        let rows = [vec!["a".to_owned(), "1".to_owned()], vec!["b\u{1b}[2J\n".into(), "22".into()]];
        assert_eq!(aligned(&["id", "n"], &rows), ["ID      N", "a       1", "b␛[2J␊  22"]);
    }

    #[test]
    fn a_table_fits_its_terminal_and_what_names_a_row_stays_whole() {
        let id = "0193a000-0000-7000-8000-000000000001";
        let row = |state: &str| vec![id.to_owned(), "xtb".to_owned(), state.to_owned()];
        let rows =
            [row("queued (no_worker: no worker has the module xtb)"), row("漢字漢字漢字漢字漢字")];
        let lines = fitted(&["id", "module", "state"], &rows, Some(64));
        assert_eq!(lines[1], format!("{id}  xtb     queued (no_worker…"));
        assert_eq!(lines[2], format!("{id}  xtb     漢字漢字漢字漢字…"));
        assert!(lines.iter().all(|line| line.width() <= 64), "{lines:?}");
        // On one that is too narrow for that lines are too long, but say something.
        let lines = fitted(&["id", "module", "state"], &rows, Some(20));
        assert_eq!(lines[1], format!("{id}  xtb     queued …"));
        assert_eq!(fitted(&["id", "n"], &[], Some(5)), ["ID  N"]);
        assert!(aligned(&["id", "module", "state"], &rows)[1].ends_with("has the module xtb)"));
    }
}
