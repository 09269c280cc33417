//! The memory of requests in hand: bodies as they arrive, and answers until they are sent.
//!
//! What is small is not counted one by one: each connection has one request at a time, so it is
//! bounded by the number of connections.

use std::net::IpAddr;

use axum::{
    body::{Body, Bytes, HttpBody, to_bytes},
    response::{IntoResponse, Response},
};
use nox_contract::ProblemCode;

use crate::{
    http::budget::{Address, Budget, Hold},
    problem::{ApiError, closing},
};

/// Largest answer that is not counted.
const SMALL_BYTES: usize = 16 * 1024;

/// The memory that a request takes from, as one of the address that it is from. Each request carries it as an extension.
#[derive(Clone)]
pub struct Account {
    budget: Budget,
    address: Address,
    client: IpAddr,
}

impl Account {
    /// Of requests from this address.
    pub fn new(budget: Budget, client: IpAddr) -> Self {
        Self { budget, address: Address::of(client), client }
    }

    /// Of a request that comes by way of a proxy, from somebody at this address.
    pub fn of(self, client: IpAddr) -> Self {
        Self::new(self.budget, client)
    }

    /// The address that the request is from.
    pub fn client(&self) -> IpAddr {
        self.client
    }

    /// Room for `bytes`.
    pub fn take(&self, bytes: usize) -> Result<Room, ApiError> {
        self.budget.take(self.address, bytes).map(Room).map_err(|_| exhausted())
    }

    /// Counts an answer until it is sent. One for which there is no room is replaced, if nothing was
    /// done for it that its asker has to know.
    pub async fn count(&self, answer: Response, replaceable: bool) -> Response {
        let size = HttpBody::size_hint(answer.body()).exact().unwrap_or_default();
        let Some(size) = usize::try_from(size).ok().filter(|size| *size > SMALL_BYTES) else {
            return answer;
        };
        let room = match self.budget.take(self.address, size) {
            Ok(room) => room,
            // Its connection ends with it: what is asked behind it would cost as much, and be refused.
            Err(_) if replaceable => return closing(exhausted()),
            Err(_) => self.budget.take_anyway(self.address, size),
        };
        let (head, body) = answer.into_parts();
        match to_bytes(body, size).await {
            Ok(bytes) => Response::from_parts(head, Body::from(Room(room).around(bytes))),
            Err(error) => ApiError::internal(error).into_response(),
        }
    }
}

/// Room that was taken for bytes.
pub struct Room(Hold);

impl Room {
    /// Takes `more` bytes as well.
    pub fn grow(&mut self, more: usize) -> Result<(), ApiError> {
        self.0.grow(more).map_err(|_| exhausted())
    }

    /// The same bytes, which give the room back when the last of them is sent.
    pub fn around(self, bytes: Bytes) -> Bytes {
        struct Counted(Bytes, #[expect(dead_code, reason = "it is there to be dropped")] Room);

        impl AsRef<[u8]> for Counted {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        Bytes::from_owner(Counted(bytes, self))
    }
}

fn exhausted() -> ApiError {
    let detail = "the memory for requests in hand is taken, in all or by this address";
    ApiError::new(ProblemCode::Overloaded, detail)
}
