//! Uploads that a job's inputs refer to: the program gets their texts, or the attempt fails before it runs.

use nox_contract::RawJson;
use nox_store::uploads::Uploader;
use serde_json::json;

use crate::support::{Place, error, manifest, outputs};

/// Uploads a text for the place's user: its id and its hash.
pub async fn upload(place: &Place, text: &str) -> (String, String) {
    let uploads = place.runner.artifacts.uploads();
    let uploader = Uploader { tenant: &place.start.tenant, user: &place.start.user_id };
    let mut incoming = uploads.begin(uploader, 1).await.unwrap();
    incoming.write(text.to_owned().into()).await.unwrap();
    let (upload, _) = incoming.finish(u64::MAX).await.unwrap().unwrap();
    (upload.id.to_string(), upload.sha256)
}

/// A protein's geometry is larger than what inputs may have inline.
#[tokio::test(flavor = "multi_thread")]
async fn a_molecule_of_five_thousand_atoms_reaches_the_program() {
    let mut place = Place::new().await;
    let toml = r#"name = 'm'
version = '1'
sandbox = 'process'
run = { program = 'sh', args = ['-c', 'tail -n +3 in.xyz | wc -l'] }
resources = { cpu = 1, mem_mb = 64, wall_time_s = 60 }

[input_schema]
x-nox-molecule = { xyz = 'xyz' }
properties.xyz = { type = 'string', format = 'xyz', maxLength = 16777216 }

[[write]]
path = 'in.xyz'
template = '{molecule.xyz}'

[[result]]
name = 'atoms'
type = 'integer'
stream = 'stdout'
pattern = '(?<value>[0-9]+)'
"#;
    let module = manifest(&place.folder, toml);
    let atom = |n: u32| format!("C {}.500000 {}.500000 {}.500000\n", n % 20, n / 20 % 20, n / 400);
    let text = format!("5000\n\n{}", (0..5_000).map(atom).collect::<String>());
    assert!(text.len() > 100_000);
    let (id, sha256) = upload(&place, &text).await;
    place.start.inputs = RawJson::of(&json!({"xyz": {"$upload": id, "sha256": sha256}})).unwrap();
    assert_eq!(outputs(&place.run(&module).await)["scalars"]["atoms"], 5_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_gets_the_text_of_an_upload_or_is_not_run() {
    let mut place = Place::new().await;
    let toml = "name = 'm'\nversion = '1'\nsandbox = 'process'\ninput_schema = {}\n\
                resources = { cpu = 1, mem_mb = 64, wall_time_s = 60 }\n\
                run = { program = 'sh', args = ['-c', 'wc -c in.txt; echo \"$1\"; touch ran', 'sh', '{inputs.n}'] }\n\
                [[write]]\npath = 'in.txt'\ntemplate = '{inputs.text}'\n\
                [[keep]]\npath = 'in.txt'\n";
    let module = manifest(&place.folder, toml);
    let text = "C 0.0 0.0 0.0\n".repeat(10_000);
    let (id, hash) = upload(&place, &text).await;
    let refers = |sha256: &str| {
        let inputs = json!({"n": 7, "text": {"$upload": id, "sha256": sha256}});
        RawJson::of(&inputs).unwrap()
    };
    place.start.inputs = refers(&hash);
    let finished = place.run(&module).await;
    assert_eq!(outputs(&finished)["artifacts"][0]["sha256"], json!(hash));
    assert_eq!(place.printed(), format!("{} in.txt\n7\n", text.len()));

    // What was changed since, or has gone, is never taken for what was meant.
    let file = place.folder.path().join(format!(
        "artifacts/=uploads/{}/{}/{}",
        place.start.tenant, place.start.user_id, hash
    ));
    std::fs::write(&file, text.replace('C', "N")).unwrap();
    let finished = place.run(&module).await;
    assert_eq!(error(&finished).0.code, "input_invalid");
    assert!(error(&finished).0.message.contains("/text"), "{finished:?}");
    std::fs::remove_file(&file).unwrap();
    let finished = place.run(&module).await;
    assert!(error(&finished).0.message.contains("expired"), "{finished:?}");
    place.start.inputs = refers("../../../etc/passwd");
    let finished = place.run(&module).await;
    assert_eq!(error(&finished).0.code, "input_invalid");
    assert_eq!(place.printed(), "", "nothing was run");
}
