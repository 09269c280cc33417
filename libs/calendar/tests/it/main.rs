//! When things are due, above all where clocks change.

use nox_calendar::{Calendar, NoCalendar};
use nox_contract::Timestamp;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn next(cron: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let calendar = Calendar::new(cron, zone).unwrap();
    let mut due = at(after);
    (0..count)
        .map(|_| {
            due = calendar.next(due).unwrap();
            due.to_string()
        })
        .collect()
}

/// A time of day that is skipped, with the day on which it is, and the instant behind the gap. The day after, it
/// is due at its own time again.
#[test]
fn what_is_due_in_a_gap_is_due_once_right_behind_it() {
    for (zone, cron, after, expected) in [
        // 02:00 to 03:00, on 2026-03-29.
        (
            "Europe/Berlin",
            "30 2 * * *",
            "2026-03-28T12:00:00Z",
            ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
        ),
        // 02:00 to 03:00, on 2026-03-08.
        (
            "America/New_York",
            "30 2 * * *",
            "2026-03-07T12:00:00Z",
            ["2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"],
        ),
        // 02:00 to 02:30, on 2026-10-04.
        (
            "Australia/Lord_Howe",
            "15 2 * * *",
            "2026-10-03T12:00:00Z",
            ["2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"],
        ),
        // 02:00 to 03:00, on 2026-03-22, when Ramadan has ended.
        (
            "Africa/Casablanca",
            "30 2 * * *",
            "2026-03-21T12:00:00Z",
            ["2026-03-22T02:00:00Z", "2026-03-23T01:30:00Z"],
        ),
        (
            "UTC",
            "30 2 * * *",
            "2026-03-28T12:00:00Z",
            ["2026-03-29T02:30:00Z", "2026-03-30T02:30:00Z"],
        ),
    ] {
        assert_eq!(next(cron, zone, after, 2), expected, "{zone}");
    }
}

#[test]
fn what_is_due_in_an_hour_that_comes_twice_is_due_at_its_first_time_alone() {
    for (zone, cron, after, expected) in [
        // 03:00 to 02:00, on 2026-10-25.
        (
            "Europe/Berlin",
            "30 2 * * *",
            "2026-10-24T12:00:00Z",
            ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
        ),
        // 02:00 to 01:00, on 2026-11-01.
        (
            "America/New_York",
            "30 1 * * *",
            "2026-10-31T12:00:00Z",
            ["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"],
        ),
        // 02:00 to 01:30, on 2026-04-05.
        (
            "Australia/Lord_Howe",
            "45 1 * * *",
            "2026-04-04T12:00:00Z",
            ["2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"],
        ),
        // 03:00 to 02:00, on 2026-02-15, when Ramadan begins.
        (
            "Africa/Casablanca",
            "30 2 * * *",
            "2026-02-14T12:00:00Z",
            ["2026-02-15T01:30:00Z", "2026-02-16T02:30:00Z"],
        ),
        (
            "UTC",
            "30 2 * * *",
            "2026-10-24T12:00:00Z",
            ["2026-10-25T02:30:00Z", "2026-10-26T02:30:00Z"],
        ),
    ] {
        assert_eq!(next(cron, zone, after, 2), expected, "{zone}");
    }
}

#[test]
fn what_is_due_every_half_hour_goes_by_the_time_that_passes() {
    // Neither a gap nor an hour that comes twice changes the distance of any two.
    for (zone, after) in [
        ("Europe/Berlin", "2026-03-28T22:00:00Z"),
        ("Europe/Berlin", "2026-10-24T22:00:00Z"),
        ("America/New_York", "2026-03-08T04:00:00Z"),
        ("America/New_York", "2026-11-01T04:00:00Z"),
        ("Africa/Casablanca", "2026-02-15T00:00:00Z"),
        ("Africa/Casablanca", "2026-03-22T00:00:00Z"),
        ("Australia/Lord_Howe", "2026-10-03T12:00:00Z"),
        ("Australia/Lord_Howe", "2026-04-04T12:00:00Z"),
        ("UTC", "2026-03-28T22:00:00Z"),
    ] {
        let due = next("*/30 * * * *", zone, after, 12);
        let due: Vec<_> = due.iter().map(|text| at(text)).collect();
        for pair in due.windows(2) {
            assert_eq!(pair[1].since(pair[0]).as_secs(), 1_800, "{zone} after {after}: {pair:?}");
        }
    }
}

#[test]
fn the_latest_of_those_that_were_missed_is_found() {
    let hourly = Calendar::new("0 * * * *", "Europe/Berlin").unwrap();
    let (from, until) = (at("2026-03-28T20:00:00Z"), at("2026-03-29T04:59:59.999999Z"));
    assert_eq!(hourly.latest(from, until), at("2026-03-29T04:00:00Z"));
    assert_eq!(hourly.latest(from, from), from);
    // One that is due behind a gap is found from behind as well.
    let nightly = Calendar::new("30 2 * * *", "Europe/Berlin").unwrap();
    let due = at("2026-03-29T01:00:00Z");
    assert_eq!(nightly.latest(due, at("2026-03-29T06:00:00Z")), due);
    assert_eq!(nightly.latest(due, at("2026-04-02T06:00:00Z")), at("2026-04-02T00:30:00Z"));
}

#[test]
fn names_ranges_steps_and_words_are_read() {
    let after = "2026-03-28T12:00:00Z";
    for (cron, expected) in [
        ("@daily", "2026-03-29T00:00:00Z"),
        ("@hourly", "2026-03-28T13:00:00Z"),
        ("@weekly", "2026-03-29T00:00:00Z"),
        ("@monthly", "2026-04-01T00:00:00Z"),
        ("@yearly", "2027-01-01T00:00:00Z"),
        ("15 9-17/2 * * MON-FRI", "2026-03-30T09:15:00Z"),
        ("0 0 * * 7", "2026-03-29T00:00:00Z"),
        ("0 0 * * SUN", "2026-03-29T00:00:00Z"),
        ("0 9 1 JAN,JUL *", "2026-07-01T09:00:00Z"),
        ("0 0 29 2 *", "2028-02-29T00:00:00Z"),
    ] {
        assert_eq!(next(cron, "UTC", after, 1), [expected], "{cron}");
    }
}

#[test]
#[expect(clippy::disallowed_types, reason = "it measures")]
fn what_is_no_expression_or_no_zone_is_refused_and_what_never_comes_is_never_due() {
    for cron in ["", "* * * *", "60 * * * *", "* * * * * *", "@reboot", "*/0 * * * *", "a b c d e"]
    {
        assert!(matches!(Calendar::new(cron, "UTC"), Err(NoCalendar::Cron(_))), "{cron}");
    }
    for zone in ["", "Europe/Atlantis", "+02:00", "../../etc/passwd"] {
        assert_eq!(Calendar::new("@daily", zone).map(drop), Err(NoCalendar::TimeZone), "{zone}");
    }
    let begun = std::time::Instant::now();
    let never = Calendar::new("0 0 30 2 *", "Europe/Berlin").unwrap();
    assert_eq!(never.next(at("2026-03-28T12:00:00Z")), None);
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
}
