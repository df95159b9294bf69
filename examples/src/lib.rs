//! What the example programs share: arguments that say which broker, an embedded broker, the link, the readings of this
//! machine, the screen, secrets, simulated platforms, and how to end.

pub mod arguments;
pub mod broker;
pub mod ending;
pub mod link;
pub mod monitor;
pub mod secret;
pub mod simulator;
pub mod terminal;
