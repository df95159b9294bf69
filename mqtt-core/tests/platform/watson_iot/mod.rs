//! IBM Watson IoT Platform.

mod support;

mod firmware;
mod messages;
mod random;
mod requests;
mod server;
