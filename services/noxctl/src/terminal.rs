//! Standard output and standard error: everything that this program writes goes through here.
//!
//! Whatever jobs print, users name or type and servers answer, a terminal shows and never obeys: what
//! would move its cursor, change its title or turn its text around, and what it would not show at all,
//! is written as a mark. Pipes and files get the bytes as they are.

use std::{
    borrow::Cow,
    fmt::Write as _,
    fs::File,
    io::{self, IsTerminal, Write},
    os::fd::AsFd,
    sync::atomic::{AtomicBool, Ordering},
};

/// Writes a line for people to standard output: a `println!` that fails and does not panic.
macro_rules! say {
    ($($line:tt)*) => { $crate::terminal::print(format!("{}\n", format_args!($($line)*))) };
}

/// Writes a line for people to standard error, as `eprintln!` does.
macro_rules! note {
    ($($line:tt)*) => { $crate::terminal::print_error(format!("{}\n", format_args!($($line)*))) };
}

pub(crate) use {note, say};

/// What a terminal shows bold begins and ends with.
const BOLD: [&str; 2] = ["\x1b[1m", "\x1b[0m"];

/// Whether this program was started without a standard output.
static IS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Looks before `main`: by then Rust has opened /dev/null in the place of a standard output that was
/// not there, and nobody can tell that from one that was thrown away on purpose.
#[used]
#[expect(
    unsafe_code,
    reason = "nothing of Rust's own runs before its runtime has opened /dev/null"
)]
// SAFETY: libc calls what stands in this section, once, on the only thread that there is. The function
// asks the system one question; what it takes of the standard library needs no runtime.
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = {
    extern "C" fn look() {
        let is_open = rustix::io::fcntl_getfd(io::stdout()).is_ok();
        IS_CLOSED.store(!is_open, Ordering::Relaxed);
    }
    look
};

/// Writes `text` to standard output.
pub fn print(text: impl AsRef<[u8]>) -> io::Result<()> {
    write(&shown(text.as_ref(), io::stdout().is_terminal()))
}

/// Writes bytes to standard output as they are, to a terminal as well.
pub fn print_raw(bytes: &[u8]) -> io::Result<()> {
    write(bytes)
}

/// The same for lines, the first of which is a bold head.
pub fn print_with_head(lines: &[String]) -> io::Result<()> {
    let Some((head, rows)) = lines.split_first() else { return Ok(()) };
    let [begin, end] = BOLD;
    write(format!("{begin}{}{end}\n", marked_line(head)).as_bytes())?;
    print(rows.iter().map(|row| format!("{row}\n")).collect::<String>())
}

fn write(bytes: &[u8]) -> io::Result<()> {
    let cannot = |error: io::Error| {
        io::Error::new(error.kind(), format!("cannot write to standard output: {error}"))
    };
    if IS_CLOSED.load(Ordering::Relaxed) {
        return Err(cannot(io::Error::other("it is closed")));
    }
    let out = io::stdout().lock();
    // By itself, standard output passes over one that cannot be written to.
    let own = out.as_fd().try_clone_to_owned().map_err(cannot)?;
    File::from(own).write_all(bytes).map_err(cannot)
}

/// Writes `text` to standard error. What cannot be written there can be told nowhere, and is no reason
/// to end what was begun.
pub fn print_error(text: impl AsRef<[u8]>) {
    let text = shown(text.as_ref(), io::stderr().is_terminal());
    let _ = io::stderr().lock().write_all(&text);
}

/// What is written of `text`.
fn shown(text: &[u8], to_a_terminal: bool) -> Cow<'_, [u8]> {
    if !to_a_terminal {
        return text.into();
    }
    let text = String::from_utf8_lossy(text);
    marked(&text).into_owned().into_bytes().into()
}

/// `text` with a mark for each character that a terminal would obey or hide; lines and tabs stay.
fn marked(text: &str) -> Cow<'_, str> {
    replaced(text, |c| is_unseen(c) && !matches!(c, '\n' | '\t'))
}

/// The same in one line, for a cell of a table.
pub fn marked_line(text: &str) -> Cow<'_, str> {
    replaced(text, is_unseen)
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

/// Controls (C0, DEL, C1), separators of lines and paragraphs, what turns the direction of text, and all
/// else that is there and not seen: Unicode's property Default_Ignorable_Code_Point, and what annotates
/// between lines. That includes what joins and varies letters and emoji, in which a text can be hidden.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
                | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_or_hide_is_marked_and_all_else_stays() {
        let title = "\x1b]0;owned\x07\x1b[2J\r\n\tgrün €\u{9b}31m\u{7f}\0";
        assert_eq!(marked(title), "␛]0;owned␇␛[2J␍\n\tgrün €<U+009B>31m␡␀");
        assert_eq!(marked("a\u{202e}b\u{2066}c\u{200f}"), "a<U+202E>b<U+2066>c<U+200F>");
        assert_eq!(marked_line("a\n\tb"), "a␊␉b");
        assert_eq!(marked("a\u{200b}\u{e0061}ä 😀 ｱ\u{fe0f}"), "a<U+200B><U+E0061>ä 😀 ｱ<U+FE0F>");
        assert!(matches!(marked("plain\n"), Cow::Borrowed(_)));
    }
}
