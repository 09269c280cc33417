//! Every service as a process of its own, against a real broker and a real database.

mod doctored;
