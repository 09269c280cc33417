//! Keeps the values of secrets out of what is stored and quoted, also where a value comes in pieces.

use std::{borrow::Cow, fmt};

use aho_corasick::{AhoCorasick, BuildError, MatchKind};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};

/// What stands in the place of a secret.
const MASK: &[u8] = b"***";

/// Shortest value that is masked, in bytes: a shorter one is in too much that is none.
pub const SECRET_BYTES_MIN: usize = 4;

/// The secrets of an attempt.
#[derive(Clone, Default)]
pub struct Mask {
    finder: Option<AhoCorasick>,
    patterns: Vec<Vec<u8>>,
}

/// Names no secret.
impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mask").field("patterns", &self.patterns.len()).finish_non_exhaustive()
    }
}

/// A stream from which secrets are taken.
pub struct Masking<'m> {
    mask: &'m Mask,
    /// What may be the beginning of a secret.
    held: Vec<u8>,
}

impl Mask {
    /// Masks `secrets` as they are, percent-encoded, and in base64.
    ///
    /// # Errors
    /// They are too large to be looked for.
    pub fn new<'s>(secrets: impl IntoIterator<Item = &'s str>) -> Result<Self, BuildError> {
        let mut patterns: Vec<Vec<u8>> = Vec::new();
        for secret in secrets.into_iter().filter(|secret| secret.len() >= SECRET_BYTES_MIN) {
            let percent = |plain: &dyn Fn(u8) -> bool| {
                let encode =
                    |b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") };
                secret.bytes().map(encode).collect::<String>().into_bytes()
            };
            patterns.push(secret.as_bytes().to_vec());
            patterns.push(percent(&|b| b.is_ascii_alphanumeric() || b"-_.~".contains(&b)));
            // Where it begins within three bytes decides what it looks like; its outermost characters depend
            // on what stands beside it.
            for before in 0..3 {
                let shifted = [&[0; 2][..before.min(2)], secret.as_bytes()].concat();
                let text = STANDARD_NO_PAD.encode(shifted);
                let from = [0, 2, 3][before];
                let to = text.len() - usize::from((secret.len() + before) % 3 != 0);
                patterns.extend(text.get(from..to).map(|text| text.as_bytes().to_vec()));
            }
        }
        patterns.retain(|pattern| pattern.len() >= SECRET_BYTES_MIN);
        patterns.sort();
        patterns.dedup();
        if patterns.is_empty() {
            return Ok(Self::default());
        }
        let mut finder = AhoCorasick::builder();
        let finder = finder.match_kind(MatchKind::LeftmostLongest).build(&patterns)?;
        Ok(Self { finder: Some(finder), patterns })
    }

    /// Begins a stream.
    pub fn begin(&self) -> Masking<'_> {
        Masking { mask: self, held: Vec::new() }
    }

    /// How many bytes at the end of `bytes` may be the beginning of a secret.
    fn undecided(&self, bytes: &[u8]) -> usize {
        let longest = self.patterns.iter().map(Vec::len).max().unwrap_or_default();
        let candidates = (1..longest.min(bytes.len() + 1)).rev();
        let mut candidates = candidates.map(|length| (length, &bytes[bytes.len() - length..]));
        let begins =
            |end: &[u8]| self.patterns.iter().any(|p| p.len() > end.len() && p.starts_with(end));
        candidates.find(|(_, end)| begins(end)).map_or(0, |(length, _)| length)
    }
}

impl Masking<'_> {
    /// Takes the next bytes; returns what may be seen of what came so far.
    pub fn push<'b>(&mut self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        let Some(finder) = &self.mask.finder else { return Cow::Borrowed(bytes) };
        self.held.extend_from_slice(bytes);
        let mut decided = self.held.len() - self.mask.undecided(&self.held);
        let mut seen = Vec::with_capacity(decided);
        let mut at = 0;
        for found in finder.find_iter(&self.held) {
            // It may be the beginning of a longer one.
            if found.start() >= decided {
                break;
            }
            seen.extend_from_slice(&self.held[at..found.start()]);
            seen.extend_from_slice(MASK);
            at = found.end();
        }
        decided = decided.max(at);
        seen.extend_from_slice(&self.held[at..decided]);
        self.held.drain(..decided);
        Cow::Owned(seen)
    }

    /// Nothing follows: what was held back is a secret that is whole, or none.
    pub fn end(&mut self) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        match &self.mask.finder {
            Some(finder) => finder.replace_all_bytes(&held, &vec![MASK; self.mask.patterns.len()]),
            None => held,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(secrets: &[&str], pieces: &[&[u8]]) -> String {
        let mask = Mask::new(secrets.iter().copied()).unwrap();
        let mut masking = mask.begin();
        let mut seen = Vec::new();
        for piece in pieces {
            seen.extend_from_slice(&masking.push(piece));
        }
        seen.extend(masking.end());
        String::from_utf8(seen).unwrap()
    }

    #[test]
    fn a_secret_is_masked_wherever_it_is_cut() {
        let text = b"token=s3cret-value! and s3cret-value";
        for size in 1..=text.len() {
            let pieces: Vec<_> = text.chunks(size).collect();
            assert_eq!(masked(&["s3cret-value"], &pieces), "token=***! and ***", "{size}");
        }
        // The control: without the secret nothing is touched.
        assert_eq!(masked(&[], &[text]), String::from_utf8(text.to_vec()).unwrap());
        assert_eq!(masked(&["other-value"], &[text]), String::from_utf8(text.to_vec()).unwrap());
    }

    #[test]
    fn of_two_secrets_that_begin_alike_nothing_shows() {
        for pieces in [&[&b"abcdefgh."[..]][..], &[b"abcd", b"efgh."], &[b"abcde", b"fgh", b"."]] {
            assert_eq!(masked(&["abcd", "abcdefgh"], pieces), "***.");
        }
        assert_eq!(masked(&["abcd", "abcdefgh"], &[b"abcde", b"x"]), "***ex");
        assert_eq!(masked(&["abcd"], &[b"ab"]), "ab");
    }

    #[test]
    fn encoded_secrets_are_masked_too() {
        let secret = "p@ss w\u{f6}rd/7";
        assert_eq!(masked(&[secret], &[b"url?x=p%40ss%20w%C3%B6rd%2F7&y"]), "url?x=***&y");
        for before in ["", "u", "us", "use", "user:"] {
            let text = STANDARD_NO_PAD.encode(format!("{before}{secret}"));
            let shown = masked(&[secret], &[text.as_bytes()]);
            assert!(shown.contains("***") && shown.len() < before.len() * 2 + 10, "{shown}");
        }
    }

    #[test]
    fn what_is_too_short_to_be_a_secret_is_left_alone() {
        assert_eq!(masked(&["a", "", "abc"], &[b"abcabc"]), "abcabc");
    }
}
