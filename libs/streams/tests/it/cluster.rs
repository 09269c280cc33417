//! Three servers, each message on all of them.

use futures_util::{
    StreamExt,
    future::{join, join_all},
};
use nox_contract::{FRAME_BYTES_MAX, subject};
use nox_devkit::{NatsConfig, NatsServer};
use nox_streams::{Broker, ConnectOptions, Durability, Guard, Layout};
use tempfile::TempDir;

use crate::support::{epoch, frame, server_on, soon, store};

struct Cluster {
    /// Each with its folder, which is removed after it.
    servers: Vec<(NatsServer, TempDir)>,
}

impl Cluster {
    async fn start() -> Self {
        let port = || nox_devkit::free_port([127, 0, 0, 1].into()).unwrap();
        let ports = [port(), port(), port()];
        let routes = ports.iter().map(|port| format!("nats://127.0.0.1:{port}"));
        let routes = routes.collect::<Vec<_>>().join(", ");
        let servers = ports.iter().map(|port| {
            let text = format!(
                "include ./server.conf\nserver_name: n{port}\n\
                 cluster {{ name: nox, listen: \"127.0.0.1:{port}\", routes: [{routes}] }}\n"
            );
            server_on(NatsConfig { text, variables: Vec::new() })
        });
        Self { servers: join_all(servers).await }
    }

    async fn connect(&self) -> Broker {
        let hosts: Vec<_> = self.servers.iter().map(|(server, _)| server.address()).collect();
        let options = ConnectOptions {
            url: hosts.join(","),
            service: "test",
            monitor_url: None,
            sync: Durability::Relaxed,
        };
        soon(Broker::connect(options)).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_three_replicas_one_guarded_frame_is_in_flight_and_reading_survives_a_servers_death() {
    let mut cluster = Cluster::start().await;
    let broker = cluster.connect().await;
    // Two schedulers start at the same moment; neither fails for what the other makes.
    let standby = cluster.connect().await;
    let declare = |broker: &Broker| {
        let broker = broker.clone();
        async move { broker.declare_layout(Layout::embedded().on_replicas(3)).await }
    };
    let (one, other) = soon(join(declare(&broker), declare(&standby))).await;
    one.unwrap();
    other.unwrap();
    assert_eq!(broker.replicas(subject::EVENTS).await.unwrap(), 3);

    let epoch_seq = broker.append_epoch(&epoch(1), 0).await.unwrap();
    let mut guard = Guard { epoch_seq, last_seq: epoch_seq };
    for bytes in [2, 256 * 1024, FRAME_BYTES_MAX] {
        let seq = soon(broker.append(frame(vec![b'x'; bytes]), guard)).await.unwrap();
        assert_eq!(seq, guard.last_seq + 1);
        guard.last_seq = seq;
    }
    // Why the window is one: mostly a second one is refused, and never is there a hole.
    let mut refused = 0;
    for _ in 0..30 {
        let next = Guard { last_seq: guard.last_seq + 1, ..guard };
        let both = [broker.append(frame("{}"), guard), broker.append(frame("{}"), next)];
        let [first, second] = <[_; 2]>::try_from(soon(join_all(both)).await).unwrap();
        guard.last_seq += 1;
        assert_eq!(first, Ok(guard.last_seq));
        match second {
            Ok(seq) => {
                guard.last_seq += 1;
                assert_eq!(seq, guard.last_seq);
            }
            Err(error) => {
                assert!(error.is_guard(), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0, "as many as on one replica may be in flight");
    let stale = Guard { last_seq: guard.last_seq - 1, ..guard };
    assert!(broker.append(frame("{}"), stale).await.unwrap_err().is_guard());
    let second = broker.append_epoch(&epoch(2), epoch_seq).await.unwrap();
    assert_eq!(second, guard.last_seq + 1);
    let deposed = Guard { last_seq: second, ..guard };
    assert!(broker.append(frame("{}"), deposed).await.unwrap_err().is_guard());
    assert_eq!(broker.last_sequence(subject::EVENTS).await.unwrap(), second);
    assert_eq!(soon(broker.read_log(1)).await.unwrap().len() as u64, second);

    let incarnation = broker.incarnation(subject::COMMANDS).await.unwrap();
    let mut chunks = broker.consume(subject::COMMANDS, None, 1, Some(incarnation));
    let mut next = 1;
    for round in 0..2 {
        let mut last = 0;
        for i in 0..200 {
            last = store(&broker, "nox.cmd.t", i.to_string()).await;
        }
        while next <= last {
            for message in soon(chunks.next()).await.unwrap().unwrap() {
                assert_eq!(message.seq, next);
                next += 1;
            }
        }
        if round == 0 {
            // Whichever it leads: the streams are spread over the three.
            cluster.servers[0].0.kill9();
        }
    }
}
