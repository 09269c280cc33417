//! Single points with the real xtb through two executors, of which one is killed meanwhile: each energy is that of
//! its geometry, and none is there twice.

use std::{
    collections::BTreeMap,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use nox_contract::JobId;
use nox_testkit::system::{
    checker::check,
    client::Client,
    cluster::{Cluster, Options, until},
    service::Kind,
};
use serde_json::json;

use super::{admitted, setting};

/// A thousand of them on a busy machine with two cores.
const WITHIN: Duration = Duration::from_secs(1_200);
/// The sum of what rounding does to an energy that is printed with twelve digits.
const TOLERANCE: f64 = 1e-9;
/// What the energies of two geometries differ by at least, so that one cannot pass for another.
const DIFFERENCE_MIN: f64 = 1e-6;

/// `make engines` has a thousand.
#[tokio::test(flavor = "multi_thread")]
async fn every_single_point_has_its_energy_once_although_an_executor_is_killed() {
    let Some(xtb) = nox_devkit::tools::xtb() else {
        println!("skipped: no xtb on this machine; `make setup` brings it");
        return;
    };
    let points = usize::try_from(setting("NOX_TEST_SINGLE_POINTS", 60)).unwrap();
    let geometries: Vec<String> = (0..points).map(geometry).collect();
    let folder = tempfile::tempdir().unwrap();
    let expected: Vec<f64> =
        stream::iter(geometries.iter().enumerate())
            .map(|(number, xyz)| {
                let (program, folder) = (xtb.path.clone(), folder.path().join(number.to_string()));
                let xyz = xyz.clone();
                async move {
                    tokio::task::spawn_blocking(move || reference(&program, &folder, &xyz)).await?
                }
            })
            .buffered(2)
            .try_collect()
            .await
            .unwrap();
    let mut sorted = expected.clone();
    sorted.sort_by(f64::total_cmp);
    assert!(sorted.is_sorted_by(|one, next| next - one > DIFFERENCE_MIN), "one passes for another");

    // As many at a time on each as there are cores.
    let options = Options { executors: 2, slots: 2, ..Options::default() }.env(
        Kind::Executor,
        "NOX_XTB",
        xtb.path.to_str().unwrap(),
    );
    let mut cluster = Cluster::servers(options).await.unwrap();
    add_xtb(&cluster.folder().join("modules")).unwrap();
    cluster.start_services().unwrap();
    cluster.wait_ready().await.unwrap();
    let ada = cluster.client_with(json!({"sub": "ada", "role": "admin"}));
    let began = Instant::now();
    let bodies: Vec<_> =
        geometries.iter().map(|xyz| json!({"module": "xtb", "inputs": {"xyz": xyz}})).collect();
    let heard = ada.submit_bulk(0, &bodies, Some("points")).await;
    let jobs: Vec<JobId> = heard.into_iter().map(|heard| admitted(heard).0).collect();

    // One is killed in the middle of it, and comes back when the other has done some more.
    have_succeeded(&cluster, points / 3).await;
    cluster.executors[0].kill9();
    have_succeeded(&cluster, points * 2 / 3).await;
    cluster.executors[0].start().unwrap();
    have_succeeded(&cluster, points).await;
    let took = began.elapsed();
    cluster.settle(WITHIN).await.unwrap();

    let found: Vec<f64> =
        stream::iter(&jobs).map(|job| energy(&ada, *job)).buffered(8).try_collect().await.unwrap();
    let wrong: BTreeMap<usize, (f64, f64)> = (0..)
        .zip(found.iter().copied().zip(expected.iter().copied()))
        .filter(|(_, (found, expected))| (found - expected).abs() > TOLERANCE)
        .collect();
    let verdict = check(&cluster.evidence().await.unwrap());
    println!("{points} energies in {took:?}, {} of them wrong: {:?}", wrong.len(), verdict.counts);
    assert!(wrong.is_empty(), "{wrong:?}");
    verdict.assert_clean();
    let counts = &verdict.counts;
    assert_eq!((counts.jobs, counts.succeeded, counts.failed), (points, points, 0));
    assert!(counts.lost_silent + counts.lost_restarted > 0, "nothing was lost with the executor");
}

/// A geometry that is no other one: hydrogen and water in turns, with longer and longer bonds.
fn geometry(number: usize) -> String {
    let step = (number / 2) as f64 * 0.001;
    if number.is_multiple_of(2) {
        return format!("2\nhydrogen {number}\nH 0.0 0.0 0.0\nH 0.0 0.0 {:.4}\n", 0.9 + step);
    }
    let (x, z) = (0.79 + 0.79 * step, 0.61 + 0.61 * step);
    format!("3\nwater {number}\nO 0.0 0.0 0.0\nH {x:.6} 0.0 {z:.6}\nH -{x:.6} 0.0 {z:.6}\n")
}

/// What xtb by itself says of the energy.
fn reference(program: &Path, folder: &Path, xyz: &str) -> Result<f64> {
    std::fs::create_dir(folder)?;
    std::fs::write(folder.join("input.xyz"), xyz)?;
    let output = Command::new(program)
        .args(["input.xyz", "--gfn", "2"])
        .env("OMP_NUM_THREADS", "1")
        .current_dir(folder)
        .output()?;
    ensure!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    let (_, rest) = text.split_once("| TOTAL ENERGY").context("no energy")?;
    Ok(rest.split_whitespace().next().context("no number")?.parse()?)
}

/// Adds the module that is shipped.
fn add_xtb(modules: &Path) -> Result<()> {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../modules/xtb");
    std::fs::create_dir(modules.join("xtb"))?;
    for file in std::fs::read_dir(shipped)? {
        let file = file?;
        // Beside its examples.
        if file.file_type()?.is_dir() {
            continue;
        }
        std::fs::copy(file.path(), modules.join("xtb").join(file.file_name()))?;
    }
    Ok(())
}

async fn have_succeeded(cluster: &Cluster, wanted: usize) {
    let schema = cluster.schema().await.unwrap();
    let sql = format!("select count(*) from {schema}.jobs where status = 'succeeded'");
    let count = async || Ok((cluster.sql(&sql).await?.parse::<usize>()? >= wanted).then_some(()));
    until(WITHIN, "energies", count).await.unwrap();
}

async fn energy(client: &Client, job: JobId) -> Result<f64> {
    let answer = client.get(0, &format!("/jobs/{job}/artifacts")).await;
    let scalars = answer.map_err(anyhow::Error::msg)?.body["scalars"].clone();
    scalars["E_total_hartree"].as_f64().with_context(|| format!("no energy of {job}: {scalars}"))
}
