//! An archive is bounded by removing what is oldest in it.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_segments_may_be_removed() {
    let mut cluster = start().await;
    let client = cluster.client("ada");
    let old = round(&client, "old").await;
    cluster.settle(WITHIN).await.unwrap();
    let first = until_cut(&cluster, 1).await;
    until_archived(&cluster).await;
    let mut gone = 0;
    for file in segment_files(&cluster) {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let last: u64 = name.split_once('-').unwrap().1.parse().unwrap();
        if last < first {
            fs::remove_file(file).unwrap();
            gone = last;
        }
    }
    assert!(gone > 1, "the control: something was removed");

    let scheduler = &mut cluster.schedulers[0];
    scheduler.kill9();
    scheduler.start().unwrap();
    let new = round(&client, "new").await;
    cluster.settle(WITHIN).await.unwrap();
    assert!(until_cut(&cluster, first).await > first, "it is cut as before");
    for job in new.iter().step_by(10) {
        assert!(!events(&client, *job).await.is_empty());
    }
    let answer = client.get(0, &format!("/jobs/{}/events", old[0])).await.unwrap();
    assert_eq!(answer.status.as_u16(), 503, "{}", answer.body);
    assert!(answer.body["detail"].as_str().unwrap().contains("frame "), "{}", answer.body);

    until_archived(&cluster).await;
    let archive = cluster.folder().join("archive").to_str().unwrap().to_owned();
    let env = [("NOX_NATS_URL", cluster.nats_url.as_str()), ("NOX_ARCHIVE", &archive)];
    let from = (gone + 1).to_string();
    let (status, said) = noxctl(&["log", "verify"], &env);
    assert_eq!(status, Some(1), "{said}");
    let expected = format!("gone are 2 to {gone}, and what is there from {from} on is whole");
    assert!(said.contains(&expected), "{said}");
    assert_eq!(noxctl(&["log", "verify", "--from", &from], &env).0, Some(0));
    let (status, said) = noxctl(&["log", "verify", "--from-archive"], &env);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains(&format!("gone are 1 to {gone}, ")), "{said}");
    let (status, said) = noxctl(&["log", "verify", "--from-archive", "--from", &from], &env);
    assert_eq!(status, Some(0), "{said}");
}
