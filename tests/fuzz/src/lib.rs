//! What the fuzz targets do. A target is a program of some lines in `fuzz_targets`, and a module here that says what has
//! to hold, besides that nothing panics.
//!
//! `cargo xtask fuzz` builds and runs them; `cargo xtask fuzz --help` says how. The corpus begins with the vectors of
//! `tests/vectors` and `mqtt-core/tests/platform/vectors`.

pub mod client;
pub mod codec;
pub mod differential;
mod input;
pub mod json;
pub mod platforms;
pub mod session;
pub mod update;
pub mod url;
pub mod websocket;

#[path = "../../../mqtt-core/tests/session/common/mod.rs"]
#[allow(
    clippy::pedantic,
    missing_docs,
    reason = "the peer of another package's tests"
)]
mod common;
#[path = "../../../mqtt-core/tests/client/support/mod.rs"]
#[allow(
    clippy::pedantic,
    missing_docs,
    reason = "the peer of another package's tests"
)]
mod support;
