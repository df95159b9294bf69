//! The one connector of this image.

use embassy_net::Stack;
use firmware_scenarios::{Status, Timed};
use mqtt_embassy::TcpConnector;
use static_cell::ConstStaticCell;

#[cfg(feature = "tls")]
use crate::tls::{self, OverTls};
#[cfg(not(feature = "tls"))]
type OverTls = TcpConnector<'static>;

#[cfg(feature = "websocket")]
type Connector = mqtt_embassy::WsConnector<'static, OverTls, board::Random>;
#[cfg(not(feature = "websocket"))]
type Connector = OverTls;

/// QEMU's name for the host's own loopback.
const HOST: &str = "10.0.2.2";

/// Makes it. To be called once.
pub(crate) fn connector(stack: Stack<'static>, port: u16) -> Result<Timed<Connector>, Status> {
    static RX: ConstStaticCell<[u8; 2048]> = ConstStaticCell::new([0; 2048]);
    static TX: ConstStaticCell<[u8; 2048]> = ConstStaticCell::new([0; 2048]);
    let connector = TcpConnector::new(stack, HOST, port, RX.take(), TX.take());
    #[cfg(feature = "tls")]
    let connector = tls::over(connector)?;
    #[cfg(feature = "websocket")]
    let connector = mqtt_embassy::WsConnector::new(connector, HOST, "/mqtt", board::Random::new());
    Ok(Timed::new(connector, certificate_refusal))
}

/// What the connector says about a certificate that it did not accept.
fn certificate_refusal(connector: &Connector) -> Option<Status> {
    #[cfg(feature = "websocket")]
    let connector = connector.connector();
    #[cfg(feature = "tls")]
    return tls::refusal(connector);
    #[cfg(not(feature = "tls"))]
    {
        let _ = connector;
        None
    }
}
