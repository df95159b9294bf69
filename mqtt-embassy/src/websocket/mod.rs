//! MQTT over WebSocket, for networks that let nothing else through.

mod link;
mod upgrade;

use core::{cell::RefCell, fmt};

use embedded_io_async::Error;
use mqtt_core::client::{Connect, ConnectError, Link};
use rand_core::RngCore;

use self::{
    link::{Incoming, Pong},
    upgrade::Request,
};

pub use self::link::{WsLink, WsReader, WsWriter};

/// Makes links over WebSocket, on top of a [`TcpConnector`](crate::TcpConnector) (`ws`) or a
/// [`TlsConnector`](crate::TlsConnector) (`wss`).
///
/// Every write becomes one binary frame. Pings are answered. Of what an HTTP server may answer, nothing but the upgrade
/// is followed: no redirection, no authentication.
pub struct WsConnector<'a, C, R> {
    connector: C,
    request: Request<'a>,
    random: R,
}

impl<'a, C: Connect, R: RngCore> WsConnector<'a, C, R> {
    /// A connector to `path` (`/mqtt` mostly) of `host`, which is what the header `Host` says: a name or an address, with
    /// `:port` unless it is 80 or, over TLS, 443.
    ///
    /// `random` is for the masks of frames, which keep proxies from taking payloads for HTTP; it keeps nothing secret.
    pub fn new(connector: C, host: &'a str, path: &'a str, random: R) -> Self {
        let request = Request {
            host,
            path,
            headers: &[],
        };
        Self {
            connector,
            request,
            random,
        }
    }

    /// The connector below.
    pub fn connector(&self) -> &C {
        &self.connector
    }

    /// Further headers of the request, `Authorization` for example. Default: none.
    #[must_use]
    pub fn with_headers(mut self, headers: &'a [(&'a str, &'a str)]) -> Self {
        self.request.headers = headers;
        self
    }
}

impl<C: Connect, R: RngCore> Connect for WsConnector<'_, C, R> {
    type Link<'s>
        = WsLink<'s, C::Link<'s>, R>
    where
        Self: 's;

    async fn connect(&mut self) -> Result<WsLink<'_, C::Link<'_>, R>, ConnectError> {
        if !self.request.is_valid() {
            warning!("websocket: host, path or a header cannot be sent");
            return Err(ConnectError::WebSocket);
        }
        let mut link = self.connector.connect().await?;
        let mut nonce = [0; 16];
        self.random.fill_bytes(&mut nonce);
        debug!(
            "websocket: asking for {}",
            self.request.path_without_query()
        );
        {
            let (mut reader, mut writer) = link.split();
            let sent = self.request.send(nonce, &mut writer).await;
            sent.map_err(|error| {
                warning!("websocket: cannot ask: {:?}", error.kind());
                ConnectError::WebSocket
            })?;
            upgrade::receive(nonce, &mut reader).await?;
        }
        Ok(WsLink {
            link,
            random: &mut self.random,
            incoming: Incoming::default(),
            pong: RefCell::new(Pong::NONE),
        })
    }
}

// Without the headers and the query, which may hold a secret.
impl<C: fmt::Debug, R> fmt::Debug for WsConnector<'_, C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WsConnector")
            .field("connector", &self.connector)
            .field("host", &self.request.host)
            .field("path", &self.request.path_without_query())
            .finish_non_exhaustive()
    }
}
