//! Gets the lease and keeps it. The lease only decides who tries: the log refuses the others.

use std::time::Duration;

use nox_streams::Lease;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// Renewals in one lease's time: two may be lost.
const RENEWALS: u32 = 3;
/// How long to wait before asking again, when the broker could not be asked.
const PAUSE: Duration = Duration::from_millis(250);

/// The right to try to lead, while it is held.
pub struct HeldLease {
    release: CancellationToken,
    lost: CancellationToken,
    keeper: AbortOnDropHandle<()>,
}

impl HeldLease {
    /// Waits until the lease, which lasts for `ttl`, is free and takes it; `None` when stopped
    /// before.
    pub async fn acquire(
        mut lease: Lease,
        ttl: Duration,
        stop: &CancellationToken,
    ) -> Option<Self> {
        loop {
            let acquired = tokio::select! {
                acquired = lease.acquire() => acquired,
                () = stop.cancelled() => return None,
            };
            let wait = match acquired {
                Ok(true) => break,
                Ok(false) => None,
                Err(error) => {
                    tracing::warn!(%error, "Cannot ask for the lease");
                    Some(PAUSE)
                }
            };
            tokio::select! {
                () = async {
                    match wait {
                        Some(pause) => tokio::time::sleep(pause).await,
                        None => lease.wait_free().await,
                    }
                } => {}
                () = stop.cancelled() => return None,
            }
        }
        let (release, lost) = (CancellationToken::new(), CancellationToken::new());
        let keeper = tokio::spawn(keep(lease, ttl, release.clone(), lost.clone()));
        Some(Self { release, lost, keeper: AbortOnDropHandle::new(keeper) })
    }

    /// Resolves when the lease is held no more.
    pub async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// Gives the lease back, so that nobody has to wait for its end.
    pub async fn release(self) {
        self.release.cancel();
        // The keeper ends at once, or with its present question to the broker.
        if let Err(error) = self.keeper.await {
            tracing::error!(%error, "The lease's keeper failed");
        }
    }
}

/// Renews the lease until it is to be given back, or was not to be had for as long as it lasts.
async fn keep(
    mut lease: Lease,
    ttl: Duration,
    release: CancellationToken,
    lost: CancellationToken,
) {
    let mut failures = 0;
    while failures < RENEWALS {
        tokio::select! {
            () = tokio::time::sleep(ttl / RENEWALS) => {}
            () = release.cancelled() => {
                if let Err(error) = lease.release().await {
                    tracing::warn!(%error, "Cannot give the lease back; it runs out by itself");
                }
                return;
            }
        }
        match lease.renew().await {
            Ok(true) => failures = 0,
            Ok(false) => break,
            Err(error) => {
                tracing::warn!(%error, "Cannot renew the lease");
                failures += 1;
            }
        }
    }
    lost.cancel();
}
