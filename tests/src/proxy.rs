//! A way to the broker that can be cut.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Forwards connections on 127.0.0.1 to a port there.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    links: Links,
}

/// Both ends of every connection.
type Links = Arc<Mutex<Vec<TcpStream>>>;

impl Proxy {
    /// Forwards to `target` until the program ends.
    #[must_use]
    pub fn start(target: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let links = Links::default();
        let known = links.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // A broker that is down refuses, and so does the proxy.
                if let Ok(broker) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)) {
                    let _ = forward(&client, &broker, &known);
                }
            }
        });
        Self { port, links }
    }

    /// The port it listens on.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Cuts all connections; what is on its way is lost. New ones are accepted.
    pub fn cut(&self) {
        for link in self
            .links
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain(..)
        {
            // Fails only for a connection that has ended.
            let _ = link.shutdown(Shutdown::Both);
        }
    }
}

fn forward(client: &TcpStream, broker: &TcpStream, links: &Links) -> std::io::Result<()> {
    let ends = [client.try_clone()?, broker.try_clone()?];
    links
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .extend(ends);
    for (from, to) in [(client, broker), (broker, client)] {
        to.set_nodelay(true)?;
        let (from, to) = (from.try_clone()?, to.try_clone()?);
        thread::spawn(move || copy(from, to));
    }
    Ok(())
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 4096];
    while let Ok(len @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..len]).is_err() {
            break;
        }
    }
    for end in [from, to] {
        // Fails only for a connection that has ended.
        let _ = end.shutdown(Shutdown::Both);
    }
}
