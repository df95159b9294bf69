//! The codec, against vectors, tables of the standard, and chance.

mod support;

mod bad_packets;
mod generated;
mod good_packets;
mod round_trips;
