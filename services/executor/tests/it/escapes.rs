//! Ways out of the sandbox: none succeeds, for root and for an ordinary user; with nothing that shuts
//! them in, they do.

mod attacks;
mod missed;

use std::{
    collections::BTreeSet,
    fs,
    net::{TcpListener, UdpSocket},
    os::{
        fd::AsFd,
        linux::net::SocketAddrExt,
        unix::{
            fs::{MetadataExt, PermissionsExt, chown},
            net::{SocketAddr, UnixListener},
            process::CommandExt,
        },
    },
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

use nox_executor::sandbox::{
    Level,
    fault::Fault,
    host::{Layer, Settings},
};
use rustix::{
    io::{FdFlags, fcntl_setfd},
    process::getuid,
};

use tokio_util::sync::CancellationToken;

use self::{
    attacks::{ATTACKS, CALLS, Closed, Control, How},
    missed::{MISSED, Missed},
};
use crate::support::{
    Place, TIMEOUT, UniqueSleep, alive, error, or_skipped, outputs, unique_sleep, until,
};

const PYTHON: &str = "/usr/bin/python3";

/// What all Python scripts begin with: `call` returns the kernel's answer, or minus the error.
const PRELUDE: &str = "import ctypes\n\
    libc = ctypes.CDLL(None, use_errno=True)\n\
    def call(*a):\n \
        r = libc.syscall(*[ctypes.c_long(x) for x in a])\n \
        return r if r != -1 else -ctypes.get_errno()\n\
    ok = True\n";

/// What is there to be reached, for as long as this is held.
struct Bait {
    place: Place,
    words: Vec<(&'static str, String)>,
    victim: Child,
    _mark: UniqueSleep,
    _open: Vec<Box<dyn std::any::Any>>,
}

impl Bait {
    async fn new(settings: Settings) -> Self {
        let place = Place::with(settings).await;
        let mark = unique_sleep();
        let folder = place.folder.path().to_owned();
        let other = place.runner.data.join("attempts/other.1/work");
        let (artifacts, key) = (folder.join("artifacts"), folder.join("identity.json"));
        let socket = folder.join("socket");
        fs::create_dir_all(&other).unwrap();
        for secret in [other.join("secret"), artifacts.join("secret"), key.clone()] {
            fs::write(secret, "secret").unwrap();
        }
        let (tcp, udp) = (TcpListener::bind("127.0.0.1:0"), UdpSocket::bind("127.0.0.1:0"));
        let (tcp, udp) = (tcp.unwrap(), udp.unwrap());
        let ports = (tcp.local_addr().unwrap().port(), udp.local_addr().unwrap().port());
        thread::spawn(move || {
            let mut byte = [0];
            while let Ok((_, from)) = udp.recv_from(&mut byte) {
                let _ = udp.send_to(&byte, from);
            }
        });
        let address = SocketAddr::from_abstract_name(mark.as_bytes()).unwrap();
        let left_open = fs::File::open(&key).unwrap();
        fcntl_setfd(left_open.as_fd(), FdFlags::empty()).unwrap();
        let open: Vec<Box<dyn std::any::Any>> = vec![
            Box::new(tcp),
            Box::new(UnixListener::bind_addr(&address).unwrap()),
            Box::new(UnixListener::bind(&socket).unwrap()),
            Box::new(left_open),
        ];
        let victim = Command::new("sleep").arg(&*mark).spawn().unwrap();
        let text = |path: &Path| path.display().to_string();
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let words = vec![
            ("data", text(&place.runner.data)),
            ("other", text(&other)),
            ("artifacts", text(&artifacts)),
            ("key", text(&key)),
            ("outside", text(&folder)),
            ("socket", text(&socket)),
            ("port", ports.0.to_string()),
            ("udp", ports.1.to_string()),
            ("mark", mark.to_string()),
            ("victim", victim.id().to_string()),
            ("executor", std::process::id().to_string()),
            ("host", host),
        ];
        Self { place, words, victim, _mark: mark, _open: open }
    }

    /// Which of the attacks that are meant succeed at this level.
    async fn succeeding(
        &mut self,
        level: Level,
        is_meant: impl Fn(&attacks::Attack) -> bool,
    ) -> BTreeSet<String> {
        self.place.level = level.name();
        let mut succeeded = BTreeSet::new();
        for attack in ATTACKS.iter().filter(|attack| is_meant(attack)) {
            let script = match attack.how {
                How::Plant(path) => format!("echo x > {path}"),
                How::Shell(command) => format!("if ( {command} ) 2>&1; then echo ESCAPED; fi"),
                How::Python(code) => python(&format!("{PRELUDE}{code}\nif ok: print('ESCAPED')")),
            };
            let said = self.run(&script).await;
            let planted = match attack.how {
                How::Plant(path) => fs::remove_file(self.filled(path)).is_ok(),
                _ => false,
            };
            if planted || said.contains("ESCAPED") {
                succeeded.insert(attack.name.to_owned());
            }
        }
        if cfg!(target_arch = "x86_64") {
            let each = CALLS.iter().map(|(name, arguments)| {
                // Not permitted, not implemented.
                format!("if call({arguments}) not in (-1, -38): print('ESCAPED {name}.')\n")
            });
            let said = self.run(&python(&format!("{PRELUDE}{}", each.collect::<String>()))).await;
            let names = CALLS.iter().filter(|(name, _)| said.contains(&format!("ESCAPED {name}.")));
            succeeded.extend(names.map(|(name, _)| format!("call {name}")));
        }
        succeeded
    }

    /// A text with what is there to be reached in place of its words.
    fn filled(&self, text: &str) -> String {
        let fill = |text: String, (word, value): &(&str, String)| {
            text.replace(&format!("<<{word}>>"), value)
        };
        self.words.iter().fold(text.to_owned(), fill)
    }

    async fn run(&mut self, script: &str) -> String {
        let script = self.filled(script);
        let module = self.place.script(&script, "");
        let run = self.place.runner.run(
            &self.place.start,
            &module,
            Path::new("/bin/sh"),
            Default::default(),
            || (),
        );
        let finished = tokio::time::timeout(TIMEOUT, run).await.expect("the attempt ends");
        let printed = self.place.printed();
        assert!(
            !matches!(finished.end, nox_contract::AttemptEnd::HandedBack(_)),
            "{finished:?}: {script}"
        );
        assert!(!printed.contains("SyntaxError") && !printed.contains("Syntax error"), "{printed}");
        printed
    }
}

impl Drop for Bait {
    fn drop(&mut self) {
        let _ = self.victim.kill();
        let _ = self.victim.wait();
    }
}

fn python(code: &str) -> String {
    format!("exec {PYTHON} - <<'END' 2>&1\n{code}\nEND\n")
}

fn has_python() -> Option<()> {
    or_skipped("python3", Path::new(PYTHON).exists().then_some(()))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_way_out_of_isolation_succeeds() {
    let Some(()) = has_python() else { return };
    let mut bait = Bait::new(Settings::default()).await;
    let has = bait.place.runner.host.has(Level::Isolated);
    let Some(()) = or_skipped(&format!("{has:?}"), has.clone().ok()) else { return };
    assert!(ATTACKS.len() >= 60 && ATTACKS.len() + CALLS.len() >= 90);
    let succeeded = bait.succeeding(Level::Isolated, |_| true).await;
    assert_eq!(succeeded, BTreeSet::new());
    println!("{} ways out of `isolated` were tried", ATTACKS.len() + CALLS.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_way_out_that_the_level_process_closes_succeeds() {
    let Some(()) = has_python() else { return };
    for without in [vec![], vec![Layer::Cgroup]] {
        let settings = Settings { sandbox_without: without, ..Settings::default() };
        let mut bait = Bait::new(settings).await;
        let has = bait.place.runner.host.has(Level::Process);
        let Some(()) = or_skipped(&format!("{has:?}"), has.clone().ok()) else { return };
        let succeeded =
            bait.succeeding(Level::Process, |attack| attack.closed == Closed::Process).await;
        assert_eq!(succeeded, BTreeSet::new());
    }
}

/// The control: what is refused above is no more than what anybody, or root, may do.
#[tokio::test(flavor = "multi_thread")]
async fn with_nothing_that_shuts_them_in_the_same_ways_out_succeed() {
    let Some(()) = has_python() else { return };
    let settings = Settings { sandbox_allow_none: true, ..Settings::default() };
    let mut bait = Bait::new(settings).await;
    let is_root = getuid().is_root();
    let expected = |attack: &attacks::Attack| match attack.control {
        Control::Anybody => true,
        Control::Root => is_root,
        Control::Nobody => false,
    };
    let succeeded = bait.succeeding(Level::None, expected).await;
    let missing: Vec<_> = ATTACKS
        .iter()
        .filter(|attack| expected(attack) && !succeeded.contains(attack.name))
        .map(|attack| attack.name)
        .collect();
    assert_eq!(missing, [""; 0]);
    let calls = succeeded.iter().filter(|name| name.starts_with("call ")).count();
    // Some of them a kernel may have been built without, and of some it tells an ordinary user itself that they are
    // not permitted.
    assert!(calls >= if is_root { CALLS.len() * 3 / 4 } else { CALLS.len() / 3 }, "{succeeded:?}");
}

/// All of that once more by a user that is nobody.
#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_users_executor_shuts_in_as_well() {
    const NOBODY: u32 = 65_534;
    if !getuid().is_root() {
        println!("skipped: this is an ordinary user");
        return;
    }
    // Not where they were built: that may be where only root can look.
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let (tests, executor) = (folder.path().join("tests"), folder.path().join("executor"));
    fs::copy(std::env::current_exe().unwrap(), &tests).unwrap();
    fs::copy(crate::support::executor(), &executor).unwrap();
    let temporary = folder.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    chown(&temporary, Some(NOBODY), Some(NOBODY)).unwrap();
    let run = tokio::task::spawn_blocking(move || {
        Command::new(tests)
            .args(["escapes::", "limits::", "--skip", "an_ordinary_users", "--test-threads=2"])
            .env("NOX_TEST_EXECUTOR", executor)
            .env("TMPDIR", temporary)
            .current_dir("/")
            .uid(NOBODY)
            .gid(NOBODY)
            .stdin(Stdio::null())
            .output()
    });
    let output = run.await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("no_way_out_of_isolation_succeeds ... ok"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_memory_of_the_old_kind_ends_with_its_attempt() {
    let Some(()) = has_python() else { return };
    let settings = Settings { sandbox_allow_none: true, ..Settings::default() };
    let mut bait = Bait::new(settings).await;
    for level in Level::ALL {
        if bait.place.runner.host.has(level).is_err() {
            continue;
        }
        bait.place.level = level.name();
        let key =
            i32::from_ne_bytes(nox_service::ids::unique().as_bytes()[..4].try_into().unwrap());
        let key = key | 1;
        bait.run(&python(&format!("{PRELUDE}call(29, {key}, 4096, 0o1600)"))).await;
        let listed = fs::read_to_string("/proc/sysvipc/shm").unwrap();
        let line = listed.lines().find(|line| line.trim_start().starts_with(&format!("{key} ")));
        // At the lowest level it stays: the control.
        assert_eq!(line.is_some(), level == Level::None, "{level}: {listed}");
        if let Some(id) = line.and_then(|line| line.split_whitespace().nth(1)) {
            let _ = Command::new("ipcrm").args(["-m", id]).status();
        }
    }
}

/// Root's executor has a user of the machine for each attempt, and an ordinary one only its own.
#[tokio::test(flavor = "multi_thread")]
async fn an_isolated_attempt_of_roots_is_nobody_on_the_machine() {
    let mut place = Place::new().await;
    place.level = Level::Isolated.name();
    let has = place.runner.host.has(Level::Isolated);
    let Some(()) = or_skipped(&format!("{has:?}"), has.clone().ok()) else { return };
    let mut users = BTreeSet::new();
    for mode in [0o711, 0o700] {
        // Whether the user could reach its folder by itself or not.
        fs::set_permissions(&place.folder, fs::Permissions::from_mode(mode)).unwrap();
        let (mark, stop) = (unique_sleep(), CancellationToken::new());
        let module = place.script(&format!("id -u; exec sleep {mark}"), "stop_grace_s = 0");
        let stopper = async {
            until("it sleeps", || !alive(&mark).is_empty()).await;
            let status = fs::metadata(format!("/proc/{}", alive(&mark)[0])).unwrap();
            stop.cancel();
            (status.uid(), status.gid())
        };
        let (_, user) = tokio::join!(place.run_until(&module, stop.clone(), || ()), stopper);
        users.insert(user);
        assert_eq!(place.printed(), "1000\n");
    }
    if getuid().is_root() {
        let range = 1_900_000_000..1_900_065_536;
        assert!(users.len() == 2, "{users:?}");
        assert!(users.iter().all(|(user, group)| range.contains(user) && user == group));
    } else {
        assert!(users.len() == 1 && users.iter().all(|(user, _)| *user == getuid().as_raw()));
    }
}

/// Each layer that is taken away is noticed: what needs it is refused with the reason, and what does not
/// is run as before.
#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_is_missing_refuses_the_levels_that_need_it() {
    // Where nobody counts, root's processes have no bound.
    let of_root = if getuid().is_root() { vec![Level::Process] } else { vec![] };
    for (without, refused) in [
        (vec![Layer::Landlock], vec![Level::Process]),
        (vec![Layer::Seccomp], vec![Level::Process, Level::Isolated]),
        (vec![Layer::Namespaces], vec![Level::Isolated]),
        (vec![Layer::Cgroup], vec![]),
        (vec![Layer::User], vec![]),
        (vec![Layer::User, Layer::Cgroup], of_root),
    ] {
        let layer = without[without.len() - 1];
        let settings = Settings { sandbox_without: without, ..Settings::default() };
        let mut place = Place::with(settings).await;
        let labels = place.runner.host.labels();
        for level in [Level::Process, Level::Isolated] {
            place.level = level.name();
            let module = place.script("echo runs", "");
            let finished = place.run(&module).await;
            let label = format!("sandbox:{level}");
            if refused.contains(&level) {
                let reason = place.runner.host.has(level).unwrap_err();
                let named =
                    if layer == Layer::Cgroup { "cgroup".to_owned() } else { layer.to_string() };
                assert!(reason.contains(&named), "{layer} {level}: {reason}");
                assert!(!labels.contains(&label), "{labels:?}");
                // Nothing was run, at this level or at a lower one.
                assert_eq!(place.printed(), "");
                assert!(matches!(finished.end, nox_contract::AttemptEnd::HandedBack(_)));
            } else if place.runner.host.has(level).is_ok() {
                assert!(labels.contains(&label), "{labels:?}");
                outputs(&finished);
                assert_eq!(place.printed(), "runs\n");
            }
        }
        assert!(!labels.contains(&"sandbox:none".to_owned()));
        let found = place.runner.host.findings().find(|(name, _)| *name == layer.to_string());
        assert!(found.unwrap().1.is_err());
    }
    let mut place = Place::new().await;
    place.level = "none";
    let module = place.script("echo runs", "");
    place.run(&module).await;
    assert_eq!(place.printed(), "", "nobody has allowed it");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_network_is_there_for_those_to_whom_it_is_granted() {
    let Some(()) = has_python() else { return };
    let mut bait = Bait::new(Settings::default()).await;
    let connect = "import socket; socket.create_connection(('127.0.0.1', <<port>>), 2)";
    let script = bait.filled(&format!("{PYTHON} -c \"{connect}\""));
    for level in [Level::Process, Level::Isolated] {
        if bait.place.runner.host.has(level).is_err() {
            continue;
        }
        bait.place.level = level.name();
        let module = bait.place.script(&script, "network = true");
        let stop = Default::default();
        let finished =
            bait.place.runner.run(&bait.place.start, &module, "/bin/sh".as_ref(), stop, || ());
        outputs(&finished.await);
        let module = bait.place.script(&script, "");
        let stop = Default::default();
        let finished =
            bait.place.runner.run(&bait.place.start, &module, "/bin/sh".as_ref(), stop, || ());
        assert_eq!(error(&finished.await).0.code, "exit_status");
    }
}

/// Where nothing else counts root's processes, the kernel counts those of a user that nobody else is.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_cgroup_roots_attempts_are_a_user_of_their_own() {
    let without = vec![Layer::Cgroup];
    let mut place = Place::with(Settings { sandbox_without: without, ..Settings::default() }).await;
    let has = place.runner.host.has(Level::Process);
    let Some(()) = or_skipped(&format!("{has:?}"), has.clone().ok()) else { return };
    let script = "id -u; id -G; grep Seccomp: /proc/self/status; echo x > kept; \
                  echo heard > /dev/stderr; pwd; ls ../.. && exit 1; exit 0";
    let mut users = BTreeSet::new();
    for mode in [0o711, 0o700] {
        if mode == 0o700 && std::env::var_os("NOX_TEST_WITHOUT_MOUNTS").is_some() {
            continue;
        }
        // Where nobody but root may pass, it is shown its own folder all the same.
        fs::set_permissions(&place.folder, fs::Permissions::from_mode(mode)).unwrap();
        let module = place.script(script, "[[keep]]\npath = 'kept'");
        let finished = place.run(&module).await;
        outputs(&finished);
        let printed = place.printed();
        let user = printed.lines().next().unwrap().to_owned();
        assert!(printed.contains("\nSeccomp:\t2\n") && printed.contains("heard\n"), "{printed}");
        if getuid().is_root() {
            assert!((1_900_000_000..1_900_065_536).contains(&user.parse::<u32>().unwrap()));
            assert!(printed.contains(&format!("{user}\n{user}\n")), "{printed}");
        } else {
            assert_eq!(user, getuid().as_raw().to_string());
        }
        assert_eq!(place.kept("kept").as_deref(), Some("x\n"));
        users.insert(user);
    }
    let has_mounts = std::env::var_os("NOX_TEST_WITHOUT_MOUNTS").is_none();
    assert_eq!(users.len(), if getuid().is_root() && has_mounts { 2 } else { 1 });
}

/// Each layer by itself: without it something is possible that was not. What is not, another layer holds as
/// well.
#[tokio::test(flavor = "multi_thread")]
async fn each_layer_that_is_taken_away_is_missed() {
    let Some(()) = has_python() else { return };
    for Missed { faults, level, succeed } in MISSED {
        let settings = Settings { sandbox_faults: faults.to_vec(), ..Settings::default() };
        let mut bait = Bait::new(settings).await;
        let labels = bait.place.runner.host.labels();
        let lacks_cgroup =
            faults.contains(&Fault::Cgroup) && !labels.contains(&"sandbox:cgroup".to_owned());
        if bait.place.runner.host.has(*level).is_err() || lacks_cgroup {
            println!("{faults:?} at {level}: skipped");
            continue;
        }
        let is_root = getuid().is_root();
        let can = |attack: &attacks::Attack| attack.control != Control::Root || is_root;
        let meant = |attack: &attacks::Attack| succeed.contains(&attack.name) && can(attack);
        let expected: BTreeSet<_> =
            ATTACKS.iter().filter(|one| meant(one)).map(|one| one.name.to_owned()).collect();
        let succeeded = bait.succeeding(*level, meant).await;
        let missing: Vec<_> = expected.difference(&succeeded).collect();
        assert!(missing.is_empty(), "without {faults:?} at {level} are held: {missing:?}");
    }
}

/// What succeeds without a layer, for whoever wants to know all of it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a table"]
async fn what_each_layer_is_for() {
    const FAULTS: [Fault; 8] = [
        Fault::Namespaces,
        Fault::Seccomp,
        Fault::Landlock,
        Fault::NoNewPrivs,
        Fault::Cgroup,
        Fault::Rlimits,
        Fault::Capabilities,
        Fault::User,
    ];
    for level in [Level::Process, Level::Isolated] {
        for fault in FAULTS {
            let settings = Settings { sandbox_faults: vec![fault], ..Settings::default() };
            let mut bait = Bait::new(settings).await;
            if bait.place.runner.host.has(level).is_ok() {
                let closed = |attack: &attacks::Attack| match attack.closed {
                    Closed::Process => true,
                    Closed::Isolated => level == Level::Isolated,
                };
                let succeeded = bait.succeeding(level, closed).await;
                println!("without {fault:?}, out of {level}: {succeeded:?}");
            }
        }
    }
}

/// In a container root may be without the right to mount anything: then what lies in open folders can be run
/// all the same, and what does not is refused with the reason.
#[tokio::test(flavor = "multi_thread")]
async fn root_without_mounts_runs_what_is_in_open_folders() {
    if !getuid().is_root() || Command::new("setpriv").arg("--version").output().is_err() {
        println!("skipped: this takes root and setpriv");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let (tests, executor) = (folder.path().join("tests"), folder.path().join("executor"));
    fs::copy(std::env::current_exe().unwrap(), &tests).unwrap();
    fs::copy(crate::support::executor(), &executor).unwrap();
    for is_open in [true, false] {
        let mut command = Command::new("setpriv");
        command
            .args(["--bounding-set=-sys_admin", "--inh-caps=-sys_admin"])
            .arg(&tests)
            .args(["without_a_cgroup_roots", "the_number_of_processes", "--nocapture"])
            .env("NOX_TEST_EXECUTOR", &executor)
            .env("TMPDIR", folder.path())
            .env("NOX_TEST_WITHOUT_MOUNTS", "1")
            .env_remove("CI")
            .current_dir("/")
            .stdin(Stdio::null());
        if !is_open {
            command.env("NOX_TEST_CLOSED", "1");
        }
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        let is_refused = said.contains("is closed to others, and nothing can be mounted");
        assert_eq!(is_refused, !is_open, "{said}");
    }
}
