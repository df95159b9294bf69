//! A way to the broker that can be cut.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Forwards connections on 127.0.0.1 to a port there.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    links: Links,
    cuts: Arc<AtomicUsize>,
}

/// Where a connection is cut: exactly so many bytes in that direction arrive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cut {
    /// Whose bytes count.
    pub direction: Direction,
    /// The number of bytes that still arrive.
    pub after: usize,
}

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From the client to the broker.
    ToBroker,
    /// From the broker to the client.
    ToClient,
}

type Links = Arc<Mutex<Vec<Link>>>;

/// A connection that is forwarded.
#[derive(Debug)]
struct Link {
    client: TcpStream,
    broker: TcpStream,
    /// The end of one side is no end of the other.
    is_half_open: Arc<AtomicBool>,
}

impl Proxy {
    /// Forwards to `target` until the program ends.
    #[must_use]
    pub fn start(target: u16) -> Self {
        Self::start_with_cuts(target, [])
    }

    /// As [`start`](Self::start), but the first connections are cut in mid-stream, one by each of the `cuts`.
    #[must_use]
    pub fn start_with_cuts(target: u16, cuts: impl IntoIterator<Item = Cut>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let proxy = Self {
            port: listener.local_addr().expect("an address").port(),
            links: Links::default(),
            cuts: Arc::default(),
        };
        let (known, done) = (proxy.links.clone(), proxy.cuts.clone());
        let mut cuts: VecDeque<Cut> = cuts.into_iter().collect();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // A broker that is down refuses, and so does the proxy.
                if let Ok(broker) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)) {
                    let _ = forward(&client, &broker, &known, cuts.pop_front(), &done);
                }
            }
        });
        proxy
    }

    /// How many connections have been cut as planned.
    #[must_use]
    pub fn cuts_done(&self) -> usize {
        self.cuts.load(Ordering::Relaxed)
    }

    /// The port it listens on.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Cuts all connections; what is on its way is lost. New ones are accepted.
    pub fn cut(&self) {
        for link in locked(&self.links).drain(..) {
            close(&link.client);
            close(&link.broker);
        }
    }

    /// As [`cut`](Self::cut), but the broker is told nothing: it holds its end of the links, as after a loss of power of
    /// the clients, until they are cut.
    pub fn leave_half_open(&self) {
        for link in locked(&self.links).iter() {
            link.is_half_open.store(true, Ordering::Release);
            close(&link.client);
        }
    }
}

fn locked(links: &Links) -> MutexGuard<'_, Vec<Link>> {
    links.lock().unwrap_or_else(PoisonError::into_inner)
}

fn close(end: &TcpStream) {
    // Fails only for a connection that has ended.
    let _ = end.shutdown(Shutdown::Both);
}

fn forward(
    client: &TcpStream,
    broker: &TcpStream,
    links: &Links,
    cut: Option<Cut>,
    done: &Arc<AtomicUsize>,
) -> std::io::Result<()> {
    let is_half_open = Arc::new(AtomicBool::new(false));
    locked(links).push(Link {
        client: client.try_clone()?,
        broker: broker.try_clone()?,
        is_half_open: is_half_open.clone(),
    });
    for (from, to, direction) in [
        (client, broker, Direction::ToBroker),
        (broker, client, Direction::ToClient),
    ] {
        to.set_nodelay(true)?;
        let (from, to, done) = (from.try_clone()?, to.try_clone()?, done.clone());
        let is_half_open = is_half_open.clone();
        let cut = cut.filter(|cut| cut.direction == direction);
        thread::spawn(move || {
            if copy(&from, &to, cut.map_or(usize::MAX, |cut| cut.after)) {
                done.fetch_add(1, Ordering::Relaxed);
            }
            if !is_half_open.load(Ordering::Acquire) {
                close(&from);
                close(&to);
            }
        });
    }
    Ok(())
}

/// Copies until one end closes, or `limit` bytes have been copied: then it says `true`.
fn copy(mut from: &TcpStream, mut to: &TcpStream, limit: usize) -> bool {
    let mut bytes = [0; 4096];
    let mut left = limit;
    while left > 0 {
        let room = bytes.len().min(left);
        let Ok(len @ 1..) = from.read(&mut bytes[..room]) else {
            break;
        };
        if to.write_all(&bytes[..len]).is_err() {
            break;
        }
        left -= len;
    }
    left == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_so_many_bytes_arrive_before_a_cut() {
        let broker = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let cut = Cut {
            direction: Direction::ToBroker,
            after: 5,
        };
        let target = broker.local_addr().expect("an address").port();
        let proxy = Proxy::start_with_cuts(target, [cut]);
        for arrives in [&b"01234"[..], b"0123456789"] {
            let mut client =
                TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).expect("a link");
            client.write_all(b"0123456789").expect("sent");
            client.shutdown(Shutdown::Write).expect("an open link");
            let (mut link, _) = broker.accept().expect("the other end");
            let mut arrived = Vec::new();
            link.read_to_end(&mut arrived).expect("bytes, then the end");
            assert_eq!(arrived, arrives);
        }
        assert_eq!(proxy.cuts_done(), 1);
    }
    #[test]
    fn a_broker_hears_nothing_of_a_link_that_is_left_half_open() {
        let broker = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let proxy = Proxy::start(broker.local_addr().expect("an address").port());
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).expect("a link");
        let (mut link, _) = broker.accept().expect("the other end");
        client.write_all(b"01").expect("sent");
        link.read_exact(&mut [0; 2]).expect("bytes");
        proxy.leave_half_open();
        assert_eq!(client.read(&mut [0]).expect("the end"), 0);
        link.write_all(b"2").expect("an open link");
        link.set_nonblocking(true).expect("a socket");
        let nothing = link.read(&mut [0]).expect_err("neither bytes nor the end");
        assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
        link.set_nonblocking(false).expect("a socket");
        proxy.cut();
        assert_eq!(link.read(&mut [0]).expect("the end"), 0);
    }
}
