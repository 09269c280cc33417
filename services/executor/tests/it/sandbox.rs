//! The sandbox: what the levels shut in, that nothing is left, and that limits have their reasons.

use crate::support::{Place, or_skipped, outputs};

/// A place whose scripts are isolated, if this machine can do that.
pub async fn isolated() -> Option<Place> {
    let mut place = Place::new().await;
    place.level = "isolated";
    let has = place.runner.host.has(nox_executor::sandbox::Level::Isolated);
    if let Err(reason) = &has {
        println!("{reason}");
    }
    or_skipped("what the level `isolated` needs", has.ok()).map(|()| place)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_isolated_program_sees_only_the_system_and_its_own_folder() {
    let Some(mut place) = isolated().await else { return };
    let module = place.script("id; pwd; ls -la; ls /; ls /dev; ps ax | wc -l; cat /proc/self/status /proc/1/cmdline; ls /etc; df -h; touch x && ls -la; ulimit -a; cat /proc/1/status; ls -la /proc/self/fd; cat /proc/self/mountinfo | wc -l; cat /proc/self/cgroup", "");
    let finished = place.run(&module).await;
    println!("{}", place.printed());
    outputs(&finished);
}
