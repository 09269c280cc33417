//! Whether the archive is of the log that there is. A log that lost its end may have gone on without it: then
//! nothing archived may stand for what there is now, and nothing be cut that only seems to be archived.

use nox_contract::subject;

use crate::Faults;

/// What one message of both says of all of the log up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agreement {
    Same,
    Another,
    /// So far the same; the message before has to be compared as well.
    LookBefore,
}

/// Compares a message, by subject and payload, as the stream has it with the payload that is archived of it. The
/// stream does not have what was cut off, by somebody who had compared it.
pub fn compare(there: Option<(&str, &[u8])>, kept: &[u8], faults: Faults) -> Agreement {
    match there {
        _ if faults.archive_not_compared => Agreement::Same,
        None => Agreement::Same,
        Some((_, payload)) if payload != kept => Agreement::Another,
        // A frame names all before it; the record of an epoch does not.
        Some((subject::EPOCH, _)) => Agreement::LookBefore,
        Some(_) => Agreement::Same,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_speaks_for_all_before_it_and_the_record_of_an_epoch_for_itself() {
        let compare = |subject, faults| compare(Some((subject, b"a")), b"a", faults);
        assert_eq!(compare(subject::FRAMES, Faults::default()), Agreement::Same);
        assert_eq!(compare(subject::EPOCH, Faults::default()), Agreement::LookBefore);
        let cut_off = super::compare(None, b"a", Faults::default());
        assert_eq!(cut_off, Agreement::Same);
    }

    #[test]
    fn another_message_is_of_another_log() {
        for subject in [subject::FRAMES, subject::EPOCH] {
            let compare = |faults| compare(Some((subject, b"a")), b"b", faults);
            assert_eq!(compare(Faults::default()), Agreement::Another);
            let faults = Faults { archive_not_compared: true, ..Faults::default() };
            assert_eq!(compare(faults), Agreement::Same, "the control");
        }
    }
}
