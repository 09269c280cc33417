use std::time::Duration;

use nox_contract::subject;

use crate::support::{code, connect, headers, setup, soon, stopwatch};

const TTL: Duration = Duration::from_secs(2);

#[tokio::test]
async fn one_holds_the_lease_until_it_gives_it_up() {
    let setup = setup().await;
    let mut a = setup.broker.lease("a".into(), TTL);
    let mut b = connect(&setup.server, "other").await.lease("b".into(), TTL);

    assert!(a.acquire().await.unwrap());
    assert!(!b.acquire().await.unwrap());
    assert!(a.renew().await.unwrap());
    assert!(!b.renew().await.unwrap());
    b.release().await.unwrap();
    assert!(!b.acquire().await.unwrap());

    let waiting = tokio::spawn(async move {
        b.wait_free().await;
        b
    });
    a.release().await.unwrap();
    let released = stopwatch();
    let mut b = soon(waiting).await.unwrap();
    assert!(b.acquire().await.unwrap());
    println!("taken over {:?} after the release", released.elapsed());
    assert!(released.elapsed() < TTL);
    assert!(!a.renew().await.unwrap());
    assert!(!a.acquire().await.unwrap());
}

#[tokio::test]
async fn a_lease_that_is_not_renewed_runs_out_and_its_holder_cannot_renew_it_any_more() {
    let setup = setup().await;
    let mut a = setup.broker.lease("a".into(), TTL);
    let mut b = connect(&setup.server, "other").await.lease("b".into(), TTL);
    assert!(a.acquire().await.unwrap());
    tokio::time::sleep(TTL / 2).await;
    let renewed = stopwatch();
    assert!(a.renew().await.unwrap());

    soon(b.wait_free()).await;
    let free = renewed.elapsed();
    println!("free {free:?} after the last renewal, of {TTL:?}");
    assert!(free >= TTL - Duration::from_millis(100), "{free:?}");
    assert!(b.acquire().await.unwrap());

    assert!(!a.renew().await.unwrap());
    a.release().await.unwrap();
    assert!(b.renew().await.unwrap());
}

#[tokio::test]
async fn a_stale_renewal_is_refused_by_the_broker() {
    let setup = setup().await;
    let mut a = setup.broker.lease("a".into(), TTL);
    assert!(a.acquire().await.unwrap());
    let first = setup.broker.last_sequence("KV_NOX_LEASE").await.unwrap();
    assert!(a.renew().await.unwrap());

    let key = format!("$KV.{}.scheduler", subject::LEASE);
    let stale = headers(&[("Nats-Expected-Last-Subject-Sequence", &first.to_string())]);
    let refused = setup.broker.publish(key, stale, "a".into()).await.unwrap_err();
    assert_eq!(code(&refused), Some(10071));
    // Whoever was not told of a renewal recognizes the name.
    let mut again = setup.broker.lease("a".into(), TTL);
    assert!(again.acquire().await.unwrap());
    assert!(a.renew().await.unwrap());
}

#[tokio::test]
async fn a_lease_outlives_the_broker() {
    let mut setup = setup().await;
    let mut a = setup.broker.lease("a".into(), Duration::from_secs(30));
    assert!(a.acquire().await.unwrap());
    setup.server.kill9();
    setup.server.restart().await.unwrap();

    let mut b = connect(&setup.server, "other").await.lease("b".into(), TTL);
    assert!(!b.acquire().await.unwrap());
    soon(setup.broker.link().wait_for(|link| link.up)).await.unwrap();
    assert!(
        soon(async {
            loop {
                if let Ok(renewed) = a.renew().await {
                    return renewed;
                }
            }
        })
        .await
    );
}
