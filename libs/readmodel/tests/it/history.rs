//! The history of a job: its own entries as they were written, and never another's.

use nox_contract::{Fact, FrameNumber, JobId, WaitingCode};

use crate::{
    log::{JobOf, Log, eventful, eventful_in, tenant},
    support::Database,
};

fn job(number: u64) -> JobOf {
    let (tenant, user) = [("acme", "ada"), ("acme", "bob"), ("zeta", "ada")][number as usize % 3];
    JobOf::new(tenant, user, ["command", "xtb"][number as usize % 2], number)
}

#[tokio::test]
async fn a_job_s_entries_are_told_byte_for_byte_and_nobody_else_s() {
    for log in [eventful(200), eventful_in(Log::in_frames_of(150), 200)] {
        let database = Database::start().await;
        database.filled(&log, 64).await;
        let reader = database.reader();
        for number in [0u64, 2, 6, 7, 199] {
            let job = job(number);
            let written = log.entries_of(&job);
            let kept = log.history(&reader, &job, FrameNumber(0)).await;
            let told: Vec<_> =
                kept.iter().map(|told| (told.n, told.entry.get().to_owned())).collect();
            assert_eq!(told, written);
            let later = log.history(&reader, &job, written[0].0).await;
            let expected = written.iter().filter(|(n, _)| *n > written[0].0).count();
            assert_eq!(later.len(), expected);
            assert_eq!(log.history(&reader, &job, log.n()).await, []);
        }
    }
}

#[tokio::test]
async fn an_entry_is_shown_with_its_frame_s_number_term_and_instant_and_not_its_inputs() {
    let database = Database::start().await;
    let mut log = Log::in_frames_of(100);
    log.open_tenant("acme", &["ada"]);
    log.open_tenant("zeta", &["ada"]);
    let (mine, theirs) = (job(0), job(2));
    log.submit_and_assign(&theirs, "exec-1");
    log.submit_and_assign(&mine, "exec-1");
    log.start_and_succeed(&mine, "exec-1");
    log.seal();
    database.filled(&log, 10).await;
    let told = log.history(&database.reader(), &mine, FrameNumber(0)).await;
    assert_eq!(told.len(), 2, "both stand in one frame");
    for (entry, (n, written)) in told.iter().zip(log.entries_of(&mine)) {
        let document = entry.document().unwrap();
        let head = format!(r#"{{"n":{n},"epoch":{},"at":"{}","#, log.epoch, log.at);
        assert_eq!(document.get(), format!("{head}{}", &written[1..]));
        for foreign in ["zeta", "inputs\":[", "somebody-elses-job", &theirs.id.to_string()] {
            assert!(!document.get().contains(foreign), "{foreign}: {document:?}");
        }
    }
    // The control: the frame says all of that.
    let frame = String::from_utf8(log.messages[log.n().0 as usize - 1].payload.to_vec()).unwrap();
    assert!(["zeta", "inputs\":[", "somebody-elses-job"].iter().all(|text| frame.contains(text)));

    let reader = database.reader();
    let elsewhere = reader.job_frames(&tenant("zeta"), mine.id, FrameNumber(0)).await.unwrap();
    assert_eq!(elsewhere.value, None);
    let nobody = JobId(uuid::Uuid::nil());
    let nobody = reader.job_frames(&tenant("acme"), nobody, FrameNumber(0)).await.unwrap();
    assert_eq!(nobody.value, None);
}

#[tokio::test]
async fn of_very_many_frames_the_first_and_the_newest_are_told() {
    const NEWEST: usize = 512;
    let database = Database::start().await;
    let mut log = Log::new();
    log.open_tenant("acme", &["ada"]);
    let job = job(0);
    log.submit(&job);
    for number in 0..600 {
        let code = [WaitingCode::Resources, WaitingCode::NoWorker][number % 2];
        log.entry(&job.entity(), [Fact::Waiting { code }]);
    }
    database.filled(&log, 100).await;
    let told = log.history(&database.reader(), &job, FrameNumber(0)).await;
    let told: Vec<_> = told.into_iter().map(|told| (told.n, told.entry.get().to_owned())).collect();
    let mut expected = log.entries_of(&job);
    expected.drain(1..expected.len() - NEWEST);
    assert_eq!(told, expected);
}
