//! What the broker does not let its user do. It says so beside all answers, so that whoever asked
//! would wait in vain; here the two come together again.

use std::{collections::VecDeque, fmt};

use crate::{Error, PublishError, mux::Mux};

/// How many are remembered: far more than are asked at a time.
const REMEMBERED_MAX: usize = 64;

/// The code of an error that says so.
pub const NOT_PERMITTED: u64 = 403;

/// One thing that the user of a connection may not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the broker's user {user:?} may not {verb} {subject:?}: see nats/permissions.conf")]
pub struct Denied {
    pub user: String,
    pub verb: Verb,
    pub subject: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Publish,
    Subscribe,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Publish => "publish to",
            Self::Subscribe => "subscribe to",
        })
    }
}

impl Denied {
    /// Reads what the broker complains of: `Permissions Violation for Publish to "nox.evt.x"`.
    pub(crate) fn read(user: &str, complaint: &str) -> Option<Self> {
        let (_, rest) = complaint.split_once("Permissions Violation for ")?;
        let (verb, rest) = rest.split_once(" to \"")?;
        let verb = match verb {
            "Publish" => Verb::Publish,
            "Subscription" => Verb::Subscribe,
            _ => return None,
        };
        let (subject, _) = rest.split_once('"')?;
        Some(Self { user: user.to_owned(), verb, subject: subject.to_owned() })
    }
}

impl From<Denied> for Error {
    fn from(denied: Denied) -> Self {
        Self::Refused { code: NOT_PERMITTED, description: denied.to_string() }
    }
}

/// What was denied on a connection so far.
#[derive(Debug, Default)]
pub(crate) struct Denials {
    newest: VecDeque<(u64, Denied)>,
    /// How many there were.
    pub(crate) count: u64,
}

impl Denials {
    pub(crate) fn add(&mut self, denied: Denied) {
        self.count += 1;
        self.newest.push_back((self.count, denied));
        if self.newest.len() > REMEMBERED_MAX {
            self.newest.pop_front();
        }
    }

    /// What leaves a question on `subject` without an answer that is awaited in an inbox below
    /// `inboxes`: a denial of either, the former after `since` others.
    pub(crate) fn of_question(&self, subject: &str, inboxes: &str, since: u64) -> Option<&Denied> {
        let concerns = |(number, denied): &&(u64, Denied)| match denied.verb {
            Verb::Publish => *number > since && denied.subject == subject,
            Verb::Subscribe => denied.subject.starts_with(inboxes),
        };
        self.newest.iter().find(concerns).map(|(_, denied)| denied)
    }

    pub(crate) fn first(&self) -> Option<&Denied> {
        self.newest.front().map(|(_, denied)| denied)
    }
}

impl Mux {
    /// Resolves with the first thing that was denied on this connection.
    pub(crate) async fn denied(&self) -> Denied {
        self.denial(|denials| denials.first().cloned()).await
    }

    /// Resolves when a question that is asked after this call is denied.
    pub(crate) fn denied_question(&self, subject: &str) -> impl Future<Output = Denied> {
        let since = self.denials.borrow().count;
        let inboxes = &self.own.inboxes;
        self.denial(move |denials| denials.of_question(subject, inboxes, since).cloned())
    }

    async fn denial(&self, found: impl Fn(&Denials) -> Option<Denied>) -> Denied {
        let mut denials = self.denials.subscribe();
        loop {
            if let Some(denied) = found(&denials.borrow_and_update()) {
                return denied;
            }
            // The sender is this one's own.
            if denials.changed().await.is_err() {
                std::future::pending().await
            }
        }
    }

    /// Ends the wait of whoever wrote what may not be written; nothing of it is stored.
    pub(crate) fn complain(&self, denied: Denied) {
        tracing::error!(%denied, "The broker refuses");
        if denied.verb == Verb::Publish {
            let waiting = self.state().acks.take_of(&denied.subject);
            for reply in waiting {
                let _ = reply.send(Err(PublishError::refused(NOT_PERMITTED, denied.to_string())));
            }
        }
        self.denials.send_modify(|denials| denials.add(denied));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_broker_complains_of_is_read() {
        let read = |text| Denied::read("ada", text);
        let publish = read("nats: Permissions Violation for Publish to \"$JS.API.INFO\"").unwrap();
        assert_eq!((publish.verb, &*publish.subject), (Verb::Publish, "$JS.API.INFO"));
        let queue =
            read("Permissions Violation for Subscription to \"_INBOX.>\" using queue \"q\"");
        assert_eq!(queue.map(|denied| denied.verb), Some(Verb::Subscribe));
        assert_eq!(read("Maximum Payload Violation"), None);
        let told = publish.to_string();
        assert!(told.contains("\"ada\" may not publish to \"$JS.API.INFO\""), "{told}");
    }

    #[test]
    fn a_question_fails_for_its_own_subject_or_for_its_inbox() {
        let denied =
            |verb, subject: &str| Denied { user: "ada".into(), verb, subject: subject.into() };
        let mut denials = Denials::default();
        denials.add(denied(Verb::Publish, "a"));
        assert!(denials.of_question("a", "_INBOX_x.", 0).is_some());
        assert!(denials.of_question("a", "_INBOX_x.", denials.count).is_none());
        assert!(denials.of_question("b", "_INBOX_x.", 0).is_none());
        denials.add(denied(Verb::Subscribe, "_INBOX_x.7.*"));
        assert!(denials.of_question("b", "_INBOX_x.", denials.count).is_some());
    }
}
