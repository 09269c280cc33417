//! The shipped modules, for real.

use std::path::Path;

use nox_contract::RawJson;
use nox_executor::manifest::Manifest;
use serde_json::json;

use crate::support::{Place, outputs, shipped_modules};

#[tokio::test(flavor = "multi_thread")]
async fn xtb_hello_writes_its_text_to_a_file_and_to_the_log() {
    let module = Manifest::read(&shipped_modules().join("xtb_hello")).unwrap();
    for text in ["hello from M9", "", "two\nlines\n", "-n; $(reboot) {x} ü\u{1f600}"] {
        let mut place = Place::new().await;
        place.start.inputs = RawJson::of(&json!({"text": text})).unwrap();
        let finished = place.run_program(&module, Path::new("/bin/sed")).await;
        let outputs = outputs(&finished);
        let uri = format!("sandbox://ada/{}/result.txt", place.start.job_id);
        assert_eq!(outputs["files"], json!([uri]));
        assert!(outputs["metrics"]["duration_s"].as_f64().unwrap() > 0.0);
        assert_eq!(place.kept("result.txt").unwrap().trim_end(), text.trim_end());
        assert_eq!(place.printed().trim_end(), text.trim_end());
    }
}
