//! What an audit is told of frames.

use nox_contract::{
    Frame,
    audit::{self, Outcome},
};

use crate::kind::Kind;

fn frame(name: &str) -> Frame {
    let stored = Kind::Frames.stored();
    let (_, text) =
        stored.iter().find(|(stored, _)| stored.ends_with(&format!("/{name}"))).expect(name);
    serde_json::from_str(text).unwrap()
}

#[test]
fn an_act_says_who_asked_for_it_and_a_refusal_is_one() {
    let frame = frame("asked");
    let acts = audit::acts(&frame);
    let told: Vec<_> = acts.iter().map(|act| (act.verb.as_str(), act.outcome)).collect();
    assert_eq!(
        told,
        [
            ("job.submit", Outcome::Done),
            ("job.cancel", Outcome::Done),
            ("job.cancel", Outcome::Refused)
        ]
    );
    let by_key: Vec<_> = acts.iter().map(|act| act.key_id.is_some()).collect();
    assert_eq!(by_key, [true, true, false]);
    for act in &acts {
        assert_eq!(act.from.as_deref(), Some("192.0.2.7"));
        assert_eq!(act.reason.as_deref(), Some("a deadline"));
        assert_eq!(act.user_id.as_ref().map(|user| user.as_str()), Some("ada@example.org"));
    }
    assert_eq!(acts[2].code.as_deref(), Some("job_not_found"));
    assert!(acts.windows(2).all(|pair| pair[0].id < pair[1].id));
}

#[test]
fn no_act_has_what_is_in_a_job_or_proves_a_key() {
    let mut seen = 0;
    for (name, text) in Kind::Frames.stored() {
        let frame: Frame = serde_json::from_str(&text).unwrap();
        for act in audit::acts(&frame) {
            let text = serde_json::to_string(&act).unwrap();
            for hidden in ["\"inputs\"", "\"outputs\"", "\"hash\"", "nested"] {
                assert!(!text.contains(hidden), "{name}: {text}");
            }
            assert!(act.verb.contains('.') && !act.object.kind.is_empty(), "{name}: {text}");
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}
