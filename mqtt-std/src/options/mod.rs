//! The options of a client, owned.

mod error;
mod session;
pub(crate) mod transport;
mod url;

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use mqtt_core::{
    codec::{QoS, Subscription, Version},
    session::{Authentication, OutboxPolicy, Oversize, Reconnect},
};

pub(crate) use self::session::{Parts, SessionOptions};
pub(crate) use self::transport::Pem;
#[cfg(feature = "tls")]
pub(crate) use self::transport::TlsOptions;
pub use self::{error::OptionsError, session::Will};
use self::{session::OwnedSubscription, transport::Transport};
use crate::link::{Connector, Trace};

/// Everything about one client: where the broker is, how to get there, who we are, and how the session behaves.
///
/// ```
/// use std::time::Duration;
/// use mqtt_std::{Options, QoS, Version};
///
/// let options = Options::from_url("mqtts://user:password@broker.example:8883/my-device")?
///     .version(Version::V5)
///     .keep_alive_s(30)
///     .will("devices/my-device/online", b"no", QoS::AtLeastOnce, true)
///     .subscribe("devices/my-device/command", QoS::AtLeastOnce)
///     .connect_timeout(Duration::from_secs(10));
/// # Ok::<(), mqtt_std::OptionsError>(())
/// ```
///
/// `Debug` shows neither password nor keys, header values or payload of the will.
#[derive(Clone)]
pub struct Options {
    transport: Transport,
    session: SessionOptions,
    pub(crate) buffers: Buffers,
    pub(crate) outbox: OutboxPolicy,
    pub(crate) fail_fast: bool,
    pub(crate) session_file: Option<PathBuf>,
}

/// Sizes in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Buffers {
    pub(crate) receive: usize,
    pub(crate) transmit: usize,
    pub(crate) wire: usize,
}

impl Buffers {
    fn check(&self) -> Result<(), OptionsError> {
        for (name, len) in [("receive", self.receive), ("wire", self.wire)] {
            if len < 128 {
                return Err(OptionsError::Buffer(name));
            }
        }
        Ok(())
    }
}

/// Enough for every packet that most brokers pass on; all three are allocated once.
const BUFFER: usize = 64 * 1024;

impl Options {
    /// Options for the broker on `host`, over plain TCP on port 1883.
    ///
    /// `host` is a name, an IPv4 address, or an IPv6 address without brackets. It is checked by [`new`](crate::new()).
    #[must_use]
    pub fn new(host: impl Into<String>) -> Self {
        Self::of_transport(Transport {
            host: host.into(),
            ..Transport::default()
        })
    }

    /// Options from a URL.
    ///
    /// | scheme | transport | port | path |
    /// | --- | --- | --- | --- |
    /// | `mqtt` | TCP | 1883 | client identifier |
    /// | `mqtts` | TLS | 8883 | client identifier |
    /// | `ws` | WebSocket | 80 | path of the endpoint, `/mqtt` if there is none |
    /// | `wss` | WebSocket over TLS | 443 | path of the endpoint, `/mqtt` if there is none |
    ///
    /// User name, password and client identifier are percent-decoded. A query is sent as part of the path of a WebSocket;
    /// `mqtt` and `mqtts` have none: options are set by the methods below.
    ///
    /// # Errors
    ///
    /// [`OptionsError`] says which part of the URL cannot be used, without showing the URL.
    pub fn from_url(url: &str) -> Result<Self, OptionsError> {
        let parts = url::parse(url)?;
        let mut options = Self::of_transport(parts.transport);
        options.session.client_id = parts.client_id.unwrap_or_default();
        options.session.user_name = parts.user_name;
        options.session.password = parts.password;
        Ok(options)
    }

    /// Takes over what a helper of [`platform`](crate::platform) has preset for the session: who we are, credentials,
    /// subscriptions, the rules for reconnecting and the rest. How to get to the broker stays as it is.
    ///
    /// It replaces all that was said of the session before, what the URL said too, so call it first. A will and a method of
    /// authentication are not taken over; no helper has one.
    ///
    /// ```
    /// use mqtt_std::{Options, platform::losant};
    ///
    /// let device = losant::Device::new("575ecf887ae143cd83dc4aa2")?;
    /// let subscriptions = [device.command_subscription()];
    /// let preset = device.options("access-key", "access-secret").subscriptions(&subscriptions);
    /// let options = Options::from_url(losant::Transport::Tls.url())?.preset(&preset);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn preset(mut self, preset: &mqtt_core::session::Options<'_>) -> Self {
        self.session = SessionOptions::of(preset);
        self
    }

    fn of_transport(transport: Transport) -> Self {
        Self {
            transport,
            session: SessionOptions::new(),
            outbox: OutboxPolicy::Wait,
            buffers: Buffers {
                receive: BUFFER,
                transmit: BUFFER,
                wire: BUFFER,
            },
            fail_fast: false,
            session_file: None,
        }
    }
}

/// The way to the broker.
impl Options {
    /// The port, instead of the usual one of the transport.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.transport.port = Some(port);
        self
    }

    /// Over TLS, as the schemes `mqtts` and `wss` say. The certificate of the broker is always verified.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.transport.tls = true;
        self
    }

    /// Over WebSocket, as the schemes `ws` and `wss` say. A frame of more than 16 MiB ends the link.
    #[must_use]
    pub fn websocket(mut self) -> Self {
        self.transport.websocket = true;
        self
    }

    /// Trusts the certificate authorities in this PEM file, **and no others**: those of the platform no longer count.
    ///
    /// May be called several times. The file is read by [`new`](crate::new()).
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.transport
            .tls_options
            .authorities
            .push(Pem::File(path.into()));
        self
    }

    /// As [`ca_file`](Self::ca_file), with the text of the file.
    #[must_use]
    pub fn ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.transport
            .tls_options
            .authorities
            .push(Pem::Text(pem.into()));
        self
    }

    /// Proves who we are with a certificate: PEM files with the chain (ours first) and with its private key.
    #[must_use]
    pub fn client_certificate(
        mut self,
        chain: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.transport.tls_options.client_certificate =
            Some((Pem::File(chain.into()), Pem::File(key.into())));
        self
    }

    /// As [`client_certificate`](Self::client_certificate), with the texts of the files.
    #[must_use]
    pub fn client_certificate_pem(
        mut self,
        chain: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        self.transport.tls_options.client_certificate =
            Some((Pem::Text(chain.into()), Pem::Text(key.into())));
        self
    }

    /// The name that the certificate of the broker must be for, and that is sent as SNI, when it is not the host that
    /// we connect to: behind a tunnel, or for a broker that is known by its address.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.transport.tls_options.server_name = Some(name.into());
        self
    }

    /// The protocols to offer by ALPN, for example `mqtt`, best first. By default none.
    #[must_use]
    pub fn alpn<P: AsRef<[u8]>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        self.transport.tls_options.alpn = protocols
            .into_iter()
            .map(|protocol| protocol.as_ref().to_vec())
            .collect();
        self
    }

    /// The path of the WebSocket endpoint, with a query if need be. By default `/mqtt`.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.transport.path = Some(path.into());
        self
    }

    /// Adds an HTTP header to the WebSocket handshake: `Authorization` with a token, for example.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.transport.headers.push((name.into(), value.into()));
        self
    }

    /// How long name resolution, TCP, TLS and WebSocket may take together. By default 30 s.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.session.core.connect_timeout_ms = millis(timeout);
        self
    }
}

/// Who we are.
impl Options {
    /// The version of MQTT. By default 3.1.1.
    #[must_use]
    pub fn version(mut self, version: Version) -> Self {
        self.session.core.version = version;
        self
    }

    /// The client identifier. By default empty: the broker chooses one.
    #[must_use]
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.session.client_id = client_id.into();
        self
    }

    /// The user name.
    #[must_use]
    pub fn user_name(mut self, user_name: impl Into<String>) -> Self {
        self.session.user_name = Some(user_name.into());
        self
    }

    /// The password. Any bytes, at most 65,535.
    #[must_use]
    pub fn password(mut self, password: impl Into<Vec<u8>>) -> Self {
        self.session.password = Some(password.into());
        self
    }

    /// What the broker publishes for us when the link ends without a `Disconnect`.
    #[must_use]
    pub fn will(
        self,
        topic: impl Into<String>,
        payload: impl Into<Vec<u8>>,
        qos: QoS,
        retain: bool,
    ) -> Self {
        self.last_will(Will::new(topic, payload).qos(qos).retain(retain))
    }

    /// As [`will`](Self::will), with the properties of MQTT 5.
    #[must_use]
    pub fn last_will(mut self, will: Will) -> Self {
        self.session.will = Some(will);
        self
    }

    /// The method of an enhanced authentication (MQTT 5 §4.12), and what it answers to the broker.
    #[must_use]
    pub fn authentication(mut self, method: impl Authentication + Send + Sync + 'static) -> Self {
        self.session.authentication = Some(Arc::new(method));
        self
    }
}

/// How the session behaves.
impl Options {
    /// Whether the broker forgets the session before us and after us. By default `true`.
    ///
    /// On MQTT 5 this is Clean Start; how long the broker remembers is [`session_expiry_s`](Self::session_expiry_s).
    #[must_use]
    pub fn clean_session(mut self, clean: bool) -> Self {
        self.session.core.clean_session = clean;
        self
    }

    /// The longest silence on the link, in seconds, before a ping is sent. By default 60; 0 turns pings off.
    #[must_use]
    pub fn keep_alive_s(mut self, seconds: u16) -> Self {
        self.session.core.keep_alive_s = seconds;
        self
    }

    /// Subscribes to `filter` whenever a link comes up and the broker does not remember us.
    #[must_use]
    pub fn subscribe(self, filter: impl Into<String>, qos: QoS) -> Self {
        self.with_subscription(OwnedSubscription::new(filter, qos))
    }

    /// As [`subscribe`](Self::subscribe), with the options of MQTT 5.
    #[must_use]
    pub fn subscription(self, subscription: Subscription<'_>) -> Self {
        self.with_subscription(subscription.into())
    }

    fn with_subscription(mut self, subscription: OwnedSubscription) -> Self {
        self.session.subscriptions.push(subscription);
        self
    }

    /// Subscribes even when the broker says that it remembers us. For brokers that say so without cause.
    #[must_use]
    pub fn always_resubscribe(mut self, always: bool) -> Self {
        self.session.core.always_resubscribe = always;
        self
    }

    /// Whether the broker has a session of ours from before this program was started. By default `false`.
    ///
    /// Without it, an MQTT 5 session that only the broker remembers ends the link [MQTT-3.2.2-4], and the next link
    /// starts clean.
    #[must_use]
    pub fn session_known(mut self, known: bool) -> Self {
        self.session.core.session_known = known;
        self
    }

    /// How many publications at QoS 1 and 2 may wait for their acknowledgement. By default 20.
    #[must_use]
    pub fn max_in_flight(mut self, packets: u16) -> Self {
        self.session.core.max_in_flight = packets;
        self
    }

    /// How many messages at QoS 1 and 2 the broker may send before we acknowledge the first. By default 256.
    ///
    /// MQTT 5 tells the broker. A broker that sends more ends the link; on 3.1.1 that is when the table is full.
    #[must_use]
    pub fn receive_maximum(mut self, packets: u16) -> Self {
        self.session.core.receive_maximum = packets;
        self
    }

    /// The largest packet that the broker may send, in bytes; a larger one ends the link. By default 0: no limit.
    #[must_use]
    pub fn maximum_packet_size(mut self, bytes: u32) -> Self {
        self.session.core.maximum_packet_size = bytes;
        self
    }

    /// What happens when the transmit buffer is full. By default the publisher waits.
    #[must_use]
    pub fn outbox(mut self, policy: OutboxPolicy) -> Self {
        self.outbox = policy;
        self
    }

    /// What happens to a message larger than the receive buffer. By default it is skipped, and the inbox tells so.
    #[must_use]
    pub fn oversize(mut self, oversize: Oversize) -> Self {
        self.session.core.oversize = oversize;
        self
    }

    /// Whether QoS 2 is sent again to a broker that has lost the session: perhaps twice rather than perhaps never.
    #[must_use]
    pub fn redeliver_exactly_once(mut self, redeliver: bool) -> Self {
        self.session.core.redeliver_exactly_once = redeliver;
        self
    }

    /// A publication that ended the link this many times is given up. By default 10; 0, or more than 15, never gives up.
    #[must_use]
    pub fn poison_after(mut self, times: u8) -> Self {
        self.session.core.poison_after = times;
        self
    }

    /// How long the broker may take to answer `Connect`. By default 30 s.
    #[must_use]
    pub fn connack_timeout(mut self, timeout: Duration) -> Self {
        self.session.core.connack_timeout_ms = millis(timeout);
        self
    }

    /// How long the broker may take to answer a ping. By default 10 s.
    #[must_use]
    pub fn ping_timeout(mut self, timeout: Duration) -> Self {
        self.session.core.ping_timeout_ms = millis(timeout);
        self
    }

    /// How long the broker may take to acknowledge. By default 120 s; zero waits for ever.
    #[must_use]
    pub fn ack_timeout(mut self, timeout: Duration) -> Self {
        self.session.core.ack_timeout_ms = millis(timeout);
        self
    }

    /// When to connect again after the link has ended.
    #[must_use]
    pub fn reconnect(mut self, reconnect: Reconnect) -> Self {
        self.session.core.reconnect = reconnect;
        self
    }

    /// Ends [`Runner::run`](crate::Runner::run) when the **first** connection fails, whatever [`reconnect`](Self::reconnect)
    /// says: a wrong host name will not get better by waiting. By default `false`; the blocking client always does it.
    #[must_use]
    pub fn fail_fast(mut self, fail_fast: bool) -> Self {
        self.fail_fast = fail_fast;
        self
    }

    /// Keeps a copy of the session in this file, so that the program goes on with it when it starts again: QoS 2 is exactly
    /// once then, in both directions, as long as the broker keeps the session. Needs [`clean_session`](Self::clean_session)
    /// off, a client identifier and, on MQTT 5, a [`session_expiry_s`](Self::session_expiry_s).
    ///
    /// The file is replaced, and on the disk, before bytes of a changed session go to the broker: at QoS 1 and 2 nearly with
    /// each write, some milliseconds each. Messages that were accepted and not acknowledged are in the file too; what must not
    /// be lost in between goes through an `outbox`. A file that is damaged, or of another version of the
    /// protocol, counts as none. It is for one client at a time.
    #[must_use]
    pub fn session_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.session_file = Some(file.into());
        self
    }

    /// The size of the receive buffer in bytes: the largest message that is delivered whole. At least 128, by default
    /// 64 KiB.
    #[must_use]
    pub fn rx_buffer(mut self, bytes: usize) -> Self {
        self.buffers.receive = bytes;
        self
    }

    /// The size of the transmit buffer in bytes: all that waits to be sent or acknowledged. By default 64 KiB.
    #[must_use]
    pub fn tx_buffer(mut self, bytes: usize) -> Self {
        self.buffers.transmit = bytes;
        self
    }

    /// The size of the buffer in bytes in which packets are gathered for one write. At least 128, by default 64 KiB.
    #[must_use]
    pub fn wire_buffer(mut self, bytes: usize) -> Self {
        self.buffers.wire = bytes;
        self
    }
}

/// MQTT 5 only; without effect on 3.1.1.
impl Options {
    /// How long the broker keeps the session after the link has ended, in seconds. `u32::MAX`: for ever. By default 0.
    #[must_use]
    pub fn session_expiry_s(mut self, seconds: u32) -> Self {
        self.session.core.v5.session_expiry_s = seconds;
        self
    }

    /// How many topic aliases the broker may use. By default 0.
    #[must_use]
    pub fn topic_alias_maximum(mut self, aliases: u16) -> Self {
        self.session.core.v5.topic_alias_maximum = aliases;
        self
    }

    /// How many bytes of the transmit buffer remember topics, so that an alias can be sent instead of a topic. Each takes
    /// its length and 2. By default 0: no aliases are sent.
    #[must_use]
    pub fn topic_alias_memory(mut self, bytes: u16) -> Self {
        self.session.core.v5.topic_alias_memory = bytes;
        self
    }

    /// Whether the broker may explain refusals in words. By default `true`.
    #[must_use]
    pub fn request_problem_information(mut self, request: bool) -> Self {
        self.session.core.v5.request_problem_information = request;
        self
    }

    /// Whether the broker is asked where responses may be published. By default `false`.
    #[must_use]
    pub fn request_response_information(mut self, request: bool) -> Self {
        self.session.core.v5.request_response_information = request;
        self
    }

    /// Adds a user property to `Connect`.
    #[must_use]
    pub fn user_property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.session
            .user_properties
            .push((name.into(), value.into()));
        self
    }
}

impl Options {
    /// Checks everything and reads the files.
    pub(crate) fn connector(&self, trace: Arc<Trace>) -> Result<Connector, OptionsError> {
        self.session.check()?;
        self.buffers.check()?;
        self.transport.connector(trace)
    }

    pub(crate) fn session(&self) -> &SessionOptions {
        &self.session
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("transport", &self.transport)
            .field("session", &self.session)
            .field("outbox", &self.outbox)
            .field("buffers", &self.buffers)
            .field("fail_fast", &self.fail_fast)
            .finish_non_exhaustive()
    }
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
