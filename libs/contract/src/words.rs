//! The words of facts that this version knows: what they are called, and the members of their enums. Whatever rests on
//! facts says by which words it was made, so that a version that lacks one of them does not take it for whole.

use std::{collections::BTreeSet, sync::LazyLock};

use serde_json::Value;

use crate::Fact;

static OF_FACTS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let mut words = BTreeSet::new();
    collect(schemars::schema_for!(Fact).as_value(), &mut words);
    words
});

/// All words of facts, in their order; members that a fact has are none of them, for unknown ones are passed over.
pub fn of_facts() -> &'static BTreeSet<String> {
    &OF_FACTS
}

fn collect(schema: &Value, words: &mut BTreeSet<String>) {
    let add = |word: &Value, words: &mut BTreeSet<String>| {
        words.extend(word.as_str().map(str::to_owned));
    };
    match schema {
        Value::Array(items) => items.iter().for_each(|item| collect(item, words)),
        Value::Object(members) => {
            members.get("const").into_iter().for_each(|word| add(word, words));
            let listed = members.get("enum").and_then(Value::as_array);
            listed.into_iter().flatten().for_each(|word| add(word, words));
            for kinds in ["oneOf", "anyOf"].iter().filter_map(|kind| members.get(*kind)?.as_array())
            {
                // A variant with members is an object with one property, which bears its name.
                let names = kinds.iter().filter_map(|kind| kind.get("properties")?.as_object());
                words.extend(names.filter(|of| of.len() == 1).flat_map(|of| of.keys().cloned()));
            }
            members.values().for_each(|member| collect(member, words));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_facts_and_members_of_their_enums_are_words_and_members_of_facts_are_not() {
        let words = of_facts();
        for word in [
            "submitted",
            "schedule_occurred",
            "worker_silent",
            "suspected",
            "no_worker",
            "quota_exceeded",
        ] {
            let is_word = word != "quota_exceeded";
            assert_eq!(words.contains(word), is_word, "{word}");
        }
        assert!(!words.contains("module_version") && !words.contains("traceparent"));
    }
}
