//! A file that is there before the program runs.

use std::{borrow::Cow, io::Read, path::Path, sync::Arc};

use serde::Deserialize;

use crate::{
    relative::RelativePath,
    template::{FillError, Template, Values},
};

/// The largest file beside a manifest: it is in memory, and written for each attempt.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A file to write beneath the work directory.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "WriteTable")]
pub struct Write {
    pub path: RelativePath,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Template(Template),
    /// One beside the manifest, as it is: a script that comes with the module.
    File {
        path: RelativePath,
        text: Arc<str>,
    },
    /// As it is: the same, where no folder comes with the module.
    Text(Arc<str>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WriteTable {
    path: RelativePath,
    template: Option<Template>,
    file: Option<RelativePath>,
    text: Option<Arc<str>>,
}

impl TryFrom<WriteTable> for Write {
    type Error = String;

    fn try_from(table: WriteTable) -> Result<Self, String> {
        let WriteTable { path, template, file, text } = table;
        let content = match (template, file, text) {
            (Some(template), None, None) => Content::Template(template),
            (None, Some(path), None) => Content::File { path, text: Arc::default() },
            (None, None, Some(text)) => Content::Text(text),
            _ => return Err(format!("`{path}` needs one of `template`, `file` and `text`")),
        };
        Ok(Self { path, content })
    }
}

impl Write {
    /// Reads what lies in the module's folder.
    pub(crate) fn read(&mut self, folder: &Path) -> Result<(), String> {
        let Content::File { path, text } = &mut self.content else { return Ok(()) };
        let cannot = |error: std::io::Error| format!("cannot read {path}: {error}");
        let file = std::fs::File::open(folder.join(path.as_str())).map_err(cannot)?;
        let mut read = String::new();
        file.take(FILE_BYTES_MAX + 1).read_to_string(&mut read).map_err(cannot)?;
        if read.len() as u64 > FILE_BYTES_MAX {
            return Err(format!("{path} has more than {FILE_BYTES_MAX} bytes"));
        }
        *text = read.into();
        Ok(())
    }

    /// What it reads of the module's folder.
    pub(crate) fn file(&self) -> Option<&RelativePath> {
        match &self.content {
            Content::File { path, .. } => Some(path),
            Content::Template(_) | Content::Text(_) => None,
        }
    }

    pub fn template(&self) -> Option<&Template> {
        match &self.content {
            Content::Template(template) => Some(template),
            Content::File { .. } | Content::Text(_) => None,
        }
    }

    /// What is written.
    pub fn text(&self, values: Values<'_>) -> Result<Cow<'_, str>, FillError> {
        match &self.content {
            Content::Template(template) => template.text(values).map(Cow::Owned),
            Content::File { text, .. } | Content::Text(text) => Ok(Cow::Borrowed(text)),
        }
    }
}
