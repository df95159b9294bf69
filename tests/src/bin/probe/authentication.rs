//! An authentication method that says the same thing each time it is asked.

use mqtt_core::codec::{EncodeError, Writer};
use mqtt_std::Authentication;

/// The method and its data.
#[derive(Debug)]
pub(crate) struct Fixed {
    pub(crate) method: String,
    pub(crate) data: Vec<u8>,
}

impl Authentication for Fixed {
    fn method(&self) -> &str {
        &self.method
    }

    fn begin(&self, data: &mut Writer<'_>) -> Result<(), EncodeError> {
        data.bytes(&self.data)
    }

    fn respond(&self, _server_data: &[u8], data: &mut Writer<'_>) -> Result<(), EncodeError> {
        data.bytes(&self.data)
    }
}
