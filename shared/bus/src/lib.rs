//! Subjects, message types, streams, identities, request and reply with deadlines: the contract between the parts
//! of bot-bottle, and no service logic.

pub mod message;
