//! The way to the broker: TCP, then TLS and WebSocket as the options ask for.

mod halves;
mod tcp;
#[cfg(feature = "tls")]
mod tls;
mod trace;
#[cfg(feature = "websocket")]
mod web_socket;

use std::{fmt, sync::Arc};

use mqtt_core::client::{Connect, ConnectError};

use self::halves::{ReadHalf, Reader, WriteHalf, Writer};
#[cfg(feature = "tls")]
pub(crate) use self::tls::Tls;
pub(crate) use self::trace::Trace;
#[cfg(feature = "websocket")]
pub(crate) use self::web_socket::Upgrade;
#[cfg(any(feature = "tls", feature = "websocket"))]
use crate::Stage;
use crate::{ConnectFailure, session_file::KeptSession};

/// Host and port, for messages and for the `Host` header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Endpoint {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            return write!(f, "[{}]:{}", self.host, self.port);
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Makes links as the options ask for. Everything that can be wrong with the options has been found before.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) endpoint: Endpoint,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Tls>,
    #[cfg(feature = "websocket")]
    pub(crate) upgrade: Option<Upgrade>,
    pub(crate) trace: Arc<Trace>,
    /// The session to be saved before each write.
    pub(crate) kept: Option<Arc<KeptSession>>,
}

impl Connector {
    async fn open(&self) -> Result<(ReadHalf, WriteHalf), ConnectFailure> {
        let tcp = tcp::connect(&self.endpoint.host, self.endpoint.port, &self.trace).await?;
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            self.trace.enter(Stage::Tls);
            let stream = tls.connect(tcp).await?;
            #[cfg(feature = "websocket")]
            if let Some(upgrade) = &self.upgrade {
                self.trace.enter(Stage::WebSocket);
                return upgrade
                    .connect(Box::new(stream))
                    .await
                    .map(halves::of_web_socket);
            }
            return Ok(halves::of_tls(stream));
        }
        #[cfg(feature = "websocket")]
        if let Some(upgrade) = &self.upgrade {
            self.trace.enter(Stage::WebSocket);
            return upgrade
                .connect(Box::new(tcp))
                .await
                .map(halves::of_web_socket);
        }
        Ok(halves::of_tcp(tcp))
    }
}

impl Connect for Connector {
    type Link<'a> = (Reader, Writer);

    async fn connect(&mut self) -> Result<(Reader, Writer), ConnectError> {
        self.trace.begin();
        tracing::debug!(broker = %self.endpoint, "connecting");
        match Box::pin(self.open()).await {
            Ok((reader, writer)) => Ok((
                Reader::new(reader, self.trace.clone()),
                Writer::new(writer, self.trace.clone(), self.kept.clone()),
            )),
            Err(failure) => {
                tracing::debug!(broker = %self.endpoint, %failure, "cannot connect");
                let kind = failure.kind();
                self.trace.fail(failure);
                Err(kind)
            }
        }
    }
}

#[cfg(test)]
mod tests;
