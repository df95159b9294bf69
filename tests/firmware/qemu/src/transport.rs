//! The one connector of this image.

use embassy_net::Stack;
use firmware_scenarios::Status;
use mqtt_embassy::TcpConnector;
use mqtt_embassy::mqtt_core::client::Connect;
use static_cell::ConstStaticCell;

/// QEMU's name for the host's own loopback.
const HOST: &str = "10.0.2.2";

/// Makes it. To be called once.
pub(crate) fn connector(stack: Stack<'static>, port: u16) -> Result<impl Connect, Status> {
    static RX: ConstStaticCell<[u8; 2048]> = ConstStaticCell::new([0; 2048]);
    static TX: ConstStaticCell<[u8; 2048]> = ConstStaticCell::new([0; 2048]);
    let tcp = TcpConnector::new(stack, HOST, port, RX.take(), TX.take());
    Ok(tcp)
}
