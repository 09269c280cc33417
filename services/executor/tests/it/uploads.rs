//! Uploads that a job's inputs refer to: the program gets their texts, or the attempt fails before it runs.

use nox_contract::RawJson;
use nox_store::uploads::Uploader;
use serde_json::json;

use crate::support::{Place, error, manifest, outputs};

#[tokio::test(flavor = "multi_thread")]
async fn a_program_gets_the_text_of_an_upload_or_is_not_run() {
    let mut place = Place::new().await;
    let toml = "name = 'm'\nversion = '1'\nsandbox = 'process'\ninput_schema = {}\n\
                resources = { cpu = 1, mem_mb = 64, wall_time_s = 60 }\n\
                run = { program = 'sh', args = ['-c', 'wc -c in.txt; echo {inputs.n}; touch ran', 'sh'] }\n\
                [[write]]\npath = 'in.txt'\ntemplate = '{inputs.text}'\n\
                [[keep]]\npath = 'in.txt'\n";
    let module = manifest(&place.folder, toml);
    let text = "C 0.0 0.0 0.0\n".repeat(10_000);
    let store = place.runner.artifacts.clone();
    let uploads = store.uploads();
    let uploader =
        Uploader { tenant: &place.start.tenant.clone(), user: &place.start.user_id.clone() };
    let mut incoming = uploads.begin(uploader, 1).await.unwrap();
    incoming.write(text.clone().into()).await.unwrap();
    let (upload, _) = incoming.finish(u64::MAX).await.unwrap().unwrap();
    let refers = |sha256: &str| {
        let inputs = json!({"n": 7, "text": {"$upload": upload.id, "sha256": sha256}});
        RawJson::of(&inputs).unwrap()
    };
    place.start.inputs = refers(&upload.sha256);
    let finished = place.run(&module).await;
    assert_eq!(outputs(&finished)["artifacts"][0]["sha256"], json!(upload.sha256));
    assert_eq!(place.printed(), format!("{} in.txt\n7\n", text.len()));

    // What was changed since, or has gone, is never taken for what was meant.
    let file = place.folder.path().join(format!(
        "artifacts/=uploads/{}/{}/{}",
        place.start.tenant, place.start.user_id, upload.sha256
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
