//! Whether the audit's files are whole: each line what its hash says, each behind the one before.

use std::{
    fmt,
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    vec,
};

use nox_contract::{Chain, FactPlace, FrameNumber};

use super::{
    folder,
    line::{self, Line},
};

/// The first thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub file: PathBuf,
    /// Counted from 1.
    pub line: u64,
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.what)
    }
}

/// The lines of a folder in their order, up to the first fault.
pub struct Walk {
    files: vec::IntoIter<PathBuf>,
    open: Option<Open>,
    /// Behind the last line; `None` before the first one, where any is taken.
    chain: Option<Chain>,
    last: Option<FactPlace>,
    is_over: bool,
}

struct Open {
    path: PathBuf,
    lines: BufReader<File>,
    line: u64,
}

/// Walks through a folder. Its first line is the first that there ever was, unless files before it were
/// `removed`.
///
/// # Errors
/// The folder cannot be read.
pub fn walk(folder: &Path, removed: bool) -> io::Result<Walk> {
    let chain = (!removed).then_some(Chain::START);
    let files = folder::files(folder)?.into_iter();
    Ok(Walk { files, open: None, chain, last: None, is_over: false })
}

impl Iterator for Walk {
    type Item = Result<Line, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let next = self.read().transpose();
        self.is_over = !matches!(next, Some(Ok(_)));
        next
    }
}

impl Walk {
    fn read(&mut self) -> Result<Option<Line>, Fault> {
        loop {
            let Some(open) = &mut self.open else {
                let Some(path) = self.files.next() else { return Ok(None) };
                let fault = |error: io::Error| Fault {
                    file: path.clone(),
                    line: 1,
                    what: format!("cannot be read: {error}"),
                };
                let lines = BufReader::new(File::open(&path).map_err(fault)?);
                self.open = Some(Open { path, lines, line: 0 });
                continue;
            };
            open.line += 1;
            let fault = |what: &str| Fault {
                file: open.path.clone(),
                line: open.line,
                what: what.to_owned(),
            };
            let mut text = String::new();
            match open.lines.read_line(&mut text) {
                Ok(0) if open.line == 1 => return Err(fault("the file is empty")),
                Ok(0) => {
                    self.open = None;
                    continue;
                }
                Ok(_) => {}
                Err(error) => return Err(fault(&format!("cannot be read: {error}"))),
            }
            let whole = text.strip_suffix('\n');
            let whole = whole.ok_or_else(|| fault("is not written to its end"))?;
            let line = line::read(whole).map_err(|what| fault(&format!("the line {what}")))?;
            if self.chain.is_some_and(|chain| chain != line.prev) {
                let what = match self.last {
                    Some(last) => {
                        format!("the line does not follow {last}: what was between is gone")
                    }
                    None => {
                        "the line is not the first of the audit: what was before is gone".to_owned()
                    }
                };
                return Err(fault(&what));
            }
            if self.last.is_some_and(|last| last >= line.act.id) || line.act.n != line.act.id.n {
                return Err(fault("the line's place in the log is not behind the one before"));
            }
            if open.line == 1 && named(&open.path) != Some(line.act.n) {
                return Err(fault("the file bears the name of another frame"));
            }
            (self.chain, self.last) = (Some(line.hash), Some(line.act.id));
            return Ok(Some(line));
        }
    }
}

/// The frame that a file is named by.
fn named(path: &Path) -> Option<FrameNumber> {
    let digits = path.file_stem()?.to_str()?.rsplit_once('-')?.1;
    digits.parse().ok().map(FrameNumber)
}
