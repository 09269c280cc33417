//! What somebody may have meant who misspelt a word.

/// Most words that are named.
const NAMED_MAX: usize = 5;
/// A shorter part is in too many words.
const PART_BYTES_MIN: usize = 3;

/// Those of `known` that `text` is within two typing errors of, or a part of; the nearest first.
pub fn near<'k>(text: &str, known: impl IntoIterator<Item = &'k str>) -> Vec<&'k str> {
    let text = text.to_lowercase();
    let mut found: Vec<(usize, &str)> = known
        .into_iter()
        .filter_map(|word| {
            let within = text.len() >= PART_BYTES_MIN && word.contains(&text);
            let errors = errors(&text, word);
            (within || errors <= 2).then_some((errors, word))
        })
        .collect();
    found.sort_unstable();
    found.into_iter().take(NAMED_MAX).map(|(_, word)| word).collect()
}

/// Characters that have to be put in, left out or replaced.
fn errors(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_named_first_and_others_not_at_all() {
        let known = ["succeeded", "submitted", "worker_joined", "worker_left", "failed"];
        assert_eq!(near("suceeded", known), ["succeeded"]);
        assert_eq!(near("FAILD", known), ["failed"]);
        assert_eq!(near("worker", known), ["worker_left", "worker_joined"]);
        assert!(near("", known).is_empty() && near("elephants", known).is_empty());
        assert_eq!((errors("abc", ""), errors("", "ab"), errors("kitten", "sitting")), (3, 2, 3));
    }
}
