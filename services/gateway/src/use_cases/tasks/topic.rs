//! What tasks can be submitted to.

use nox_contract::{ProblemCode, TopicName};
use nox_readmodel::TopicRow;

use crate::{
    app::App,
    identity::auth::Caller,
    problem::ApiError,
    read::{barrier::Sources, required::Required},
};

pub async fn find(app: &App, caller: &Caller, topic: &TopicName) -> Result<TopicRow, ApiError> {
    let read = || app.reader.topic(&caller.tenant, topic);
    let found = app.barrier.find(Required::default(), Sources::Commands, read).await?;
    found.value.ok_or_else(|| no_such_topic(topic.as_str()))
}

pub fn no_such_topic(name: &str) -> ApiError {
    let name: String = name.chars().take(256).collect();
    ApiError::new(ProblemCode::JobNotFound, format!("no worker registers {name}"))
}
