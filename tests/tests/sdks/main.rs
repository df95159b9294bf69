//! The platforms' official Python SDKs and our helpers do the same, and a recorder compares what they send and what they
//! make of what they receive. Where they differ on purpose, a table says why. The simulated platforms, against which our
//! helpers are tested elsewhere, serve the SDKs too.
//!
//! Feature `sdks`, because the SDKs must be installed: `cargo xtask sdks` does it. Without them these tests fail.

mod compare;
mod interpreter;
mod losant;
mod ours;
mod sdk;
mod simulators;
mod thingsboard;
mod watson_iot;
