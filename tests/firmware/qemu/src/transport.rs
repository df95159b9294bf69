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
    let connector = TcpConnector::new(stack, HOST, port, RX.take(), TX.take());
    #[cfg(feature = "tls")]
    let connector = tls::over(connector)?;
    #[cfg(feature = "websocket")]
    let connector = mqtt_embassy::WsConnector::new(connector, HOST, "/mqtt", board::Random::new());
    Ok(connector)
}

#[cfg(feature = "tls")]
mod tls {
    use board::Random;
    use firmware_scenarios::Status;
    use mqtt_embassy::tls::Clock;
    use mqtt_embassy::{TcpConnector, TlsConnector, TlsOptions};
    use semihosting::fs::File;
    use semihosting::io::Read as _;
    use static_cell::ConstStaticCell;

    /// Room for the certificate of an authority.
    const CERTIFICATE: usize = 1024;

    type OverTcp = TlsConnector<'static, TcpConnector<'static>, Random, HostClock>;

    /// TLS with the certificate and for the name that the arguments give.
    pub(super) fn over(tcp: TcpConnector<'static>) -> Result<OverTcp, Status> {
        static READ: ConstStaticCell<[u8; 16_640]> = ConstStaticCell::new([0; 16_640]);
        static WRITE: ConstStaticCell<[u8; 1024]> = ConstStaticCell::new([0; 1024]);
        let name = board::argument("name").ok_or(Status::Arguments)?;
        let options = TlsOptions::new(name, authority()?);
        let random = Random::new();
        let tls = TlsConnector::new(tcp, options, random, READ.take(), WRITE.take());
        Ok(tls.with_clock())
    }

    /// The certificate that the host has put into a file.
    fn authority() -> Result<&'static [u8], Status> {
        static BYTES: ConstStaticCell<[u8; CERTIFICATE]> = ConstStaticCell::new([0; CERTIFICATE]);
        let path = board::argument("ca").ok_or(Status::Arguments)?;
        let bytes = BYTES.take();
        let len = read(path, bytes).map_err(|_| Status::File)?;
        Ok(&bytes[..len])
    }

    fn read(path: &str, bytes: &mut [u8]) -> semihosting::io::Result<usize> {
        // The host wants a zero at the end.
        let mut name = [0; 256];
        let room = name.len() - 1;
        for (to, from) in name[..room].iter_mut().zip(path.bytes()) {
            *to = from;
        }
        let name = core::ffi::CStr::from_bytes_until_nul(&name);
        let mut file = File::open(name.unwrap_or_default())?;
        let mut len = 0;
        loop {
            match file.read(&mut bytes[len..])? {
                0 => return Ok(len),
                more => len += more,
            }
        }
    }

    /// The wall clock of the host.
    pub(super) enum HostClock {}

    impl Clock for HostClock {
        fn unix_time_s() -> Option<u64> {
            Some(board::unix_time_s())
        }
    }
}
