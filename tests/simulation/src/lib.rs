//! The real client in a simulated world: a broker by the book, a faulty network, a clock that jumps, and an application
//! that drops its futures wherever it can.
//!
//! A life depends on nothing but its seed. All decisions lie on a tape, so a life that breaks a
//! [rule](Rule) can be told again, and made shorter until only what matters is left.
//!
//! | module | what it is |
//! | --- | --- |
//! | `tape` | decisions, drawn or played back |
//! | `scene` | what all parts share |
//! | `setup` | the options, the broker's and the network's character |
//! | `clock`, `executor`, `kind` | the platform |
//! | `link` | bytes both ways, and what happens to them |
//! | `flash` | what outlives a loss of power |
//! | `audit` | judges each byte of the client's by the standard |
//! | `riddle` | a method of extended authentication |
//! | `broker` | the other side |
//! | `device` | the client and its application |
//! | `ledger` | every message, and what became of it |
//! | `world` | time, events, and the judgement at the end |
#![allow(
    clippy::cast_possible_truncation,
    reason = "numbers of messages, and times of a life"
)]

mod audit;
mod broker;
mod clock;
mod device;
mod executor;
mod flash;
mod kind;
mod ledger;
mod life;
mod link;
mod riddle;
mod scene;
mod setup;
mod tape;
mod verdict;
mod wire;
mod world;

pub use life::{Life, live, minimise, replay};
pub use verdict::{Rule, Summary, Violation};
