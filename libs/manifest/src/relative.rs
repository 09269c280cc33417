//! Names of files beneath a work directory. None of them leads out of it.

use std::fmt;

use serde::Deserialize;

/// Longest relative path, in bytes.
const PATH_BYTES_MAX: usize = 512;

/// A path of plain names: no `..`, nothing absolute, nothing empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct RelativePath(String);

/// A relative path in which `*` stands for any part of a name, and `?` for one character.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Glob(Vec<String>);

impl RelativePath {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for RelativePath {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let name = |name: &str| {
            !matches!(name, "" | "." | "..")
                && name.len() <= 255
                && !name.contains(char::is_control)
        };
        if text.len() <= PATH_BYTES_MAX && text.split('/').all(name) {
            Ok(Self(text))
        } else {
            Err(format!("`{text}` is no path beneath the work directory"))
        }
    }
}

impl Glob {
    /// Whether it can name more than one file.
    pub fn is_pattern(&self) -> bool {
        self.0.iter().any(|name| name.contains(['*', '?']))
    }

    /// How many folders deep it looks.
    pub fn names(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

impl TryFrom<String> for Glob {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let path = RelativePath::try_from(text)?;
        Ok(Self(path.0.split('/').map(str::to_owned).collect()))
    }
}

/// Whether `name`, which need not be text, is what `pattern` stands for.
pub fn matches(pattern: &str, name: &[u8]) -> bool {
    let (pattern, name) = (pattern.chars().collect::<Vec<_>>(), characters(name));
    let (mut p, mut n) = (0, 0);
    // Where to go on when what follows the last `*` did not match.
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p, n));
                p += 1;
            }
            Some(wanted) if *wanted == '?' || Some(*wanted) == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((star, from)) = retry else { return false };
                retry = Some((star, from + 1));
                p = star + 1;
                n = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|rest| *rest == '*')
}

/// The characters of a name; `None` for each byte that is in none.
fn characters(name: &[u8]) -> Vec<Option<char>> {
    let characters = name.utf8_chunks().flat_map(|chunk| {
        chunk.valid().chars().map(Some).chain(chunk.invalid().iter().map(|_| None))
    });
    characters.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leads_out_is_refused() {
        for wrong in ["", "/etc/passwd", "../x", "a/../b", "a//b", "./a", "a/", "a\nb", "a\0b"] {
            assert!(RelativePath::try_from(wrong.to_owned()).is_err(), "{wrong:?}");
        }
        for right in ["a", "a/b.txt", "..a", "a b", "*.log"] {
            assert!(RelativePath::try_from(right.to_owned()).is_ok(), "{right}");
        }
    }

    #[test]
    fn a_star_stands_for_any_part_of_a_name() {
        for (pattern, name, expected) in [
            ("*", "anything", true),
            ("*.txt", "a.txt", true),
            ("*.txt", "a.txt.gz", false),
            ("a*b*c", "aXbbYc", true),
            ("a*b*c", "aXbbY", false),
            ("?.xyz", "m.xyz", true),
            ("?.xyz", ".xyz", false),
            ("plain", "plain", true),
            ("plain", "plainer", false),
            ("", "", true),
            ("é*", "éa", true),
        ] {
            assert_eq!(matches(pattern, name.as_bytes()), expected, "{pattern} {name}");
        }
        assert!(matches("a?b*", b"a\xffb\xc3\n"));
        assert!(!matches("a?b", b"a\xff\xffb"));
    }
}
