use std::{
    env,
    error::Error,
    fs::{self, OpenOptions},
    io::Write,
};

use async_nats::{ConnectOptions, jetstream, jetstream::consumer::PullConsumer};
use futures_util::TryStreamExt;
use serde_json::Value;

type Failure = Box<dyn Error + Send + Sync>;

fn place(event: &Value) -> Vec<u64> {
    let id = event["id"].as_str().unwrap_or_default();
    id.split('-').filter_map(|part| part.parse().ok()).collect()
}

/// The last event that is whole in the file; half a line goes.
fn taken_in(path: &str) -> Result<Vec<u64>, Failure> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    if whole < text.len() {
        OpenOptions::new().write(true).open(path)?.set_len(whole as u64)?;
    }
    let Some(last) = text[..whole].lines().last() else { return Ok(Vec::new()) };
    Ok(place(&serde_json::from_str(last)?))
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let (name, path) = (env::var("CONSUMER")?, env::var("EVENTS")?);
    // What the URL says of a user is not read.
    let (user, password) = (env::var("NATS_USER")?, env::var("NATS_PASSWORD")?);
    let options = ConnectOptions::with_user_and_password(user, password);
    let options = options.custom_inbox_prefix(format!("_INBOX_{name}"));
    let client = options.connect(env::var("NATS_URL")?).await?;
    let stream = jetstream::new(client).get_stream_no_info("NOX_FEED").await?;
    let consumer: PullConsumer = stream.get_consumer(&name).await?;
    let mut events = consumer.stream().max_messages_per_batch(1).messages().await?;
    let mut last = taken_in(&path)?;
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    while let Some(message) = events.try_next().await? {
        let event: Value = serde_json::from_slice(&message.payload)?;
        if place(&event) > last {
            writeln!(file, "{event}")?;
            last = place(&event);
        }
        message.ack().await?;
    }
    Ok(())
}
