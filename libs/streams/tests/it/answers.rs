use nox_contract::{Accepted, Answer, AnswerMessage, FrameNumber, Outcome};

use crate::support::{connect, setup, soon, until};

fn answer(n: u64) -> AnswerMessage {
    let accepted = Accepted { n: FrameNumber(n), job_id: None, state: None, repeated: false };
    AnswerMessage { answers: vec![Answer { part: 0, outcome: Outcome::Accepted(accepted) }] }
}

#[tokio::test]
async fn each_answer_reaches_the_one_that_waits_for_it() {
    let setup = setup().await;
    let inbox = connect(&setup.server, "gateway").await.answer_inbox();
    let (mut waiting, mut addresses) = (Vec::new(), Vec::new());
    for n in 0..1000 {
        let (reply_to, answer) = inbox.next();
        addresses.push((n, reply_to));
        waiting.push((n, answer));
    }
    for (n, reply_to) in addresses.into_iter().rev() {
        setup.broker.answer(reply_to, &answer(n));
    }
    for (n, receiver) in waiting {
        assert_eq!(soon(receiver).await.unwrap(), answer(n));
    }
}

#[tokio::test]
async fn an_inbox_works_again_after_a_restart() {
    let mut setup = setup().await;
    let gateway = connect(&setup.server, "gateway").await;
    let inbox = gateway.answer_inbox();
    setup.server.kill9();
    setup.server.restart().await.unwrap();
    for broker in [&gateway, &setup.broker] {
        until(|| async { broker.last_sequence("NOX_EVENTS").await.is_ok() }).await;
        until(|| async { broker.link().borrow().up }).await;
    }
    let (reply_to, receiver) = inbox.next();
    setup.broker.answer(reply_to, &answer(1));
    assert_eq!(soon(receiver).await.unwrap(), answer(1));
}

#[tokio::test]
async fn an_answer_goes_nowhere_but_to_an_inbox() {
    let setup = setup().await;
    setup.broker.answer("nox.evt".into(), &answer(1));
    soon(setup.broker.flush()).await;
    assert_eq!(setup.broker.last_sequence("NOX_EVENTS").await.unwrap(), 0);
}
