//! A server with a certificate of the test's choice, which nobody should accept.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use mqtt_tests::certificates::Identity;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};

/// CONNACK of MQTT 3.1.1: accepted, no session. Not that anybody should come so far.
const CONNACK: [u8; 4] = [0x20, 2, 0, 0];

/// Accepts connections on 127.0.0.1 by TLS 1.3, until the program ends. The answer is its port.
pub(crate) fn start(identity: &Identity) -> u16 {
    let config = Arc::new(config(identity));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // Fails for every client that knows what it does.
            let _ = serve(stream, config.clone());
        }
    });
    port
}

fn config(identity: &Identity) -> ServerConfig {
    let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes());
    let chain = chain.collect::<Result<_, _>>().expect("certificates");
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a certificate with its key")
}

/// Accepts whatever comes as CONNECT, so that a client that trusts this server says so.
fn serve(mut stream: TcpStream, config: Arc<ServerConfig>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut tls = Stream::new(&mut connection, &mut stream);
    let mut bytes = [0; 512];
    if tls.read(&mut bytes)? > 0 {
        tls.write_all(&CONNACK)?;
    }
    while tls.read(&mut bytes)? > 0 {}
    Ok(())
}
