//! Standard output and standard error: everything that this program writes goes through here.
//!
//! Whatever jobs print, users name and servers answer, a terminal shows and never obeys: what would
//! move its cursor, change its title or turn its text around is written as a mark. Pipes and files get
//! the text as it is.

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{self, IsTerminal, Write},
};

/// Writes a line for people to standard output: a `println!` that fails and does not panic.
macro_rules! say {
    ($($line:tt)*) => { $crate::terminal::print(&format!("{}\n", format_args!($($line)*))) };
}

/// Writes a line for people to standard error, as `eprintln!` does.
macro_rules! note {
    ($($line:tt)*) => { $crate::terminal::print_error(&format!("{}\n", format_args!($($line)*))) };
}

pub(crate) use {note, say};

/// What a terminal shows bold begins and ends with.
const BOLD: [&str; 2] = ["\x1b[1m", "\x1b[0m"];

/// Writes `text` to standard output.
pub fn print(text: &str) -> io::Result<()> {
    let text = if io::stdout().is_terminal() { marked(text) } else { text.into() };
    write(&text)
}

/// The same for lines, the first of which is a bold head.
pub fn print_with_head(lines: &[String]) -> io::Result<()> {
    let Some((head, rows)) = lines.split_first() else { return Ok(()) };
    let [begin, end] = BOLD;
    write(&format!("{begin}{}{end}\n", marked_line(head)))?;
    print(&rows.iter().map(|row| format!("{row}\n")).collect::<String>())
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| {
        io::Error::new(error.kind(), format!("cannot write to standard output: {error}"))
    })
}

/// Writes `text` to standard error. What cannot be written there can be told nowhere, and is no reason
/// to end what was begun.
pub fn print_error(text: &str) {
    let text = if io::stderr().is_terminal() { marked(text) } else { text.into() };
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// `text` with a mark for each character that a terminal would obey; lines and tabs stay.
pub fn marked(text: &str) -> Cow<'_, str> {
    replaced(text, |c| is_obeyed(c) && !matches!(c, '\n' | '\t'))
}

/// The same in one line, for a cell of a table.
pub fn marked_line(text: &str) -> Cow<'_, str> {
    replaced(text, is_obeyed)
}

fn replaced(text: &str, is_replaced: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&is_replaced) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match u32::from(c) {
            _ if !is_replaced(c) => out.push(c),
            // Unicode has pictures of these: ␀ to ␟, and ␡.
            code @ 0..=0x1f => out.extend(char::from_u32(0x2400 + code)),
            0x7f => out.push('␡'),
            code => {
                // A string takes all that is written to it.
                let _ = write!(out, "<U+{code:04X}>");
            }
        }
    }
    out.into()
}

/// Controls (C0, DEL, C1), separators of lines and paragraphs, and what turns the direction of text.
fn is_obeyed(c: char) -> bool {
    let turns = ['\u{61c}', '\u{200e}', '\u{200f}'];
    c.is_control()
        || turns.contains(&c)
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_marked_and_all_else_stays() {
        let title = "\x1b]0;owned\x07\x1b[2J\r\n\tgrün €\u{9b}31m\u{7f}\0";
        assert_eq!(marked(title), "␛]0;owned␇␛[2J␍\n\tgrün €<U+009B>31m␡␀");
        assert_eq!(marked("a\u{202e}b\u{2066}c\u{200f}"), "a<U+202E>b<U+2066>c<U+200F>");
        assert_eq!(marked_line("a\n\tb"), "a␊␉b");
        assert!(matches!(marked("plain\n"), Cow::Borrowed(_)));
    }
}
