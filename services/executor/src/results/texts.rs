//! What a program wrote, as rules look into it.

use std::{borrow::Cow, collections::BTreeMap, fs::File, io::Read, os::fd::OwnedFd};

use rustix::fs::OFlags;
use serde_json::value::RawValue;

use crate::{
    manifest::{Source, Stream},
    relative::open_beneath,
};

/// Largest file that rules look into: 64 MiB.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// What a program left for the rules.
pub struct Written<'w> {
    pub work: &'w OwnedFd,
    pub stdout: &'w [u8],
    pub stderr: &'w [u8],
}

/// Why a rule gives no value.
pub enum Nothing {
    /// There is nothing that it could be.
    Absent(String),
    /// What is there is not what it should be.
    Wrong(String),
    /// It is what it should be, but cannot be stored.
    Unstorable,
}

/// What rules look into, each read once.
pub struct Texts<'t> {
    written: &'t Written<'t>,
    files: BTreeMap<String, String>,
}

impl<'t> Texts<'t> {
    pub fn of(written: &'t Written<'t>) -> Self {
        Self { written, files: BTreeMap::new() }
    }

    pub fn get(&mut self, source: &Source) -> Result<&str, Nothing> {
        let name = match source {
            Source::File(path) => path.as_str(),
            Source::Stream(stream) => stream.as_str(),
        };
        if !self.files.contains_key(name) {
            let text = match source {
                Source::File(path) => self.read_file(path.as_str())?,
                Source::Stream(Stream::Stdout) => lossy(self.written.stdout.to_vec()),
                Source::Stream(Stream::Stderr) => lossy(self.written.stderr.to_vec()),
            };
            self.files.insert(name.to_owned(), text);
        }
        Ok(&self.files[name])
    }

    fn read_file(&self, path: &str) -> Result<String, Nothing> {
        let absent = |error: std::io::Error| Nothing::Absent(format!("{path}: {error}"));
        let file = open_beneath(self.written.work, path, OFlags::RDONLY).map_err(absent)?;
        let file = File::from(file);
        if !file.metadata().map_err(absent)?.is_file() {
            return Err(Nothing::Wrong(format!("{path} is no file")));
        }
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(absent)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(Nothing::Wrong(format!("{path} is larger than {FILE_BYTES_MAX} bytes")));
        }
        Ok(lossy(bytes))
    }
}

fn lossy(bytes: Vec<u8>) -> String {
    match String::from_utf8_lossy(&bytes) {
        Cow::Owned(text) => text,
        Cow::Borrowed(_) => String::from_utf8(bytes).unwrap_or_default(),
    }
}

/// The value at an RFC 6901 pointer, unparsed: what stands beside it, and numbers that no type
/// holds, do not matter.
pub fn at_pointer<'t>(text: &'t str, pointer: &str) -> Result<&'t RawValue, Nothing> {
    let found = find(text, pointer).map_err(|error| {
        Nothing::Wrong(format!("the file is no JSON, which has neither NaN nor infinity: {error}"))
    })?;
    let found = found.filter(|value| value.get() != "null");
    found.ok_or_else(|| Nothing::Absent(format!("nothing at {pointer}")))
}

fn find<'t>(text: &'t str, pointer: &str) -> Result<Option<&'t RawValue>, serde_json::Error> {
    let mut value: &RawValue = serde_json::from_str(text)?;
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        let next = if value.get().starts_with('{') {
            serde_json::from_str::<BTreeMap<String, &RawValue>>(value.get())?.remove(&token)
        } else if value.get().starts_with('[') {
            let items: Vec<&RawValue> = serde_json::from_str(value.get())?;
            token.parse::<usize>().ok().and_then(|index| items.get(index).copied())
        } else {
            None
        };
        match next {
            Some(next) => value = next,
            None => return Ok(None),
        }
    }
    Ok(Some(value))
}
