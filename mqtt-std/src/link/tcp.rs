//! TCP: every address of the host is tried, the next one a moment after the last ("happy eyeballs", RFC 8305).

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::{TcpStream, lookup_host},
    task::JoinSet,
    time::timeout,
};

use super::Trace;
use crate::{ConnectFailure, Stage};

/// How long one address has for itself before the next is tried beside it (RFC 8305 §5).
const HEAD_START: Duration = Duration::from_millis(250);

/// Connects to the first address of `host` that answers.
pub(super) async fn connect(
    host: &str,
    port: u16,
    trace: &Trace,
) -> Result<TcpStream, ConnectFailure> {
    trace.enter(Stage::NameResolution);
    let addresses = resolve(host, port).await?;
    trace.enter(Stage::Tcp);
    let stream = race(addresses).await.map_err(ConnectFailure::from_tcp)?;
    // A small packet must not wait for the acknowledgement of the one before.
    stream.set_nodelay(true).map_err(ConnectFailure::from_tcp)?;
    Ok(stream)
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, ConnectFailure> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let found: Vec<_> = lookup_host((host, port))
        .await
        .map_err(unknown_host)?
        .collect();
    if found.is_empty() {
        return Err(unknown_host(io::ErrorKind::NotFound.into()));
    }
    Ok(alternate(found))
}

fn unknown_host(error: io::Error) -> ConnectFailure {
    ConnectFailure::NameResolution(Arc::new(error))
}

/// The order of the resolver, with the families taking turns, so that a dead IPv6 costs one head start, not many.
fn alternate(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = found.first().is_some_and(SocketAddr::is_ipv6);
    let (mut first, mut second): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|a| a.is_ipv6() == first_is_v6);
    let mut mixed = Vec::with_capacity(first.len() + second.len());
    let (mut first, mut second) = (first.drain(..), second.drain(..));
    loop {
        let pair = (first.next(), second.next());
        if pair == (None, None) {
            return mixed;
        }
        mixed.extend(pair.0.into_iter().chain(pair.1));
    }
}

async fn race(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut attempts = JoinSet::new();
    let mut waiting = addresses.into_iter();
    let mut worst: Option<io::Error> = None;
    loop {
        if let Some(address) = waiting.next() {
            tracing::debug!(%address, "connecting");
            attempts.spawn(TcpStream::connect(address));
        }
        match next_outcome(&mut attempts, waiting.len() > 0).await {
            Outcome::StartNext => {}
            Outcome::Connected(stream) => return Ok(stream),
            Outcome::Failed(error) => worst = Some(more_telling(worst, error)),
            Outcome::AllFailed => {
                return Err(worst.unwrap_or_else(|| io::ErrorKind::NotFound.into()));
            }
        }
    }
}

enum Outcome {
    StartNext,
    Connected(TcpStream),
    Failed(io::Error),
    AllFailed,
}

async fn next_outcome(attempts: &mut JoinSet<io::Result<TcpStream>>, others_wait: bool) -> Outcome {
    let patience = if others_wait {
        HEAD_START
    } else {
        Duration::MAX
    };
    match timeout(patience, attempts.join_next()).await {
        Err(_) => Outcome::StartNext,
        Ok(None) if others_wait => Outcome::StartNext,
        Ok(None) => Outcome::AllFailed,
        Ok(Some(Ok(Ok(stream)))) => Outcome::Connected(stream),
        Ok(Some(Ok(Err(error)))) => Outcome::Failed(error),
        Ok(Some(Err(cancelled))) => Outcome::Failed(io::Error::other(cancelled)),
    }
}

/// Of the failures of several addresses, the one that says most: a refusal comes from the host itself.
fn more_telling(old: Option<io::Error>, new: io::Error) -> io::Error {
    let rank = |error: &io::Error| match error.kind() {
        io::ErrorKind::ConnectionRefused => 2,
        io::ErrorKind::TimedOut => 1,
        _ => 0,
    };
    match old {
        Some(old) if rank(&old) >= rank(&new) => old,
        _ => new,
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_in_the_resolvers_order() {
        let found = addresses(&[
            "[::1]:1",
            "[::2]:1",
            "[::3]:1",
            "127.0.0.1:1",
            "127.0.0.2:1",
        ]);
        let expected = addresses(&[
            "[::1]:1",
            "127.0.0.1:1",
            "[::2]:1",
            "127.0.0.2:1",
            "[::3]:1",
        ]);
        assert_eq!(alternate(found), expected);
    }

    #[tokio::test]
    async fn a_refusing_address_does_not_hide_a_good_one() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let refusing = closed_port().await;
        let stream = race(vec![refusing, refusing, good]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
    }

    #[tokio::test]
    async fn all_addresses_refusing_is_a_refusal() {
        let refusing = closed_port().await;
        let error = race(vec![refusing, refusing]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn an_unknown_host_is_a_failure_of_name_resolution() {
        let failure = connect("no-such-host.invalid", 1883, &Trace::default())
            .await
            .unwrap_err();
        assert!(
            matches!(failure, ConnectFailure::NameResolution(_)),
            "{failure:?}"
        );
    }

    #[test]
    fn a_refusal_says_more_than_a_missing_route() {
        let unreachable = io::Error::from(io::ErrorKind::NetworkUnreachable);
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(
            more_telling(Some(unreachable), refused).kind(),
            io::ErrorKind::ConnectionRefused
        );
    }

    async fn closed_port() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    }
}
