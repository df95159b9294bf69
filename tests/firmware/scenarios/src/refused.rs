//! A link that cannot be made: the firmware tells which refusal it was, by a status and a line in the log.

use mqtt_embassy::mqtt_core::client::{Connect, ConnectError};
use mqtt_embassy::mqtt_core::codec::ReasonCode;
use mqtt_embassy::mqtt_core::session::SessionError;
use mqtt_embassy::{LinkEnd, Reconnect};

use crate::Status;
use crate::device::Device;

/// Patience with a peer that says nothing.
const TIMEOUT_MS: u32 = 3_000;

/// Never good: the host expects one of the refusals.
pub(crate) async fn run(mut device: Device<'_, impl Connect>) -> Result<(), Status> {
    let mut options = device.options();
    options.reconnect = Reconnect::never();
    options.connect_timeout_ms = TIMEOUT_MS;
    options.connack_timeout_ms = TIMEOUT_MS;
    Err(match device.try_link(&options).await {
        None => Status::Accepted,
        Some(end) => {
            defmt::warn!("link ended: {}", end);
            match end {
                LinkEnd::Connect(ConnectError::Certificate) => device.certificate_refusal(),
                _ => refusal(end),
            }
        }
    })
}

const fn refusal(end: LinkEnd) -> Status {
    match end {
        LinkEnd::Session(SessionError::Refused(code)) if is_about_credentials(code) => {
            Status::BadCredentials
        }
        LinkEnd::Session(SessionError::ConnAckTimeout)
        | LinkEnd::Connect(ConnectError::TimedOut) => Status::Silence,
        LinkEnd::Connect(ConnectError::Tls) => Status::NoTls,
        LinkEnd::Connect(ConnectError::Refused) => Status::PortClosed,
        _ => Status::OtherRefusal,
    }
}

const fn is_about_credentials(code: ReasonCode) -> bool {
    // 3.1.1: bad user name or password, not authorized.
    matches!(code.value(), 4 | 5)
        || matches!(
            code,
            ReasonCode::BAD_USER_NAME_OR_PASSWORD | ReasonCode::NOT_AUTHORIZED
        )
}
