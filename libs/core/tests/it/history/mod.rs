//! What holds for every history.
//!
//! A history is a list of steps. Each names what it is about by an index into whatever is there when
//! its turn comes, so that a shorter list is still a history and a failure shrinks well.

mod actor;
mod properties;
mod steps;
