//! The modules of releases, readnfo, nfofix, dirfix, repack and packaging: what they make of what they ought
//! to get, and of what nobody ought to send.

use std::{path::Path, process::Command};

use base64::{Engine, engine::general_purpose::STANDARD as B64};
use nox_contract::RawJson;
use nox_executor::{attempt::Finished, manifest::Manifest};
use serde_json::{Value, json};

use crate::support::{Place, error, or_skipped, outputs, shipped_modules};

const PYTHON: &str = "/usr/bin/python3";

/// Where they are run, if this machine can.
async fn place() -> Option<Place> {
    or_skipped("python3", Path::new(PYTHON).exists().then_some(()))?;
    Some(Place::new().await)
}

async fn run(place: &mut Place, module: &str, inputs: &Value) -> Finished {
    let module = Manifest::read(&shipped_modules().join(module)).unwrap();
    place.start.inputs = RawJson::of(inputs).unwrap();
    place.start.resources = module.declared.resources;
    place.run_program(&module, Path::new(PYTHON)).await
}

async fn scalars(place: &mut Place, module: &str, inputs: Value) -> Value {
    outputs(&run(place, module, &inputs).await)["scalars"].take()
}

/// A drawing and some facts, as code page 437 has them.
fn nfo() -> Vec<u8> {
    let text = b"\xb0\xb1\xb2\xdb\xdb GR\x9a\xe1E \xdb\xdb\xb2\xb1\xb0\r\n\xdb Title....: Caf\x82 1984 \xdb\r\n\
        \xdb Video....: x264, 1920x1080, 8000 kbps\r\n\x01 Audio: AC3 5.1\r\n";
    text.to_vec()
}

fn encoded(bytes: impl AsRef<[u8]>) -> Value {
    json!({"nfo_base64": B64.encode(bytes)})
}

#[tokio::test(flavor = "multi_thread")]
async fn an_nfo_is_read_in_the_code_page_that_it_was_drawn_in() {
    let Some(mut place) = place().await else { return };
    let read = scalars(&mut place, "readnfo", encoded(nfo())).await;
    assert_eq!(read["structure"]["encoding"], "cp437");
    assert_eq!(read["metadata"]["title"], "Café 1984");
    assert_eq!(read["mediainfo"]["video"]["codec"], "x264");
    assert_eq!(read["mediainfo"]["video"]["width"], 1920);
    assert_eq!(read["mediainfo"]["audio"]["channels"], "5.1");
    assert_eq!(read["structure"]["line_ends"], json!({"crlf": 4, "lf": 0, "cr": 0}));
    let text = place.kept("nfo-utf8.txt").unwrap();
    assert!(text.starts_with("░▒▓██ GRÜßE ██▓▒░\n") && text.contains("☺ Audio"), "{text}");

    // What is no UTF-8 and has letters alone is what an editor wrote.
    let read = scalars(&mut place, "readnfo", encoded(b"Titre: \xc9t\xe9 \xe0 la mer\n")).await;
    assert_eq!(read["structure"]["encoding"], "windows-1252");
    assert_eq!(read["metadata"]["title"], "Été à la mer");
    // Whoever knows better says so.
    let inputs = json!({"nfo_base64": B64.encode(b"T: \xe9\n"), "encoding": "cp437"});
    let read = scalars(&mut place, "readnfo", inputs).await;
    assert_eq!(read["metadata"]["fields"][0]["value"], "Θ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_nfo_that_is_mended_needs_no_mending_again() {
    let Some(mut place) = place().await else { return };
    let mended =
        scalars(&mut place, "nfofix", encoded([nfo(), b"end  \x1a".to_vec()].concat())).await;
    assert_eq!(mended["encoding_before"], "cp437");
    assert_eq!(mended["changes"]["trailing_blanks_removed"], 1);
    let text = place.kept("fixed.nfo").unwrap();
    assert!(text.ends_with("☺ Audio: AC3 5.1\r\nend\r\n"), "{text:?}");

    let again = scalars(&mut place, "nfofix", json!({ "nfo": text })).await;
    assert_eq!((&again["changed"], &again["encoding_before"]), (&json!(false), &json!("utf-8")));

    // There and back.
    let inputs = json!({"nfo": text, "target": "cp437", "line_end": "lf"});
    scalars(&mut place, "nfofix", inputs).await;
    let bytes: Vec<u8> = [nfo(), b"end\n".to_vec()].concat();
    let expected: Vec<u8> = bytes.into_iter().filter(|byte| *byte != b'\r').collect();
    assert_eq!(place.kept_bytes("fixed.nfo").unwrap(), expected);

    // A drawing that somebody saved as Latin letters.
    let mended = scalars(&mut place, "nfofix", json!({"nfo": "ÜÜÜÛÛÛßßßÛÛÛ\nTitle: x\n"})).await;
    assert_eq!(mended["changes"]["mistaken_encoding_undone"], true);
    assert!(place.kept("fixed.nfo").unwrap().starts_with("▄▄▄███▀▀▀███\r\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_of_any_bytes_is_read_or_refused_in_one_line() {
    let Some(mut place) = place().await else { return };
    let every_byte: Vec<u8> = (0..=255).collect();
    let sauce = [b"text\x1aSAUCE00".as_slice(), &[0xff; 121]].concat();
    for (name, bytes) in [
        ("every byte", every_byte.as_slice()),
        ("NUL", b"Title: a\0b\n"),
        ("escapes", b"Title: \x1b[2J\x1b]0;owned\x07\n"),
        ("half a character", b"Title: \xe2\x96\n"),
        ("an overlong slash", b"Title: \xc0\xaf\n"),
        ("a surrogate", b"Title: \xed\xa0\x80\n"),
        ("a SAUCE record of nonsense", &sauce),
        ("a line of a megabyte", &vec![b'a'; 1 << 20]),
        ("colons", &[b"a:".repeat(100_000), b"\n".to_vec()].concat()),
        ("a million lines", &b"\n".repeat(1 << 20)),
    ] {
        let read = scalars(&mut place, "readnfo", encoded(bytes)).await;
        assert!(read["structure"]["lines"].as_u64().unwrap() > 0, "{name}: {read}");
        assert!(
            !read.to_string().contains("\\u001b") && !read.to_string().contains("\\u0000"),
            "{name}"
        );
    }
    for (name, inputs, word) in [
        ("empty", json!({"nfo": ""}), "empty"),
        ("no base64", json!({"nfo_base64": "%%%"}), "base64"),
        ("no UTF-16", json!({"nfo_base64": "//4A", "encoding": "utf-16-le"}), "byte"),
        ("no UTF-8", json!({"nfo_base64": "wK8=", "encoding": "utf-8"}), "byte 0"),
        ("too large", encoded(vec![b' '; (4 << 20) + 1]), "at most"),
    ] {
        for module in ["readnfo", "nfofix"] {
            let finished = run(&mut place, module, &inputs).await;
            let (error, crashed) = error(&finished);
            assert!(!crashed && error.code == "exit_status", "{name}: {error:?}");
            assert!(error.message.contains(word), "{name}: {}", error.message);
        }
    }
    // Neither of both, and both.
    for inputs in [json!({}), json!({"nfo": "a", "nfo_base64": "YQ=="})] {
        let finished = run(&mut place, "readnfo", &inputs).await;
        assert_eq!(error(&finished).0.code, "input_invalid");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_made_plain_and_those_that_lead_elsewhere_are_refused() {
    let Some(mut place) = place().await else { return };
    let names = json!([
        "Some.Film.mkv",
        "some film.MKV",
        "Größe.nfo",
        "con.txt",
        "a\u{202e}b.txt",
        "a..b",
        " x ",
        "漢",
        "sub/ok.txt",
        "x.",
        "A",
        "a",
        "b".repeat(300)
    ]);
    let checked =
        scalars(&mut place, "dirfix", json!({"release": "Some Film-GRP", "names": names})).await;
    assert_eq!((&checked["ok"], &checked["refused"]), (&json!(false), &json!([])));
    assert_eq!(checked["release"]["to"], "Some.Film-GRP");
    let kept: Value = serde_json::from_str(&place.kept("names.json").unwrap()).unwrap();
    let new: Vec<_> = kept.as_array().unwrap().iter().map(|n| n["to"].as_str().unwrap()).collect();
    let expected = [
        "Some.Film.mkv",
        "some.film.2.MKV",
        "Grosse.nfo",
        "_con.txt",
        "ab.txt",
        "a.b",
        "x",
        "unnamed",
        "sub/ok.txt",
        "x.2",
        "A",
        "a.2",
        &"b".repeat(200),
    ];
    assert_eq!(new, expected);
    // Plain names stay as they are.
    let again = scalars(&mut place, "dirfix", json!({ "names": expected })).await;
    assert_eq!(again["ok"], true, "{again}");

    let bad = [
        "../x",
        "/etc/passwd",
        "a/../../b",
        "..",
        ".",
        "",
        " ",
        "C:/x",
        "C:\\x",
        "..\\x",
        "a//b",
        "\\\\host\\x",
        "a\0b",
        "．．/x",
        "‥/x",
        "~/../x",
        "./../x",
    ];
    let checked = scalars(&mut place, "dirfix", json!({ "names": bad })).await;
    let refused = checked["refused"].as_array().unwrap();
    assert_eq!(refused.len(), bad.len(), "{checked}");
}

/// Archives as attackers write them, from a script, by name and in base64.
fn hostile() -> Vec<(String, String)> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/releases/hostile.py");
    let made = Command::new(PYTHON).arg(script).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let archives = made.as_object().unwrap().iter();
    archives.map(|(name, archive)| (name.clone(), archive.as_str().unwrap().to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_lies_is_refused_and_leaves_nothing() {
    let Some(mut place) = place().await else { return };
    let archives = hostile();
    assert!(archives.len() >= 24, "{}", archives.len());
    for (name, archive) in archives {
        let inputs = json!({ "archive_base64": archive });
        let finished = run(&mut place, "repack", &inputs).await;
        let (error, crashed) = error(&finished);
        // Each by the module's own words, and none by a limit that it ran into.
        assert!(!crashed && error.code == "exit_status", "{name}: {error:?}");
        assert!(!error.message.contains("Traceback"), "{name}: {}", error.message);
        assert!(place.kept_bytes("out/repacked.zip").is_none(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_packed_is_what_was_given_and_always_the_same() {
    let Some(mut place) = place().await else { return };
    let files = json!([
        {"name": "b.bin", "base64": B64.encode([0, 255, 10])},
        {"name": "sub dir/Film é.nfo", "text": "Title: x\r\n"},
    ]);
    let inputs = json!({"release": "Some.Film.2026-GRP", "files": files, "format": "tar.gz"});
    let packed = scalars(&mut place, "packaging", inputs.clone()).await;
    assert_eq!((&packed["files"], &packed["unpacked_bytes"]), (&json!(2), &json!(13)));
    assert_eq!(packed["archive"]["name"], "Some.Film.2026-GRP.tar.gz");
    let archive = place.kept_bytes("out/Some.Film.2026-GRP.tar.gz").unwrap();

    let there = tempfile::tempdir().unwrap();
    std::fs::write(there.path().join("a.tar.gz"), &archive).unwrap();
    let tar = |arguments: &[&str]| {
        let output = Command::new("tar").args(arguments).current_dir(&there).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    tar(&["xf", "a.tar.gz"]);
    let folder = there.path().join("Some.Film.2026-GRP");
    assert_eq!(std::fs::read(folder.join("b.bin")).unwrap(), [0, 255, 10]);
    let sums =
        Command::new("sha256sum").args(["-c", "SHA256SUMS"]).current_dir(&folder).output().unwrap();
    assert!(sums.status.success(), "{sums:?}");
    let checks = std::fs::read_to_string(folder.join("Some.Film.2026-GRP.sfv")).unwrap();
    assert!(checks.contains("sub.dir/Film.e.nfo "), "{checks}");

    let again = scalars(&mut place, "packaging", inputs).await;
    assert_eq!(again["archive"]["sha256"], packed["archive"]["sha256"]);
    // Packed anew it has the same contents, in the other format and back.
    let inputs = json!({"archive_base64": B64.encode(&archive), "format": "zip", "name": "x"});
    let zip = scalars(&mut place, "repack", inputs).await;
    assert_eq!((&zip["files"], &zip["renames"]), (&json!(4), &json!([])));
    let archive = place.kept_bytes("out/x.zip").unwrap();
    let inputs = json!({"archive_base64": B64.encode(&archive), "format": "zip", "name": "x"});
    let again = scalars(&mut place, "repack", inputs).await;
    assert_eq!(again["archive"]["sha256"], zip["archive"]["sha256"]);

    for bad in ["../x", "/x", "a/../../x", "Some.Film.2026-GRP.sfv", "SHA256SUMS", "sha256sums"] {
        let inputs = json!({"release": "Some.Film.2026-GRP", "files": [{"name": bad, "text": ""}]});
        let finished = run(&mut place, "packaging", &inputs).await;
        assert_eq!(error(&finished).0.code, "exit_status", "{bad}");
    }
}
