//! A client with its runner on the tokio runtime.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::anyhow;
use mqtt_std::{Client, Error, Inbox, LinkState, Options};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long a DISCONNECT may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// The task that keeps a client connected.
#[derive(Debug)]
pub struct Link {
    client: Client,
    runner: JoinHandle<Result<(), Error>>,
}

/// Connects, and keeps connected as the options say.
///
/// # Errors
///
/// When the first attempt fails: a wrong address or password is not mended by trying for ever.
pub async fn connect(options: &Options) -> anyhow::Result<(Client, Inbox, Link)> {
    Box::pin(connect_as_told(options.clone().fail_fast(true))).await
}

/// As [`connect`], but whether the first attempt may fail is up to [`Options::fail_fast`].
///
/// # Errors
///
/// When it is given up.
pub async fn connect_as_told(options: Options) -> anyhow::Result<(Client, Inbox, Link)> {
    let (client, inbox, mut runner) = mqtt_std::new(options)?;
    let runner = tokio::spawn(async move { Box::pin(runner.run()).await });
    let mut link = Link {
        client: client.clone(),
        runner,
    };
    tokio::select! {
        // The runner knows more than how the link ended: the host, the certificate.
        error = link.ended() => Err(error),
        Ok(_) = client.connected() => Ok((client.clone(), inbox, link)),
    }
}

/// Tells on standard error what becomes of the link from now on, for programs whose standard output is something else.
pub async fn tell(client: &Client) -> Infallible {
    let mut state = client.state();
    loop {
        state = client.state_change(state).await;
        if matches!(
            state,
            LinkState::Connected { .. } | LinkState::Waiting { .. }
        ) {
            eprintln!("link: {state}");
        }
    }
}

impl Link {
    /// Waits until the link is given up, and tells why.
    pub async fn ended(&mut self) -> anyhow::Error {
        match (&mut self.runner).await {
            Ok(Ok(())) => anyhow!("disconnected"),
            Ok(Err(error)) => error.into(),
            Err(error) => error.into(),
        }
    }

    /// Disconnects, so that the broker does not publish the will.
    pub async fn close(self) {
        if self.runner.is_finished() {
            return;
        }
        let goodbye = async {
            self.client.disconnect().await;
            let _ = self.runner.await;
        };
        let _ = timeout(GOODBYE, goodbye).await;
    }
}
