//! Free ports for programs that cannot find one by themselves.

use std::net::{Ipv4Addr, TcpListener, TcpStream};

/// So many ports of 127.0.0.1 that nobody uses at this moment, each another.
#[must_use]
pub fn free_ports<const N: usize>() -> [u16; N] {
    // All are held until the last is known, so that they differ.
    let listeners = [(); N].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    listeners.map(|listener| {
        listener
            .and_then(|listener| listener.local_addr())
            .map(|address| address.port())
            .expect("a free port")
    })
}

/// Whether somebody accepts connections there.
#[must_use]
pub fn is_open(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}
