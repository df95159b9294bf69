//! The helpers of platforms: topics and payloads, against vectors and by their rules.

mod support;

mod decimal;
mod losant;
mod place_os;
mod recipes;
mod thingsboard;
mod thingsboard_update;
mod watson_iot;
