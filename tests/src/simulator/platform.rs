//! What differs between the servers.

use mqtt_core::codec::{Connect, Publish, QoS, ReasonCode};

use super::{Hub, LinkId};

/// The behaviour of a server beyond MQTT itself.
pub trait Platform: Send {
    /// Whether a client may come in.
    fn connect(&mut self, hub: &mut Hub, link: LinkId, connect: &Connect<'_>) -> Admission;

    /// Answers a filter: the granted QoS, or a failure.
    ///
    /// # Errors
    ///
    /// Why not; `None` closes the link.
    fn subscribe(
        &mut self,
        hub: &mut Hub,
        link: LinkId,
        filter: &str,
        qos: QoS,
    ) -> Result<QoS, Option<ReasonCode>>;

    /// After the SUBACK that granted a filter.
    fn subscribed(&mut self, hub: &mut Hub, link: LinkId, filter: &str) {
        let _ = (hub, link, filter);
    }

    /// Takes a message.
    fn publish(&mut self, hub: &mut Hub, link: LinkId, publish: &Publish<'_>) -> Verdict;

    /// A link has ended; `clean` by DISCONNECT.
    fn closed(&mut self, hub: &mut Hub, link: LinkId, clean: bool) {
        let _ = (hub, link, clean);
    }

    /// Some time has passed.
    fn tick(&mut self, hub: &mut Hub) {
        let _ = hub;
    }

    /// The path of its WebSocket, empty for any; `None` if there is no WebSocket.
    fn web_socket_path(&self) -> Option<&'static str>;

    /// Does what an operator would do.
    ///
    /// # Errors
    ///
    /// What is wrong with the line.
    fn command(&mut self, hub: &mut Hub, order: &str) -> Result<String, String>;

    /// The commands, one a line.
    fn help(&self) -> &'static str;
}

/// The answer to CONNECT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission {
    /// CONNACK with success.
    Accept {
        /// What it says about a session, be it true or not.
        session_present: bool,
    },
    /// CONNACK with a refusal: the return code of 3.1.1 and the reason code of MQTT 5.
    Refuse(u8, ReasonCode),
    /// The link is closed without CONNACK.
    Close,
}

/// What becomes of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is acknowledged as its QoS demands.
    Acknowledge,
    /// It is acknowledged by PUBACK, whatever its QoS above 0.
    PubAck,
    /// It is acknowledged with that code on MQTT 5; with success on 3.1.1.
    Code(ReasonCode),
    /// Nothing is answered.
    Silence,
    /// The link is closed, for that reason.
    Close(String),
    /// It is acknowledged, and the link closed then.
    AcknowledgeAndClose(String),
    /// It is acknowledged with that code on MQTT 5; on 3.1.1 the link is closed, for that reason.
    CodeOrClose(ReasonCode, String),
}
