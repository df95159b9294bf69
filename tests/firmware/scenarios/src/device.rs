//! The client under test, and how a scenario uses it.

use core::cell::Cell;
use core::pin::pin;

use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use embassy_futures::yield_now;
use embassy_time::{Duration, Instant, Timer, with_timeout};
use mqtt_embassy::mqtt_core::client::{Connect, ConnectError};
use mqtt_embassy::{
    Client, Delivery, Inbox, LinkEnd, Message, Options, PublishError, QoS, Received, Reconnect,
    Runner, Storage,
};
use static_cell::ConstStaticCell;

use crate::random::Random;
use crate::{Arguments, Status, report};

/// Everything the client keeps: 1 KB each way, and a slot for each message that mosquitto sends at once (20), that we
/// send at once (8), and some for subscriptions.
pub type Memory = Storage<1024, 1024, 40>;

/// No wait of a scenario is longer.
const LIMIT: Duration = Duration::from_secs(20);

/// Measures how long it takes to make a link.
#[derive(Debug)]
pub struct Timed<C> {
    connector: C,
    certificate_refusal: fn(&C) -> Option<Status>,
}

impl<C> Timed<C> {
    /// Links come from `connector`; `certificate_refusal` asks it what was wrong with a certificate.
    pub const fn new(connector: C, certificate_refusal: fn(&C) -> Option<Status>) -> Self {
        Self {
            connector,
            certificate_refusal,
        }
    }
}

impl<C: Connect> Connect for Timed<C> {
    type Link<'a>
        = C::Link<'a>
    where
        Self: 'a;

    async fn connect(&mut self) -> Result<C::Link<'_>, ConnectError> {
        let start = Instant::now();
        let link = self.connector.connect().await?;
        report::add_handshake(milliseconds(start));
        Ok(link)
    }
}

fn milliseconds(since: Instant) -> u32 {
    u32::try_from(since.elapsed().as_millis()).unwrap_or(u32::MAX)
}

/// The client with its arguments.
#[derive(Debug)]
pub(crate) struct Device<'a, C> {
    pub(crate) client: Client,
    pub(crate) random: Random,
    pub(crate) count: u32,
    inbox: Inbox,
    runner: Runner,
    connector: &'a mut Timed<C>,
    arguments: Arguments,
}

impl<'a, C: Connect> Device<'a, C> {
    pub(crate) fn new(arguments: &Arguments, connector: &'a mut Timed<C>) -> Result<Self, Status> {
        static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
        let made = mqtt_embassy::new(MEMORY.take(), &options(arguments));
        let (client, inbox, runner) = made.map_err(|error| {
            defmt::error!("options: {}", error);
            Status::Options
        })?;
        Ok(Self {
            client,
            random: Random::new(arguments.seed),
            count: arguments.count,
            inbox,
            runner,
            connector,
            arguments: *arguments,
        })
    }

    /// What all scenarios have in common.
    pub(crate) fn options(&self) -> Options<'static> {
        options(&self.arguments)
    }

    /// Runs the connection while `job` uses it, then disconnects.
    pub(crate) async fn link<T>(
        &mut self,
        options: &Options<'_>,
        job: impl AsyncFnOnce(&Client, &mut Inbox) -> Result<T, Status>,
    ) -> Result<T, Status> {
        let Self {
            client,
            inbox,
            runner,
            connector,
            ..
        } = self;
        // Pinned where it is made: a copy would be counted as stack.
        let mut run = pin!(runner.run(&mut **connector, options));
        report::add_run_future(size_of_val(&*run));
        let working = async {
            let result = match connected(client).await {
                Ok(_) => job(client, inbox).await,
                Err(status) => Err(status),
            };
            client.disconnect().await;
            result
        };
        let (end, result) = join(run.as_mut(), working).await;
        match (end, result) {
            (_, Err(status)) => Err(status),
            (LinkEnd::Disconnected, Ok(value)) => Ok(value),
            (end, Ok(_)) => {
                defmt::error!("link ended: {}", end);
                Err(Status::LinkEnded)
            }
        }
    }

    /// As [`link`](Self::link), but at the end of the job the link just breaks.
    pub(crate) async fn link_that_breaks(
        &mut self,
        options: &Options<'_>,
        job: impl AsyncFnOnce(&Client, &mut Inbox) -> Result<(), Status>,
    ) -> Result<(), Status> {
        let Self {
            client,
            inbox,
            runner,
            connector,
            ..
        } = self;
        let working = async {
            connected(client).await?;
            job(client, inbox).await
        };
        let run = pin!(runner.run(&mut **connector, options));
        match select(run, working).await {
            Either::First(end) => {
                defmt::error!("link ended: {}", end);
                Err(Status::LinkEnded)
            }
            Either::Second(result) => result,
        }
    }

    /// Tries to connect once, and tells how that ended. `None`: it did not fail.
    pub(crate) async fn try_link(&mut self, options: &Options<'_>) -> Option<LinkEnd> {
        let Self {
            client,
            runner,
            connector,
            ..
        } = self;
        let accepted = Cell::new(false);
        let working = async {
            if client.connected().await.is_ok() {
                accepted.set(true);
                client.disconnect().await;
            }
        };
        let mut run = pin!(runner.run(&mut **connector, options));
        let (end, ()) = join(run.as_mut(), working).await;
        (!accepted.get()).then_some(end)
    }

    /// What was wrong with a certificate that was not accepted.
    pub(crate) fn certificate_refusal(&self) -> Status {
        let Timed {
            connector,
            certificate_refusal,
        } = &*self.connector;
        certificate_refusal(connector).unwrap_or(Status::BadCertificate)
    }
}

fn options(arguments: &Arguments) -> Options<'static> {
    let mut options = Options::new("firmware");
    options.version = arguments.version;
    options.keep_alive_s = 20;
    options.max_in_flight = 8;
    options.receive_maximum = 20;
    options.connect_timeout_ms = 5_000;
    options.connack_timeout_ms = 5_000;
    options.poison_after = 0;
    options.reconnect = Reconnect {
        initial_ms: 20,
        max_ms: 200,
        ..Reconnect::new()
    };
    if !arguments.password.is_empty() {
        options = options.credentials("device", arguments.password.as_bytes());
    }
    options
}

/// Options of a session that outlives its links.
pub(crate) fn kept(mut options: Options<'_>) -> Options<'_> {
    options.clean_session = false;
    options.v5.session_expiry_s = 3_600;
    options
}

/// Ends a wait that is too long with `status`.
pub(crate) async fn within<T>(
    status: Status,
    future: impl Future<Output = T>,
) -> Result<T, Status> {
    let result = with_timeout(LIMIT, future).await;
    result.map_err(|_| status)
}

/// Waits for a link; the answer is whether the server had a session.
pub(crate) async fn connected(client: &Client) -> Result<bool, Status> {
    let outcome = within(Status::NotConnected, client.connected()).await?;
    outcome.map_err(|end| {
        defmt::error!("link ended: {}", end);
        Status::LinkEnded
    })
}

/// Subscribes to `filter` at QoS 2, and gets that.
pub(crate) async fn subscribe(client: &Client, filter: &str) -> Result<(), Status> {
    let answer = client.subscribe(filter, QoS::ExactlyOnce);
    let answer = within(Status::NotSubscribed, answer).await?;
    if !matches!(answer, Ok(QoS::ExactlyOnce)) {
        defmt::error!("subscribed: {}", answer.ok());
        return Err(Status::NotSubscribed);
    }
    Ok(())
}

/// Hands a message to the client.
///
/// It has no room also while a message waits in the inbox, which is taken by another future of the same task.
pub(crate) async fn publish(client: &Client, message: &Message<'_>) -> Result<Delivery, Status> {
    let accepted = async {
        loop {
            match client.publish(message).await {
                Err(PublishError::Full) => yield_now().await,
                result => return result,
            }
        }
    };
    let accepted = within(Status::NotPublished, accepted).await?;
    accepted.map_err(|error| {
        defmt::error!("publish {=str}: {}", message.topic, error);
        Status::NotPublished
    })
}

/// Hands a message to the client and waits for its acknowledgement.
pub(crate) async fn deliver(client: &Client, message: &Message<'_>) -> Result<(), Status> {
    let mut delivery = publish(client, message).await?;
    acknowledged(&mut delivery).await
}

/// Waits for the acknowledgement of a message.
pub(crate) async fn acknowledged(delivery: &mut Delivery) -> Result<(), Status> {
    match within(Status::NotAcknowledged, delivery.acknowledged()).await? {
        Ok(_) => Ok(()),
        Err(error) => {
            defmt::error!("delivery failed: {}", error);
            Err(Status::NotAcknowledged)
        }
    }
}

/// Waits until nothing is on its way any more.
pub(crate) async fn all_delivered(client: &Client) -> Result<(), Status> {
    let all = async {
        loop {
            let counters = client.report().session;
            if counters.delivered + counters.failed == counters.published {
                return;
            }
            Timer::after_millis(1).await;
        }
    };
    within(Status::NotAcknowledged, all).await
}

/// Says that the host may begin.
pub(crate) async fn ready(client: &Client) -> Result<(), Status> {
    deliver(client, &Message::new("fw/up/ready", b"").at_least_once()).await
}

/// Waits for the next message.
pub(crate) async fn next(inbox: &mut Inbox) -> Result<Received<'_>, Status> {
    let next = within(Status::NoMessage, inbox.next()).await?;
    next.map_err(|stopped| {
        defmt::error!("{}", stopped);
        Status::LinkEnded
    })
}
