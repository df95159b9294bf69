//! The method of extended authentication that device and broker agree on.

use mqtt_core::{
    codec::{EncodeError, Properties, Property, Writer},
    session::Authentication,
};

pub(crate) const METHOD: &str = "riddle";

/// What CONNECT carries, and each AUTH that begins anew.
pub(crate) const GREETING: &[u8] = b"let me in";

/// What a server says that knows the device; an impostor says something else.
pub(crate) const WELCOME: &[u8] = b"welcome";

/// Solves the riddles of the broker.
#[derive(Debug)]
pub(crate) struct Riddle;

pub(crate) static RIDDLE: Riddle = Riddle;

impl Authentication for Riddle {
    fn method(&self) -> &str {
        METHOD
    }

    fn begin(&self, data: &mut Writer<'_>) -> Result<(), EncodeError> {
        data.bytes(GREETING)
    }

    fn respond(&self, server_data: &[u8], data: &mut Writer<'_>) -> Result<(), EncodeError> {
        data.bytes(&solution(server_data))
    }

    fn finish(&self, server_data: &[u8]) -> Result<(), EncodeError> {
        if server_data == WELCOME {
            Ok(())
        } else {
            Err(EncodeError::InvalidValue)
        }
    }
}

pub(crate) fn solution(riddle: &[u8]) -> Vec<u8> {
    riddle.iter().rev().map(|byte| byte ^ 0x55).collect()
}

/// The properties of a step.
pub(crate) fn step(data: &[u8]) -> [Property<'_>; 2] {
    [
        Property::AuthenticationMethod(METHOD),
        Property::AuthenticationData(data),
    ]
}

/// Whether these are the properties of a step with that data.
pub(crate) fn is_step(properties: &Properties<'_>, data: &[u8]) -> bool {
    properties.authentication_method() == Some(METHOD)
        && properties.authentication_data() == Some(data)
}
