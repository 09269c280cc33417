//! Answers that are costly and may be some seconds old.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// How old an answer may be.
const KEPT_FOR: Duration = Duration::from_secs(5);
/// Most answers that are kept; beyond that all are forgotten.
const KEPT_MAX: usize = 256;

/// Answers by what was asked, with when they were made, on the monotonic clock.
pub struct Kept<T>(Mutex<BTreeMap<String, (Duration, Arc<T>)>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Kept<T> {
    /// The answer, if there is one that is not too old.
    pub fn get(&self, asked: &str, now: Duration) -> Option<Arc<T>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, answer) = kept.get(asked)?;
        (now.saturating_sub(*at) < KEPT_FOR).then(|| answer.clone())
    }

    /// Keeps an answer that was made now.
    pub fn keep(&self, asked: String, now: Duration, answer: T) -> Arc<T> {
        let answer = Arc::new(answer);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, (at, _)| now.saturating_sub(*at) < KEPT_FOR);
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(asked, (now, answer.clone()));
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_kept_for_what_was_asked_and_not_for_long() {
        let kept = Kept::default();
        let at = Duration::from_secs;
        kept.keep("a".to_owned(), at(10), 1);
        assert_eq!(kept.get("a", at(14)).as_deref(), Some(&1));
        assert!(kept.get("a", at(15)).is_none() && kept.get("b", at(10)).is_none());
        for asked in 0..1_000 {
            kept.keep(asked.to_string(), at(20), asked);
        }
        assert!(kept.0.lock().unwrap().len() <= KEPT_MAX);
        kept.keep("a".to_owned(), at(30), 2);
        assert_eq!(kept.0.lock().unwrap().len(), 1);
    }
}
