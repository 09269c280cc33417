//! Many futures at once, most of which do not wait.

use std::task::Poll;

use futures_util::{StreamExt, poll, stream::FuturesUnordered};
use tokio::task::coop::consume_budget;

/// Runs futures concurrently and gives their outputs in order, as `join_all`. One that is ready at once
/// costs no place among those that wait.
pub async fn concurrently<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let futures = futures.into_iter();
    let mut outputs = Vec::with_capacity(futures.size_hint().0);
    let mut waiting = FuturesUnordered::new();
    for (place, future) in futures.enumerate() {
        // A thousand in a row would keep others from the thread.
        consume_budget().await;
        let mut future = Box::pin(future);
        match poll!(&mut future) {
            Poll::Ready(output) => outputs.push(Some(output)),
            Poll::Pending => {
                outputs.push(None);
                waiting.push(async move { (place, future.await) });
            }
        }
    }
    while let Some((place, output)) = waiting.next().await {
        outputs[place] = Some(output);
    }
    outputs.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Barrier;

    use super::*;

    #[tokio::test]
    async fn outputs_stand_in_the_order_of_their_futures_however_long_these_wait() {
        // Those at an even place go on only when all of them wait.
        let waiting = Arc::new(Barrier::new(500));
        let outputs = concurrently((0..1_000).map(async |place| {
            if place % 2 == 0 {
                waiting.wait().await;
            }
            place
        }))
        .await;
        assert!(outputs.into_iter().eq(0..1_000));
    }

    #[tokio::test]
    async fn others_have_their_turn_while_many_are_ready() {
        let other = tokio::spawn(async {});
        let seen = concurrently((0..1_000).map(async |_| other.is_finished())).await;
        assert!(!seen[0] && seen[999]);
    }
}
