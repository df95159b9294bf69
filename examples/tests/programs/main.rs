//! The programs as their users meet them: what they print, and their exit status.

mod host_monitor;
mod program;
mod publish_subscribe;
mod tls;
