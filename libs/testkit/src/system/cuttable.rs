//! A way to the broker that can be cut: for one service whose connection breaks while the broker and all others
//! go on.

use anyhow::{Context, Result};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::task::AbortOnDropHandle;

/// Listens until it is dropped.
pub struct Cuttable {
    /// Of the broker, with user and password, by way of here.
    pub url: String,
    whole: watch::Sender<bool>,
    _task: AbortOnDropHandle<()>,
}

impl Cuttable {
    /// `url` is the broker's: `nats://user:password@host:port`.
    ///
    /// # Errors
    /// It is no such URL, or no port is free.
    pub async fn start(url: &str) -> Result<Self> {
        let (user, host) = url.rsplit_once('@').context("no user in the broker's URL")?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("{user}@{}", listener.local_addr()?);
        let (whole, is_whole) = watch::channel(true);
        let task = tokio::spawn(serve(listener, host.to_owned(), is_whole));
        Ok(Self { url, whole, _task: AbortOnDropHandle::new(task) })
    }

    /// Ends the connections that there are, and every new one at once.
    pub fn cut(&self) {
        self.whole.send_replace(false);
    }

    pub fn mend(&self) {
        self.whole.send_replace(true);
    }
}

async fn serve(listener: TcpListener, host: String, whole: watch::Receiver<bool>) {
    while let Ok((mut service, _)) = listener.accept().await {
        let mut whole = whole.clone();
        if !*whole.borrow_and_update() {
            continue;
        }
        let host = host.clone();
        tokio::spawn(async move {
            let Ok(mut broker) = TcpStream::connect(host).await else { return };
            tokio::select! {
                // Whoever hung up, both connections end.
                _ = copy_bidirectional(&mut service, &mut broker) => {}
                _ = whole.wait_for(|whole| !whole) => {}
            }
        });
    }
}
