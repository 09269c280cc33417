//! Connections: how many, how slow, and how they end.
//!
//! `axum::serve` installs no timer, so hyper's limit on slow heads would be silently off; hence a
//! loop of our own.

use std::{
    collections::VecDeque, convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, header},
};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    task::AbortHandle,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::{
    http::{
        budget::{Address, Budget},
        connections::{Activity, Connections},
        head::{HEAD_BYTES_MAX, HEADERS_MAX},
        memory::Account,
        transport::Transport,
    },
    identity::proxies::Proxies,
};

/// Longest time for the head of a request, and longest rest between two requests.
const HEAD_WAIT: Duration = Duration::from_secs(10);

/// Room for the head of a request, and most header lines, at which hyper ends a connection with a bare
/// status. Twice what `head` allows, so that most heads that are too large are still told so in a
/// problem document.
const HEAD_ROOM: usize = 2 * HEAD_BYTES_MAX;
const HEADERS_ROOM: usize = 2 * HEADERS_MAX;

/// Connections that wait for `accept` in the kernel.
const BACKLOG: u32 = 1_024;

/// What the kernel keeps of answers for each connection; it doubles this. As much as a client on a
/// slow line needs, and little enough for thousands that read nothing.
const SEND_BUFFER: u32 = 64 * 1024;

/// Connections beyond the places for them: each lives long enough to be told that it is one too many,
/// or for a probe to be answered. The oldest makes room for the newest, so that a probe is
/// answered however many others come.
const SPARE_CONNECTIONS: usize = 256;
const SPARE_HEAD_WAIT: Duration = Duration::from_secs(2);
const SPARE_WAIT: Duration = Duration::from_secs(5);

/// Descriptors for everything that is no connection of a client.
const OTHER_DESCRIPTORS: u64 = 256;

/// How long requests in hand may take once the process is to stop; less than the process's grace.
const DRAIN_WAIT: Duration = Duration::from_secs(8);

/// Pause after an `accept` that failed: out of descriptors, most likely, until some are closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Listens on `addr`.
pub fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    // Connections inherit it.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// What connections are served with.
pub struct Service {
    /// For those that have a place.
    pub router: Router,
    /// For those that have none.
    pub full: Router,
    pub places: Budget,
    pub memory: Budget,
    /// Whose connections are many clients'.
    pub proxies: Proxies,
}

/// Serves `service` on `listener` until `stop`, then lets the requests in hand finish.
pub async fn serve(listener: TcpListener, service: Service, stop: CancellationToken) {
    let Service { router, full, places, memory, proxies } = service;
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .max_buf_size(HEAD_ROOM)
        .max_headers(HEADERS_ROOM);
    let mut spare_builder = builder.clone();
    spare_builder.header_read_timeout(SPARE_HEAD_WAIT).keep_alive(false);
    let graceful = GracefulShutdown::new();
    let connections = Connections::default();
    let mut spare = Spare::default();

    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener) => accepted,
            () = stop.cancelled() => break,
        };
        let Some((stream, peer)) = accepted else { continue };
        let address = Address::of(peer.ip());
        let account = Account::new(memory.clone(), peer.ip());
        let watcher = graceful.watcher();
        let place = match proxies.trust(peer.ip()) {
            true => places.take_for_many(address, 1),
            false => places.take(address, 1),
        };
        let place = match place {
            Err(_) if connections.make_room_for(address) => Ok(places.take_anyway(address, 1)),
            place => place,
        };
        match place {
            Ok(place) => {
                let member = connections.enter(address);
                let transport = Transport::new(stream, member.activity.clone());
                let activity = member.activity.clone();
                let served =
                    connection(&builder, transport, activity, router.clone(), account, watcher);
                tokio::spawn(async move {
                    tokio::select! {
                        () = served => {}
                        () = member.gone.cancelled() => {}
                    }
                    drop((place, member));
                });
            }
            Err(_) => {
                let activity = Arc::<Activity>::default();
                let transport = Transport::new(stream, activity.clone());
                let served =
                    connection(&spare_builder, transport, activity, full.clone(), account, watcher);
                spare.push(tokio::spawn(async move {
                    // An error says that its time is over.
                    let _ = tokio::time::timeout(SPARE_WAIT, served).await;
                }));
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_WAIT, graceful.shutdown()).await.is_err() {
        tracing::warn!("Connections were cut off while requests were in hand");
    }
}

/// Serves one connection to its end.
fn connection(
    builder: &http1::Builder,
    transport: Transport,
    activity: Arc<Activity>,
    router: Router,
    account: Account,
    watcher: Watcher,
) -> impl Future<Output = ()> + use<> {
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(account.clone());
        let answer = router.clone().oneshot(request.map(Body::new));
        let activity = activity.clone();
        async move {
            let mut answer = answer.await.map_err(|never: Infallible| match never {})?;
            if activity.answers() {
                answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = builder.serve_connection(TokioIo::new(transport), service);
    async move {
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%error, "Connection ended badly");
        }
    }
}

/// The connections that have no place, oldest first.
#[derive(Default)]
struct Spare(VecDeque<AbortHandle>);

impl Spare {
    fn push(&mut self, connection: tokio::task::JoinHandle<()>) {
        self.0.retain(|connection| !connection.is_finished());
        if self.0.len() == SPARE_CONNECTIONS
            && let Some(oldest) = self.0.pop_front()
        {
            oldest.abort();
        }
        self.0.push_back(connection.abort_handle());
    }
}

async fn accept(listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    match listener.accept().await {
        Ok((stream, peer)) => {
            // Answers are small and written whole: waiting to fill packets would only delay them.
            let _ = stream.set_nodelay(true);
            Some((stream, peer))
        }
        Err(error) => {
            tracing::warn!(%error, "Cannot accept a connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// As many of `wanted` connections as there are descriptors for; those that may be had are asked for.
pub fn affordable(wanted: usize) -> usize {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let beside = OTHER_DESCRIPTORS + SPARE_CONNECTIONS as u64;
    let needed = (wanted as u64).saturating_add(beside);
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < needed) {
        limit.current = Some(limit.maximum.map_or(needed, |maximum| maximum.min(needed)));
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(%error, "The limit on open files stays as it is");
            limit = getrlimit(Resource::Nofile);
        }
    }
    let room = limit.current.map_or(wanted as u64, |current| current.saturating_sub(beside).max(1));
    let affordable = wanted.min(usize::try_from(room).unwrap_or(usize::MAX));
    if affordable < wanted {
        tracing::warn!(affordable, wanted, "Fewer connections: the limit on open files is low");
    }
    affordable
}
