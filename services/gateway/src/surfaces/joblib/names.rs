//! Rooms, and what is registered in them: `<room>:<category>:<name>`.

use nox_contract::{ProblemCode, TopicName};

use crate::{
    problem::{ApiError, FieldError},
    use_cases::tasks::topic::no_such_topic,
};

/// The room of jobs that are for all rooms.
pub const GLOBAL: &str = "@global";

/// Longest name of a room, in bytes.
const ROOM_BYTES_MAX: usize = 128;

/// Checks that `room` can be one.
pub fn room(room: &str) -> Result<&str, ApiError> {
    let wrong = room.is_empty()
        || room.len() > ROOM_BYTES_MAX
        || room.contains(['@', ':', '/'])
        || room.chars().any(char::is_control);
    if room == GLOBAL || !wrong {
        return Ok(room);
    }
    let detail = format!(
        "a room is called by 1 to {ROOM_BYTES_MAX} bytes without '@', ':', '/' and control characters, or \
         it is {GLOBAL}"
    );
    Err(ApiError::new(ProblemCode::InvalidRoomId, detail))
}

/// What is registered in `room` by this name.
pub fn topic(room: &str, category: &str, name: &str) -> Result<TopicName, ApiError> {
    let wrong = |detail: String| Err(ApiError::invalid(vec![FieldError::new("/name", detail)]));
    if name.is_empty() || name.contains(':') {
        return wrong("a job is called by some text without ':'".to_owned());
    }
    match TopicName::new(format!("{room}:{category}:{name}")) {
        Ok(topic) => Ok(topic),
        Err(error) => wrong(error.to_string()),
    }
}

/// A job's full name, if it is registered where `room` has it: there, or for all rooms.
pub fn seen_from(room: &str, name: &str) -> Result<TopicName, ApiError> {
    let topic = TopicName::new(name).map_err(|_| no_such_topic(name))?;
    let of = topic.parts().0;
    if of != GLOBAL && of != room {
        return Err(no_such_topic(name));
    }
    Ok(topic)
}
