//! The small types: what they let through, and that they come back as they went.

use std::{fmt::Debug, time::Duration};

use nox_contract::{
    Attempt, Capacity, Chain, FrameNumber, JobId, JobState, ModuleName, Place, Resources, TenantId,
    Timestamp, Token, TopicName, UserId, WorkerId, subject,
};
use serde::{Serialize, de::DeserializeOwned};

const JOB: &str = "0193a000-0000-7000-8000-000000000001";

fn assert_comes_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let text = serde_json::to_string(value).unwrap();
    assert_eq!(&serde_json::from_str::<T>(&text).unwrap(), value, "{text}");
}

#[test]
fn ids_in_subjects_are_slugs() {
    for good in ["a", "0", "acme", "a-b_c", &"x".repeat(63)] {
        assert!(good.parse::<TenantId>().is_ok(), "{good}");
        assert!(good.parse::<WorkerId>().is_ok(), "{good}");
    }
    for bad in
        ["", "-a", "_a", "A", "a.b", "a b", "a*", ">", "ä", "a\n", "a/b", "$SYS", &"x".repeat(129)]
    {
        assert!(bad.parse::<TenantId>().is_err(), "{bad}");
        assert!(bad.parse::<WorkerId>().is_err(), "{bad}");
        assert!(bad.parse::<ModuleName>().is_err(), "{bad}");
        assert!(serde_json::from_value::<TenantId>(bad.into()).is_err(), "{bad}");
    }
    assert!("x".repeat(64).parse::<TenantId>().is_err());
    assert!("x".repeat(128).parse::<WorkerId>().is_ok());
    assert!("a-b".parse::<ModuleName>().is_err(), "a module's name is an identifier");
    assert!("xtb_hello".parse::<ModuleName>().is_ok());
}

#[test]
fn the_reserved_tenant_is_a_tenant_and_nobody_is_no_worker() {
    assert!(TenantId::SYSTEM.parse::<TenantId>().unwrap().is_system());
    assert!(WorkerId::nobody().as_str().parse::<WorkerId>().is_err());
}

#[test]
fn a_worker_that_speaks_http_is_another_one_in_another_tenant() {
    let id = "5f0c2d3e-1a2b-4c3d-8e9f-0a1b2c3d4e5f".parse().unwrap();
    let of = |tenant: &str| WorkerId::of_http(&tenant.parse().unwrap(), id);
    assert_ne!(of("acme"), of("acme-2"));
    for worker in [of("acme"), of("a-b_c"), of(&"x".repeat(63))] {
        assert_comes_back(&worker);
        assert_eq!(worker.http_id(), Some(id), "{worker}");
    }
    for other in ["exec-1", "http-", "http-acme", "acme-5f0c2d3e-1a2b-4c3d-8e9f-0a1b2c3d4e5f"] {
        assert_eq!(other.parse::<WorkerId>().unwrap().http_id(), None, "{other}");
    }
}

#[test]
fn a_topic_has_three_parts() {
    let topic: TopicName = "@global:modifiers:Rotate me".parse().unwrap();
    assert_eq!(topic.parts(), ("@global", "modifiers", "Rotate me"));
    for bad in ["", "a:b", "a:b:c:d", "a::c", ":b:c", "a:b:", "a:b:c\n", &"x:".repeat(300)] {
        assert!(bad.parse::<TopicName>().is_err(), "{bad:?}");
    }
}

#[test]
fn a_user_may_be_any_text_without_control_characters() {
    for good in ["ada", "ada lovelace", "käthe", "a/b", "../..", "a.b>*", &"ü".repeat(128)] {
        assert_comes_back(&good.parse::<UserId>().unwrap());
    }
    for bad in ["", "a\nb", "\u{0}", "\u{7f}", &"x".repeat(257), &"ü".repeat(129)] {
        assert!(bad.parse::<UserId>().is_err(), "{bad:?}");
    }
}

#[test]
fn a_token_is_good_for_one_attempt_of_one_assignment() {
    let (key, job): ([u8; 32], JobId) = ([1; 32], JOB.parse().unwrap());
    let other: JobId = "0193a000-0000-7000-8000-000000000002".parse().unwrap();
    let token = Token::compute(&key, job, Attempt(1), FrameNumber(10));
    assert!(token.verify(&Token::compute(&key, job, Attempt(1), FrameNumber(10))));
    for forged in [
        Token::compute(&[2; 32], job, Attempt(1), FrameNumber(10)),
        Token::compute(&key, other, Attempt(1), FrameNumber(10)),
        Token::compute(&key, job, Attempt(2), FrameNumber(10)),
        Token::compute(&key, job, Attempt(1), FrameNumber(11)),
    ] {
        assert!(!token.verify(&forged));
    }
    for text in ["", "f00", "zz"] {
        let garbage: Token = serde_json::from_value(text.into()).unwrap();
        assert!(!token.verify(&garbage) && !garbage.verify(&garbage), "{text}");
    }
    assert_comes_back(&token);
    assert_eq!(format!("{token:?}"), "Token(…)", "a token is not for logs");
}

#[test]
fn a_chain_depends_on_every_message_and_on_their_order() {
    let chain = |messages: &[&[u8]]| messages.iter().fold(Chain::START, |c, m| c.extend(m));
    let ab = chain(&[b"a", b"b"]);
    for other in [chain(&[]), chain(&[b"a"]), chain(&[b"b", b"a"]), chain(&[b"ab"])] {
        assert_ne!(ab, other);
    }
    assert_eq!(Chain::parse(&ab.to_string()), Some(ab));
    assert_comes_back(&ab);
    for bad in ["", "b3:", "b3:00", "b2:00", &ab.to_string()[3..], &format!("{ab}0")] {
        assert_eq!(Chain::parse(bad), None, "{bad}");
    }
}

#[test]
fn an_instant_keeps_its_microseconds() {
    for text in
        ["2026-11-21T22:00:00.123456Z", "1969-12-31T23:59:59.999999Z", "0001-01-01T00:00:00Z"]
    {
        let at: Timestamp = text.parse().unwrap();
        assert_eq!(at.to_string(), text);
        assert_comes_back(&at);
    }
    let offset: Timestamp = "2026-11-21T23:30:00+01:30".parse().unwrap();
    assert_eq!(offset.to_string(), "2026-11-21T22:00:00Z");
}

#[test]
fn every_instant_of_rfc_3339_is_read_and_nothing_else() {
    for (text, utc) in [
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
        ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999Z"),
        ("9999-12-31T22:59:59-01:00", "9999-12-31T23:59:59Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("0001-01-01T23:59:00+23:59", "0001-01-01T00:00:00Z"),
        ("2026-12-01t06:00:00z", "2026-12-01T06:00:00Z"),
        ("2026-12-01T06:00:00-00:00", "2026-12-01T06:00:00Z"),
        ("2026-12-01T06:00:00.5+02:00", "2026-12-01T04:00:00.5Z"),
        ("2024-02-29T00:00:00+23:59", "2024-02-28T00:01:00Z"),
    ] {
        assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), utc, "{text}");
    }
    for (text, at) in [
        ("2026-12-01T06:00:00+05:00[Europe/Berlin]", 26),
        ("2026-12-01T06:00:00Z[UTC]", 21),
        ("2026-12-01T06:00:00-25:00", 21),
        ("2026-12-01T06:00:00+24:00", 21),
        ("2026-12-01T06:00:00+05:60", 24),
        ("2026-12-01T06:00:00+0500", 23),
        ("2026-12-01T06:00:00+05", 23),
        ("2026-12-01T06:00:00", 20),
        ("2026-12-01T06:00:00.Z", 21),
        ("2026-12-01T06:00:00,5Z", 20),
        ("2026-12-01T06:00Z", 17),
        ("2026-12-01T24:00:00Z", 12),
        ("2016-12-31T23:59:60Z", 18),
        ("2026-12-01 06:00:00Z", 11),
        ("2026-12-01", 11),
        ("2026-02-29T00:00:00Z", 1),
        ("2026-13-01T00:00:00Z", 6),
        ("0000-01-01T00:00:00Z", 1),
        ("10000-01-01T00:00:00Z", 5),
        ("+002026-12-01T00:00:00Z", 1),
        ("0001-01-01T00:00:00+00:01", 1),
        ("9999-12-31T23:59:59-00:01", 1),
        ("2026-12-01T06:00:00Z ", 21),
        (" 2026-12-01T06:00:00Z", 1),
        ("２０26-12-01T06:00:00Z", 1),
        ("20261201T060000Z", 5),
        ("tomorrow", 1),
        ("", 1),
    ] {
        let error = text.parse::<Timestamp>().expect_err(text).to_string();
        assert!(error.contains(&format!("from character {at} on")), "{text:?}: {error}");
    }
}

#[test]
fn a_day_begins_at_midnight_utc_before_and_after_1970() {
    for (at, start) in [
        ("2026-11-21T23:59:59.999999Z", "2026-11-21T00:00:00Z"),
        ("2026-11-21T00:00:00Z", "2026-11-21T00:00:00Z"),
        ("1969-12-31T23:59:59Z", "1969-12-31T00:00:00Z"),
    ] {
        assert_eq!(at.parse::<Timestamp>().unwrap().start_of_day(), start.parse().unwrap());
    }
}

#[test]
fn no_span_leads_to_an_instant_that_cannot_be_written() {
    let at: Timestamp = "2026-11-21T22:00:00Z".parse().unwrap();
    for span in [Duration::ZERO, Duration::from_millis(u64::MAX), Duration::MAX] {
        for instant in [at + span, at - span, at + span + span, at - span - span] {
            assert_comes_back(&instant);
            assert_comes_back(&instant.start_of_day());
        }
        assert!(at + span >= at && at - span <= at);
    }
    for micros in [i64::MIN, i64::MAX] {
        assert_comes_back(&Timestamp::from_micros(micros));
    }
    assert_eq!((at + Duration::from_secs(2)).since(at), Duration::from_secs(2));
    assert_eq!(at.since(at + Duration::from_secs(2)), Duration::ZERO);
}

#[test]
fn the_largest_request_costs_as_much_as_can_be_counted() {
    let most = Resources { cpu: u32::MAX, mem_mb: u32::MAX, wall_time_s: u32::MAX, gpu: u32::MAX };
    assert_eq!(most.cpu_seconds(), i64::MAX);
    let some = Resources { cpu: 3, mem_mb: 1, wall_time_s: 20, gpu: 0 };
    assert_eq!(some.cpu_seconds(), 60);
    let worker = Capacity { slots: 2, cpu: u32::MAX, mem_mb: u32::MAX, gpu: u32::MAX };
    let mut used = Capacity::default();
    assert!(worker.fits(&used, &most));
    used.take(&most);
    assert!(!worker.fits(&used, &some));
    used.give_back(&most);
    assert_eq!(used, Capacity::default());
}

#[test]
fn a_worker_without_a_free_slot_has_no_room() {
    let asked = Resources { cpu: 1, mem_mb: 1, wall_time_s: 1, gpu: 1 };
    let worker = Capacity { slots: 2, cpu: 2, mem_mb: 2, gpu: 2 };
    for (used, fits) in [
        (Capacity { slots: 1, cpu: 1, mem_mb: 1, gpu: 1 }, true),
        (Capacity { slots: 2, ..Capacity::default() }, false),
        (Capacity { cpu: 2, ..Capacity::default() }, false),
        (Capacity { mem_mb: 2, ..Capacity::default() }, false),
        (Capacity { gpu: 2, ..Capacity::default() }, false),
    ] {
        assert_eq!(worker.fits(&used, &asked), fits, "{used:?}");
    }
}

#[test]
fn every_surfaces_word_for_a_state_is_understood() {
    use JobState::{Canceled, Failed, Queued, Succeeded};
    for (word, state) in [
        ("pending", Queued),
        ("completed", Succeeded),
        ("success", Succeeded),
        ("failure", Failed),
        ("cancelled", Canceled),
    ] {
        assert_eq!(word.parse(), Ok(state));
    }
    for word in ["", "Queued", "done", "queued "] {
        assert!(word.parse::<JobState>().is_err(), "{word}");
    }
}

#[test]
fn a_subject_names_whose_it_is() {
    let tenant: TenantId = "acme".parse().unwrap();
    let worker: WorkerId = "exec-1".parse().unwrap();
    assert_eq!(subject::last_token(&subject::commands(&tenant)), "acme");
    for subject in [subject::reports(&worker), subject::work(&worker), subject::beat(&worker)] {
        assert_eq!(subject::last_token(&subject), "exec-1");
    }
    // A user may be called as it likes, and has the tenant's name for none of its own.
    let hostile: UserId = "tenant".parse().unwrap();
    assert_ne!(subject::user_account(&hostile), subject::TENANT_ACCOUNT);
}

#[test]
fn a_place_says_what_is_consumed_to_the_part() {
    let within = Place { seq: 7, part: 3 };
    assert_eq!(within.whole(), 6);
    assert_eq!([6, 7, 8].map(|seq| within.parts_of(seq)), [None, Some(3), Some(0)]);
    let behind = Place::after(7);
    assert_eq!(behind.whole(), 7);
    assert_eq!([7, 8].map(|seq| behind.parts_of(seq)), [None, Some(0)]);
    assert!(Place::default() < within && within < behind && behind < Place { seq: 8, part: 1 });
    // The beginning of a stream, which has no message 0.
    assert_eq!((Place::default().whole(), Place::default().parts_of(1)), (0, Some(0)));
}
