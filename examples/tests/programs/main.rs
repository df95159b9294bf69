//! The programs as their users meet them: what they print, and their exit status.

mod host_monitor;
mod losant;
mod place_os;
mod program;
mod publish_subscribe;
mod restart;
mod secrets;
mod simulator;
mod thingsboard;
mod tls;
mod watson_iot;
