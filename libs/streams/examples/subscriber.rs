//! A subscriber of the feed, as docs/subscribing.md has it: prints each event as a line.

use futures_util::TryStreamExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (server, name) = (std::env::var("NATS_URL")?, std::env::var("CONSUMER")?);
    let options = async_nats::ConnectOptions::new().custom_inbox_prefix(format!("_INBOX_{name}"));
    let client = options.connect(server).await?;
    let stream = async_nats::jetstream::new(client).get_stream_no_info("NOX_FEED").await?;
    let consumer: async_nats::jetstream::consumer::PullConsumer =
        stream.get_consumer(&name).await?;
    let mut events = consumer.stream().max_messages_per_batch(1).messages().await?;
    while let Some(message) = events.try_next().await? {
        println!("{}", String::from_utf8_lossy(&message.payload));
        message.ack().await?;
    }
    Ok(())
}
