//! It stops loudly where going on would make wrong rows.

use crate::system::System;

/// The rows are where the log was sound, and the process says why it ended.
async fn stops_with(system: &System, message: &str) {
    let projector = system.projector(system.config());
    let readiness = projector.runtime.readiness.clone();
    let end = projector.end().await.unwrap_err();
    assert!(end.contains(message), "{end}");
    assert!(!readiness.is_ready());
}

async fn followed(system: &mut System) {
    let projector = system.projector(system.config());
    system.write(|log| log.jobs(20)).await;
    system.caught_up().await;
    projector.stop().await;
}

#[tokio::test]
async fn a_message_that_does_not_follow_is_not_projected() {
    let mut system = System::start().await;
    followed(&mut system).await;
    let sound = system.log.n();
    system.write(|log| log.forged()).await;
    stops_with(&system, "chain broken").await;
    assert_eq!(system.reader.progress().await.unwrap().n, sound);
    let status = system.process("").end().await;
    assert_eq!(status.code(), Some(1));
}

#[tokio::test]
async fn a_fact_that_cannot_follow_is_not_projected() {
    let mut system = System::start().await;
    followed(&mut system).await;
    let sound = system.log.n();
    system.write(|log| log.illegal()).await;
    stops_with(&system, "started cannot follow nothing").await;
    assert_eq!(system.reader.progress().await.unwrap().n, sound);
}

#[tokio::test]
async fn a_log_that_was_made_anew_is_not_followed() {
    let mut system = System::start().await;
    followed(&mut system).await;
    system.replace_broker().await;
    system.write(|log| log.jobs(40)).await;
    stops_with(&system, "the log is another one").await;
}

#[tokio::test]
async fn a_log_that_was_rolled_back_is_not_followed() {
    let mut system = System::start().await;
    followed(&mut system).await;
    // As if the rows had seen more of the log than it has now.
    system.postgres.psql("update nox_1.projection set n = n + 5").await.unwrap();
    stops_with(&system, "rolled back").await;
}

#[tokio::test]
async fn of_two_projectors_one_ends_and_the_other_goes_on() {
    let mut system = System::start().await;
    let (one, other) = (system.projector(system.config()), system.projector(system.config()));
    // Whoever attaches when nothing is written any more does not get in the other's way; over what the log
    // has already they may meet at once.
    let attached = || [&one, &other].iter().all(|p| p.runtime.readiness.is_ready());
    let either_ended = || one.task.is_finished() || other.task.is_finished();
    system.until("both are attached", async || attached() || either_ended()).await;
    for _ in 0..200 {
        system.write(|log| log.jobs(5)).await;
        if either_ended() {
            break;
        }
    }
    system.until("one of them ends", async || either_ended()).await;
    system.caught_up().await;
    let (ended, lives) = if one.task.is_finished() { (one, other) } else { (other, one) };
    let message = ended.end().await.unwrap_err();
    assert!(message.contains("another projector"), "{message}");
    system.write(|log| log.jobs(5)).await;
    system.caught_up().await;
    lives.stop().await;
}
