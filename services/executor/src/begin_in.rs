//! The folder that a program begins in, where an operator names another than its attempt's own.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::{manifest::Run, relative::RelativePath};

/// The folder that the operator names for what is run: a path beneath the attempt's own folder, which is made for it,
/// or an absolute one, which is there and may be read. None, if its variable is not set or empty.
///
/// # Errors
/// It names neither.
pub fn begin_in(run: &Run) -> Result<Option<PathBuf>, String> {
    let Some(variable) = run.folder_env() else { return Ok(None) };
    match env::var_os(variable).filter(|value| !value.is_empty()) {
        Some(value) => checked(&PathBuf::from(value))
            .map(Some)
            .map_err(|reason| format!("{variable} {reason}")),
        None => Ok(None),
    }
}

fn checked(path: &Path) -> Result<PathBuf, String> {
    if path.is_absolute() {
        return match path.is_dir() {
            true => Ok(path.to_owned()),
            false => Err(format!("names no folder: {}", path.display())),
        };
    }
    let text = path.to_str().ok_or("is no text")?.trim_end_matches('/');
    RelativePath::try_from(text.to_owned()).map(|path| path.as_str().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_one_that_is_there_or_lies_beneath_the_attempt_s_own() {
        for path in ["/usr/share", "/tmp", "work", "a/b/"] {
            assert!(checked(path.as_ref()).is_ok(), "{path}");
        }
        for path in ["/nonexistent", "/etc/hostname", "..", "a/../../b", "./a", ""] {
            assert!(checked(path.as_ref()).is_err(), "{path}");
        }
    }
}
