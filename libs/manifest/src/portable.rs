//! A module's folder as one manifest that stands by itself, to be registered.

use std::{fs, path::Path};

use nox_contract::RawJson;
use serde_json::{Map, Value};

use crate::{FILE, Manifest, ManifestError, relative::RelativePath};

/// The manifest of a module's folder, or a manifest by itself, in its JSON form, with what lies beside it in it.
///
/// # Errors
/// It is wrong, or has what no registered module may have.
pub fn portable(folder_or_file: &Path) -> Result<RawJson, ManifestError> {
    let file = match folder_or_file.is_dir() {
        true => folder_or_file.join(FILE),
        false => folder_or_file.to_owned(),
    };
    let folder = file.parent().unwrap_or(Path::new(""));
    let name = file.display().to_string();
    let wrong = |reason: String| ManifestError::Wrong { file: name.clone(), reason };
    let text = fs::read_to_string(&file)
        .map_err(|error| ManifestError::Unreadable { file: name.clone(), error })?;
    let mut manifest: Map<String, Value> =
        toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    for member in ["input_schema", "output_schema"] {
        if let Some(schema @ Value::String(_)) = manifest.get_mut(member) {
            let text = beside(folder, schema).map_err(wrong)?;
            *schema = serde_json::from_str(&text)
                .map_err(|error| wrong(format!("`{member}`: {error}")))?;
        }
    }
    let written = manifest.get_mut("write").and_then(Value::as_array_mut);
    for write in written.into_iter().flatten().filter_map(Value::as_object_mut) {
        if let Some(file) = write.remove("file") {
            let text = beside(folder, &file).map_err(wrong)?;
            write.insert("text".to_owned(), Value::String(text));
        }
    }
    let raw = RawJson::of(&manifest).map_err(|error| wrong(error.to_string()))?;
    Manifest::registered(&raw).map_err(|all| wrong(all.to_string()))?;
    Ok(raw)
}

/// The text of a file beside the manifest.
fn beside(folder: &Path, path: &Value) -> Result<String, String> {
    let path = path.as_str().ok_or_else(|| format!("{path} is no path"))?;
    let path = RelativePath::try_from(path.to_owned())?;
    fs::read_to_string(folder.join(path.as_str()))
        .map_err(|error| format!("cannot read {path}: {error}"))
}
