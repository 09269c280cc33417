//! What was said once stays readable, and what is said is described.

mod asyncapi;
mod audit;
mod corpus;
mod events;
mod examples;
mod kind;
mod meaning;
mod schemas;
mod tolerance;
mod values;
mod variants;
