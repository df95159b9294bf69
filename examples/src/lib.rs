//! What the example programs share: arguments that say which broker, an embedded broker, the link, and how to end.

pub mod arguments;
pub mod broker;
pub mod ending;
pub mod link;
