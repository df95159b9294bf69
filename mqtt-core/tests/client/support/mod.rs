//! A small world for the asynchronous client: a fake clock, an executor that is stepped by hand, and links that
//! do what a test tells them. Nothing in it waits for real time, and nothing runs by itself.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "each feature set uses a part of it"
)]
#![allow(
    clippy::struct_excessive_bools,
    clippy::large_types_passed_by_value,
    clippy::trivially_copy_pass_by_ref,
    reason = "what is short to write; packets depend in size on the features"
)]

pub mod broker;
pub mod clock;
pub mod disk;
pub mod executor;
pub mod kind;
pub mod knife;
pub mod link;
pub mod wire;
pub mod world;

pub use executor::Outcome;
pub use kind::Test;
pub use link::{Link, Plan, Profile};
pub use world::{Config, World};

pub type Client = mqtt_core::client::Client<Test>;
pub type Delivery = mqtt_core::client::Delivery<Test>;
pub type Inbox = mqtt_core::client::Inbox<Test>;
