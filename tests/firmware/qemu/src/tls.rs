//! TLS as the arguments say.

use board::Random;
use firmware_scenarios::Status;
use mqtt_embassy::tls::{CertificateFault, Clock};
use mqtt_embassy::{TcpConnector, TlsConnector, TlsOptions};
use semihosting::fs::File;
use semihosting::io::Read as _;
use static_cell::ConstStaticCell;

/// Room for the certificate of an authority.
const CERTIFICATE: usize = 1024;

pub(crate) type OverTls = TlsConnector<'static, TcpConnector<'static>, Random, HostClock>;

/// TLS with the certificate and for the name that the arguments give.
pub(crate) fn over(tcp: TcpConnector<'static>) -> Result<OverTls, Status> {
    static READ: ConstStaticCell<[u8; 16_640]> = ConstStaticCell::new([0; 16_640]);
    static WRITE: ConstStaticCell<[u8; 1024]> = ConstStaticCell::new([0; 1024]);
    let name = board::argument("name").ok_or(Status::Arguments)?;
    let options = TlsOptions::new(name, authority()?);
    let random = Random::new();
    let tls = TlsConnector::new(tcp, options, random, READ.take(), WRITE.take());
    Ok(tls.with_clock())
}

/// Why the certificate was not accepted.
pub(crate) fn refusal(tls: &OverTls) -> Option<Status> {
    Some(match tls.certificate_fault()? {
        CertificateFault::UnknownAuthority => Status::UnknownAuthority,
        CertificateFault::WrongName => Status::WrongName,
        CertificateFault::OutOfDate => Status::Expired,
        CertificateFault::NotAnAuthority => Status::NotAnAuthority,
        _ => Status::BadCertificate,
    })
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
pub(crate) enum HostClock {}

impl Clock for HostClock {
    fn unix_time_s() -> Option<u64> {
        Some(board::unix_time_s())
    }
}
