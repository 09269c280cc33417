//! What a segment is called: `log/<incarnation>/<n_first>-<n_last>.seg`; and a state,
//! `state/<incarnation>/<n>-<microseconds since 1970>-<chain>-<SHA-256>.<format>`.

use nox_contract::{Chain, FrameNumber, Incarnation, Timestamp};
use object_store::path::Path;

/// A fold that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateInfo {
    /// The last message that was folded.
    pub n: FrameNumber,
    /// Its instant.
    pub at: Timestamp,
    /// The chain behind it.
    pub chain: Chain,
    /// Of what it says, before compression, as hex digits.
    pub sha256: String,
    /// Of its serialised form; a reader of another one does not read it.
    pub format: String,
    /// As it lies there; 0 where that is not known.
    pub bytes: u64,
}

/// Where the segments of all logs are.
pub(crate) const LOG: &str = "log";

/// Where the states of all logs are.
const STATE: &str = "state";

const EXTENSION: &str = ".seg";
/// Digits of a number, so that names sort as numbers do.
const DIGITS: usize = 20;

pub(crate) fn file(n_first: FrameNumber, n_last: FrameNumber) -> String {
    format!("{:0DIGITS$}-{:0DIGITS$}{EXTENSION}", n_first.0, n_last.0)
}

/// The numbers that a file's name says; `None` if it is not the name of a segment.
pub(crate) fn numbers(file: &str) -> Option<(FrameNumber, FrameNumber)> {
    let (first, last) = file.strip_suffix(EXTENSION)?.split_once('-')?;
    let number = |text: &str| {
        let digits = text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten().map(FrameNumber)
    };
    let (first, last) = (number(first)?, number(last)?);
    (first.0 >= 1 && first <= last && last.0 < u64::MAX).then_some((first, last))
}

/// Whether a file is one that a segment is written into before it has its name: the same, `#` and a number.
pub(crate) fn is_unfinished(file: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    file.split_once('#').is_some_and(|(name, number)| numbers(name).is_some() && digits(number))
}

pub(crate) fn of_state(info: &StateInfo) -> String {
    let StateInfo { n, at, chain, sha256, format, .. } = info;
    let chain = chain.to_string();
    let chain = chain.trim_start_matches(CHAIN);
    format!("{:0DIGITS$}-{:0DIGITS$}-{chain}-{sha256}.{format}", n.0, at.as_micros())
}

/// What a file's name says of a state; `None` if it is not the name of one.
pub(crate) fn state(file: &str) -> Option<StateInfo> {
    let (name, format) = file.split_once('.')?;
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric());
    let mut parts = name.split('-');
    let n = FrameNumber(parts.next()?.parse().ok()?);
    let at = Timestamp::from_micros(parts.next()?.parse().ok()?);
    let chain = Chain::parse(&format!("{CHAIN}{}", parts.next()?))?;
    let sha256 = parts.next().filter(|hash| hash.len() == 64 && is_word(hash))?.to_owned();
    let format = Some(format).filter(|format| is_word(format))?.to_owned();
    let info = StateInfo { n, at, chain, sha256, format, bytes: 0 };
    (of_state(&info) == file).then_some(info)
}

/// What the text of a chain begins with.
const CHAIN: &str = "b3:";

pub(crate) fn states(base: &Path, incarnation: &Incarnation) -> Path {
    base.clone().join(STATE).join(escape(incarnation))
}

pub(crate) fn folder(base: &Path, incarnation: &Incarnation) -> Path {
    base.clone().join(LOG).join(escape(incarnation))
}

/// As the name of a folder, anywhere: other bytes than letters, digits, `-`, `_` and `.` as `=` and two
/// hex digits.
fn escape(incarnation: &Incarnation) -> String {
    let mut name = String::new();
    for (place, byte) in incarnation.0.bytes().enumerate() {
        match byte {
            b'.' if place > 0 => name.push('.'),
            b'-' | b'_' => name.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => name.push(byte.into()),
            _ => name.push_str(&format!("={byte:02x}")),
        }
    }
    if name.is_empty() { "=".to_owned() } else { name }
}

/// The incarnation that a folder is named after; `None` if it is not named after one.
pub(crate) fn unescape(folder: &str) -> Option<Incarnation> {
    let mut bytes = Vec::new();
    let mut rest = if folder == "=" { "" } else { folder }.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'=' {
            bytes.push(*byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        bytes.extend(hex::decode(digits).ok()?);
        rest = after;
    }
    let incarnation = Incarnation(String::from_utf8(bytes).ok()?);
    (escape(&incarnation) == folder).then_some(incarnation)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_names_of_segments_say_numbers() {
        let name = file(FrameNumber(3), FrameNumber(u64::MAX - 1));
        assert_eq!(name, "00000000000000000003-18446744073709551614.seg");
        assert_eq!(numbers(&name), Some((FrameNumber(3), FrameNumber(u64::MAX - 1))));
        for foreign in [
            "README",
            "3-4.seg",
            "00000000000000000003-00000000000000000004.seg.part",
            "00000000000000000004-00000000000000000003.seg",
            "00000000000000000000-00000000000000000003.seg",
            "0000000000000000000+-00000000000000000004.seg",
            "00000000000000000003-18446744073709551615.seg",
            "00000000000000000003-99999999999999999999.seg",
        ] {
            assert_eq!(numbers(foreign), None, "{foreign}");
        }
    }

    proptest! {
        #[test]
        fn an_incarnation_is_a_folder_of_its_own(text in any::<String>()) {
            let folder = escape(&Incarnation(text.clone()));
            prop_assert_eq!(Path::from(folder.as_str()), Path::parse(&folder).unwrap());
            prop_assert_eq!(unescape(&folder), Some(Incarnation(text)));
        }
    }
}
