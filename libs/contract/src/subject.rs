//! The names of streams and subjects, in this one file.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{CloudEvent, JobId, TenantId, UserId, WorkerId};

pub const COMMANDS: &str = "NOX_COMMANDS";
pub const REPORTS: &str = "NOX_REPORTS";
pub const EVENTS: &str = "NOX_EVENTS";
pub const READERS: &str = "NOX_READERS";
pub const BEATS: &str = "NOX_BEATS";
pub const LOGS: &str = "NOX_LOGS";
pub const FEED: &str = "NOX_FEED";
/// Key-value bucket of the scheduler's lease.
pub const LEASE: &str = "NOX_LEASE";
/// Object store of the scheduler's snapshots.
pub const SNAPSHOTS: &str = "NOX_SNAPSHOTS";

/// Who leads, and the fence against everybody who no longer does.
pub const EPOCH: &str = "nox.ctl.epoch";
/// The frames of the log. One subject for all of them: the broker remembers every subject for ever.
pub const FRAMES: &str = "nox.evt";

pub fn commands(tenant: &TenantId) -> String {
    format!("nox.cmd.{tenant}")
}

pub fn reports(worker: &WorkerId) -> String {
    format!("nox.rep.{worker}")
}

pub fn work(worker: &WorkerId) -> String {
    format!("nox.work.{worker}")
}

/// Where a reader of the log says how far it has come.
pub fn reader(name: &str) -> String {
    format!("nox.reader.{name}")
}

pub fn beat(worker: &WorkerId) -> String {
    format!("nox.beat.{worker}")
}

pub fn log(tenant: &TenantId, job: JobId) -> String {
    format!("nox.log.{tenant}.{job}")
}

/// All logs of all jobs.
pub const ALL_LOGS: &str = "nox.log.>";

/// What of an id stands in a subject as it is. All else is percent-encoded, the dot as well, so that any text is
/// one token, and whatever decodes a part of a URL gives it back.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// Where an event is published: `nox.feed.<tenant>.<kind>.<id>.<word>`, the id percent-encoded: the account
/// `user/a.b` is `user%2Fa%2Eb`.
pub fn feed(event: &CloudEvent) -> String {
    let id = utf8_percent_encode(&event.subject, ENCODED);
    let (kind, word) = (event.event_type.kind().as_str(), event.event_type.word());
    format!("nox.feed.{}.{kind}.{id}.{word}", event.tenant())
}

/// The account of a user within its tenant.
pub fn user_account(user: &UserId) -> String {
    format!("user/{user}")
}

/// The tenant's own account.
pub const TENANT_ACCOUNT: &str = "tenant";

/// The last token of a subject of commands, reports, beats, work or readers: the tenant, the worker or the
/// reader.
pub fn last_token(subject: &str) -> &str {
    subject.rsplit('.').next().unwrap_or(subject)
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;

    use super::*;
    use crate::{EventType, FactPlace, RawJson, Timestamp};

    fn event(event_type: EventType, about: &str) -> CloudEvent {
        CloudEvent {
            specversion: "1.0",
            id: FactPlace::default(),
            source: "/nox/acme".to_owned(),
            event_type,
            subject: about.to_owned(),
            time: Timestamp::from_micros(0),
            datacontenttype: "application/json",
            traceparent: None,
            data: RawJson::of(&()).unwrap(),
        }
    }

    #[test]
    fn whatever_an_event_is_about_is_one_token_of_its_subject_and_can_be_read_back() {
        for about in ["user/a.b", "xtb-opt_2", "> *.%2E", "münchen", "\u{7f}\t\r\n"] {
            let subject = feed(&event(EventType::Reserved, about));
            let tokens: Vec<_> = subject.split('.').collect();
            assert_eq!(tokens.len(), 6, "{subject}");
            assert_eq!(&tokens[..4], ["nox", "feed", "acme", "quota"]);
            assert!(tokens[4].bytes().all(|b| b.is_ascii_graphic() && !b"*>".contains(&b)));
            assert_eq!(percent_decode_str(tokens[4]).decode_utf8().unwrap(), about);
        }
        let subject = feed(&event(EventType::Succeeded, "0190"));
        assert_eq!(subject, "nox.feed.acme.job.0190.succeeded");
    }
}
