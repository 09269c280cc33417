use std::{
    env,
    error::Error,
    fs::{self, OpenOptions},
    io::Write,
    time::Duration,
};

use async_nats::ConnectOptions;
use futures_util::StreamExt;
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
    let (next, inbox) = (format!("$JS.API.CONSUMER.MSG.NEXT.NOX_FEED.{name}"), client.new_inbox());
    let mut events = client.subscribe(inbox.clone()).await?;
    let mut last = taken_in(&path)?;
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    loop {
        let ask = r#"{"batch": 1, "expires": 5000000000}"#;
        client.publish_with_reply(next.clone(), inbox.clone(), ask.into()).await?;
        let Ok(message) = tokio::time::timeout(Duration::from_secs(6), events.next()).await else {
            continue;
        };
        let message = message.ok_or("the connection is closed")?;
        // Without one, it says that there was nothing in time.
        let Some(acknowledge) = message.reply.filter(|_| message.status.is_none()) else {
            continue;
        };
        let event: Value = serde_json::from_slice(&message.payload)?;
        if place(&event) > last {
            writeln!(file, "{event}")?;
            last = place(&event);
        }
        client.publish(acknowledge, "+ACK".into()).await?;
    }
}
