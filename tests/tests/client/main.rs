//! The client of `mqtt-std` against scripted brokers.

mod blocking;
mod dropped_futures;
mod links;
mod messages;
