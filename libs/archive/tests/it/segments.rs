//! Segments in a folder: found again byte for byte, or refused.

use std::{fs, path::PathBuf};

use futures_util::TryStreamExt;
use nox_archive::{Archive, ArchiveError, LogArchive, SegmentBuilder};
use nox_contract::{Chain, FrameNumber, Incarnation};
use nox_protocol::ReadError;
use nox_streams::Message;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::support::{archive, chain, log, segment};

fn path(archive: &LogArchive, folder: &TempDir, name: &str) -> PathBuf {
    assert_eq!(archive.incarnation().0, "2026-11-21T22:00:00Z/abc");
    folder.path().join("log").join("2026-11-21T22=3a00=3a00Z=2fabc").join(name)
}

async fn all(archive: &LogArchive, from: u64) -> Result<Vec<Message>, ArchiveError> {
    archive.read(FrameNumber(from)).try_concat().await
}

/// The whole log as the archive has it, by both ways of reading, or the first error.
async fn everything(archive: &LogArchive) -> Result<Vec<Message>, ArchiveError> {
    let read = all(archive, 1).await?;
    for message in &read {
        let found = archive.frame(FrameNumber(message.seq)).await?;
        assert_eq!(found.as_ref(), Some(message));
    }
    Ok(read)
}

#[tokio::test]
async fn what_was_put_is_read_back_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(120, 30_000);
    let writer = archive(folder.path());
    assert_eq!(writer.end().await.unwrap(), (FrameNumber(0), Chain::START));
    for (from, to) in [(1, 40), (41, 41), (42, 120)] {
        let closed = segment(&log, from, to);
        let info = writer.put(closed.clone()).await.unwrap();
        assert_eq!(info, closed.info());
        assert_eq!(info.name(), format!("{from:020}-{to:020}.seg"));
        // A leader that was cut off before it heard of it stores it again.
        assert_eq!(writer.put(closed).await.unwrap(), info);
    }

    for archive in [writer, archive(folder.path())] {
        assert_eq!(everything(&archive).await.unwrap(), log);
        assert_eq!(all(&archive, 41).await.unwrap(), log[40..]);
        assert_eq!(all(&archive, 121).await.unwrap(), []);
        assert_eq!(archive.frame(FrameNumber(121)).await.unwrap(), None);
        assert_eq!(archive.frame(FrameNumber(0)).await.unwrap(), None);
        assert_eq!(archive.end().await.unwrap(), (FrameNumber(120), chain(&log, 120)));
        for segment in archive.segments().await.unwrap() {
            let index = archive.verify(&segment).await.unwrap();
            assert_eq!(index.chain_after, chain(&log, segment.n_last.0));
        }
    }
    let archive = Archive::open(folder.path().to_str().unwrap()).unwrap();
    let known = Incarnation("2026-11-21T22:00:00Z/abc".to_owned());
    assert_eq!(archive.incarnations().await.unwrap(), [known]);
}

#[tokio::test]
async fn two_leaders_may_have_cut_differently_and_gaps_end_what_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(100, 500);
    let archive = archive(folder.path());
    for (from, to) in [(1, 30), (1, 20), (11, 40), (35, 38), (41, 60), (71, 100)] {
        archive.put(segment(&log, from, to)).await.unwrap();
    }
    assert_eq!(archive.segments().await.unwrap().len(), 6);
    assert_eq!(all(&archive, 1).await.unwrap(), log[..60]);
    assert_eq!(archive.end().await.unwrap(), (FrameNumber(60), chain(&log, 60)));
    assert_eq!(archive.frame(FrameNumber(61)).await.unwrap(), None);
    assert_eq!(all(&archive, 71).await.unwrap(), log[70..]);

    // Somebody else fills the gap: what is not known is asked for again.
    crate::support::archive(folder.path()).put(segment(&log, 61, 70)).await.unwrap();
    assert_eq!(archive.frame(FrameNumber(61)).await.unwrap().as_ref(), Some(&log[60]));
    assert_eq!(all(&archive, 1).await.unwrap(), log);
}

#[tokio::test]
async fn unfinished_and_foreign_files_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(9, 500);
    let archive = archive(folder.path());
    archive.put(segment(&log, 1, 9)).await.unwrap();
    let foreign = ["README", "00000000000000000010-00000000000000000012.seg#1", "x.seg"];
    for name in foreign {
        fs::write(path(&archive, &folder, name), b"?").unwrap();
    }
    fs::create_dir(path(&archive, &folder, "old")).unwrap();
    let below = path(&archive, &folder, "old/00000000000000000010-00000000000000000012.seg");
    fs::write(below, b"?").unwrap();
    assert_eq!(archive.segments().await.unwrap().len(), 1);
    assert_eq!(everything(&archive).await.unwrap(), log);
}

#[tokio::test]
async fn an_archive_is_empty_to_its_readers_until_it_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let location = folder.path().join("archive");
    let reader = Archive::open(location.to_str().unwrap()).unwrap();
    let archive = reader.log(&Incarnation("2026-11-21T22:00:00Z/abc".to_owned()));
    assert_eq!(reader.incarnations().await.unwrap(), []);
    assert_eq!(archive.segments().await.unwrap(), []);
    assert_eq!(archive.frame(FrameNumber(1)).await.unwrap(), None);
    let log = log(9, 500);
    let refused = archive.put(segment(&log, 1, 9)).await.unwrap_err().to_string();
    assert!(refused.contains("its folder is not there"), "{refused}");
    assert!(!location.exists());

    crate::support::archive(&location).put(segment(&log, 1, 9)).await.unwrap();
    assert_eq!(everything(&archive).await.unwrap(), log);
    assert_eq!(reader.incarnations().await.unwrap(), [archive.incarnation().clone()]);
}

#[tokio::test]
async fn what_a_killed_writer_left_is_removed_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(folder.path());
    let long_ago = "2001-01-01T00:00:00Z".parse().unwrap();
    archive.remove_unfinished(long_ago).await.unwrap();
    archive.put(segment(&log(9, 500), 1, 9)).await.unwrap();
    let name = "00000000000000000010-00000000000000000012.seg";
    let unfinished = format!("{name}#1");
    let foreign = [format!("{name}#"), format!("{name}#x"), "README#1".into(), "README".into()];
    for file in foreign.iter().chain([&unfinished]) {
        fs::write(path(&archive, &folder, file), b"?").unwrap();
    }
    archive.remove_unfinished(long_ago).await.unwrap();
    assert!(path(&archive, &folder, &unfinished).exists(), "it may still be written");
    archive.remove_unfinished("2101-01-01T00:00:00Z".parse().unwrap()).await.unwrap();
    assert!(!path(&archive, &folder, &unfinished).exists());
    for file in &foreign {
        assert!(path(&archive, &folder, file).exists(), "{file}");
    }
    assert_eq!(archive.segments().await.unwrap().len(), 1);
}

#[tokio::test]
async fn another_object_of_that_name_is_never_taken_for_the_segment() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(folder.path());
    let (mine, other) = (segment(&log(9, 500), 1, 9), segment(&log(9, 600), 1, 9));
    archive.put(other).await.unwrap();
    assert!(matches!(archive.put(mine).await, Err(ArchiveError::Conflict { .. })));
}

#[test]
fn a_segment_takes_nothing_that_does_not_follow() {
    let log = log(9, 500);
    let mut builder = SegmentBuilder::new(FrameNumber(2), chain(&log, 2));
    builder.push(&log[2]).unwrap();
    let before = (builder.end(), builder.raw_bytes());

    let gap = builder.push(&log[4]).unwrap_err();
    assert!(matches!(gap, ReadError::Gap { .. }), "{gap}");
    let again = builder.push(&log[2]).unwrap_err();
    assert!(matches!(again, ReadError::Gap { .. }), "{again}");
    let other =
        Message { payload: crate::support::log(9, 600)[3].payload.clone(), ..log[3].clone() };
    let broken = builder.push(&other).unwrap_err();
    assert!(matches!(broken, ReadError::ChainBroken { .. }), "{broken}");

    assert_eq!((builder.end(), builder.raw_bytes()), before);
    builder.push(&log[3]).unwrap();
    assert!(SegmentBuilder::new(FrameNumber(2), chain(&log, 2)).close().is_none());
}

/// An archive of three blocks, whose one file `change` has been at.
async fn changed(change: impl FnOnce(&mut Vec<u8>)) -> (LogArchive, TempDir, Vec<Message>) {
    let folder = tempfile::tempdir().unwrap();
    let log = log(45, 30_000);
    let written = archive(folder.path());
    let info = written.put(segment(&log, 1, 45)).await.unwrap();
    assert_eq!(written.verify(&info).await.unwrap().blocks.len(), 3);
    let path = path(&written, &folder, &info.name());
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(&path, bytes).unwrap();
    (archive(folder.path()), folder, log)
}

fn is_damage_of_the_segment<T: std::fmt::Debug>(result: Result<T, ArchiveError>) -> bool {
    let name = "00000000000000000001-00000000000000000045.seg";
    matches!(result, Err(ArchiveError::Damaged { segment, .. }) if segment == name)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Most of a file is blocks, so that its ends are aimed at as well.
    #[test]
    fn a_flipped_bit_is_found_and_never_another_message(
        place in any::<prop::sample::Index>(), bit in 0..8, within in 0..4
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut at = 0;
            let (archive, _folder, log) = changed(|bytes| {
                let size = bytes.len();
                at = match within {
                    0 => place.index(8),
                    1 => size - 1 - place.index(56),
                    2 => size - 1 - place.index(2_000),
                    _ => place.index(size),
                };
                bytes[at] ^= 1u8 << bit;
            })
            .await;
            let segments = archive.segments().await.unwrap();
            assert!(is_damage_of_the_segment(archive.verify(&segments[0]).await), "byte {at}");
            // Who reads the messages alone needs not read the first eight bytes.
            assert_eq!(is_damage_of_the_segment(all(&archive, 1).await), at >= 8, "byte {at}");
            for message in &log {
                match archive.frame(FrameNumber(message.seq)).await {
                    Ok(found) => assert_eq!(found.as_ref(), Some(message), "byte {at}"),
                    error => assert!(is_damage_of_the_segment(error), "byte {at}"),
                }
            }
        });
    }

    #[test]
    fn a_segment_that_was_cut_off_or_has_grown_is_damaged(
        place in any::<prop::sample::Index>(), more in 1usize..99, grows in any::<bool>()
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (archive, _folder, _) = changed(|bytes| match grows {
                true => bytes.extend(vec![0; more]),
                false => bytes.truncate(place.index(bytes.len())),
            })
            .await;
            let segments = archive.segments().await.unwrap();
            assert!(is_damage_of_the_segment(archive.verify(&segments[0]).await));
            assert!(is_damage_of_the_segment(archive.end().await));
            assert!(is_damage_of_the_segment(all(&archive, 1).await));
            assert!(is_damage_of_the_segment(archive.frame(FrameNumber(7)).await));
        });
    }
}

#[tokio::test]
async fn a_segment_that_is_not_there_any_more_is_said_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(9, 500);
    let archive = archive(folder.path());
    let info = archive.put(segment(&log, 1, 9)).await.unwrap();
    assert!(archive.frame(FrameNumber(3)).await.unwrap().is_some());
    fs::remove_file(path(&archive, &folder, &info.name())).unwrap();

    let error = archive.frame(FrameNumber(3)).await.unwrap_err();
    assert!(error.to_string().contains(&info.name()), "{error}");
    // From then on it is not believed to be there.
    assert_eq!(archive.frame(FrameNumber(3)).await.unwrap(), None);
}
