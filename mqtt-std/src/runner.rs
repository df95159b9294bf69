//! The part that does the work: connects, moves bytes, reconnects.

use std::{fmt, pin::pin, sync::Arc};

use mqtt_core::{
    client::{LinkEnd, LinkState, Shared},
    session::Slot,
};

use crate::{
    Client, Error, Inbox, Options, OptionsError, Std,
    link::{Connector, Trace},
    options::Parts,
    session_file::KeptSession,
    wait::{Either, select},
};

/// Every pause between two links is this long at least: long enough for a look at why the first has ended.
const SHORTEST_PAUSE_MS: u32 = 10;

/// Makes a client for `options`: handles to publish and subscribe with, the inbox, and the runner that does the work.
///
/// Nothing happens before [`Runner::run`] is polled; spawn it, or `join` it with the rest of the program.
///
/// # Errors
///
/// [`OptionsError`] if the options cannot be used. The files that they name are read here.
pub fn new(options: Options) -> Result<(Client, Inbox, Runner), OptionsError> {
    let trace = Arc::new(Trace::default());
    let connector = options.connector(trace.clone())?;
    let buffer = |len: usize| vec![0; len].into_boxed_slice();
    // One for every 64 bytes of buffer: more messages hardly fit.
    let slots = |len: usize, inbound: u16| {
        vec![Slot::FREE; len / 64 + usize::from(inbound) + 8].into_boxed_slice()
    };
    let sizes = options.buffers;
    let (client, inbox, core) = {
        let parts = Parts::of(options.session())?;
        let core = parts.options(options.session())?;
        let shared = Shared::new(
            buffer(sizes.receive),
            buffer(sizes.transmit),
            slots(sizes.transmit, core.receive_maximum),
            buffer(sizes.wire),
            &core,
        )
        .map_err(OptionsError::Session)?;
        let handles = mqtt_core::client::new::<Std>(Arc::new(shared));
        let client = &handles.0;
        client.enable_topic_aliases();
        let enabled = client.enable_authentication(&core);
        enabled.map_err(OptionsError::Session)?;
        handles
    };
    client.set_outbox_policy(options.outbox);
    let kept = match &options.session_file {
        Some(path) => Some(Arc::new(KeptSession::open(
            &client,
            path,
            options.buffers.transmit,
        )?)),
        None => None,
    };
    let runner = Runner {
        kept,
        core,
        client: client.clone(),
        options,
        connector: Some(connector),
        trace,
    };
    Ok((client, inbox, runner))
}

/// Connects to the broker and keeps the link up.
pub struct Runner {
    core: mqtt_core::client::Runner<Std>,
    /// The session in a file, if the options name one.
    kept: Option<Arc<KeptSession>>,
    client: Client,
    options: Options,
    /// `None` when the options may have changed.
    connector: Option<Connector>,
    trace: Arc<Trace>,
}

impl Runner {
    /// Connects, moves packets, and connects again as [`Options::reconnect`] says.
    ///
    /// Returns `Ok` when the client has disconnected. It may be called again then, or after an error: the session is
    /// kept, and what was accepted but not delivered is sent on the next link.
    ///
    /// Must be polled within a tokio runtime that has I/O and time enabled. Dropping the future drops the link without
    /// a `Disconnect`: the broker publishes the will.
    ///
    /// # Errors
    ///
    /// [`Error`] when the broker refuses the credentials, when the policy gives up, when the link ends and reconnecting
    /// is switched off, and, with [`Options::fail_fast`], when the first connection fails.
    pub async fn run(&mut self) -> Result<(), Error> {
        let mut connector = match self.connector.take() {
            Some(connector) => connector,
            None => self.options.connector(self.trace.clone())?,
        };
        connector.kept.clone_from(&self.kept);
        let outcome = Box::pin(self.drive(&mut connector)).await;
        self.connector = Some(connector);
        outcome
    }

    /// The options, to be changed between two runs. Buffers keep the size that they have.
    pub fn options_mut(&mut self) -> &mut Options {
        self.connector = None;
        &mut self.options
    }

    /// The options.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    async fn drive(&mut self, connector: &mut Connector) -> Result<(), Error> {
        let broker = connector.endpoint.to_string();
        let session = self.options.session();
        let parts = Parts::of(session)?;
        let mut options = parts.options(session)?;
        options.reconnect.floor_ms = options.reconnect.floor_ms.max(SHORTEST_PAUSE_MS);
        let watch = Watch {
            client: &self.client,
            broker: &broker,
            trace: &self.trace,
        };
        let mut running = pin!(self.core.run(connector, &options));
        match select(&mut running, watch.run(self.options.fail_fast)).await {
            Either::First(LinkEnd::Disconnected) => Ok(()),
            Either::First(end) => Err(watch.error(end)),
            Either::Second(error) => {
                // Not just dropped: those who wait for something must learn that nothing will come.
                select(self.client.disconnect(), running).await;
                Err(error)
            }
        }
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner")
            .field("options", &self.options)
            .field("state", &self.client.state())
            .finish_non_exhaustive()
    }
}

/// Tells the log what becomes of the link.
struct Watch<'a> {
    client: &'a Client,
    broker: &'a str,
    trace: &'a Trace,
}

impl Watch<'_> {
    /// Completes only when the first connection has failed and `fail_fast` is set.
    async fn run(&self, fail_fast: bool) -> Error {
        let before = self.connections();
        let mut state = self.client.state();
        loop {
            if let LinkState::Connected { session_present } = state {
                tracing::info!(broker = self.broker, session_present, "connected");
            }
            if let LinkState::Waiting { retry_in_ms, end } = state {
                let error = self.error(end);
                tracing::warn!(retry_in_ms, "{error}");
                // The counter, because the state of a link that came and went at once may not have been seen.
                if fail_fast && self.connections() == before {
                    return error;
                }
            }
            state = self.client.state_change(state).await;
        }
    }

    fn connections(&self) -> u16 {
        self.client.report().session.connections
    }

    fn error(&self, end: LinkEnd) -> Error {
        Error::of_link(self.broker.to_owned(), end, self.trace)
    }
}
