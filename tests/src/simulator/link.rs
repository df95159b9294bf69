//! One connection: bytes to packets, packets to the platform.

use std::{
    io::{ErrorKind, Read as _},
    net::TcpStream,
    time::Duration,
};

use mqtt_core::codec::{
    Connect, FixedHeader, Packet, PacketType, Publish, QoS, ReasonCode, SubAck, Subscribe,
    Unsubscribe, Version,
};

use super::{Admission, Event, LinkId, Shared, State, Verdict};

/// How long a client may take for its CONNECT.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);

/// No client is waited for longer than that while it takes nothing.
const WRITE_LIMIT: Duration = Duration::from_secs(5);

/// Serves a connection to its end.
pub(super) fn serve(shared: &Shared, mut stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let _ = stream.set_write_timeout(Some(WRITE_LIMIT));
    let _ = stream.set_read_timeout(Some(CONNECT_LIMIT));
    let Ok(for_writing) = stream.try_clone() else {
        return;
    };
    let link = shared.lock().hub.open(for_writing);
    let mut conversation = Conversation {
        link,
        is_connected: false,
        is_clean: false,
        keep_alive: Some(CONNECT_LIMIT),
    };
    let reason = conversation.run(shared, &mut stream);
    let mut state = shared.lock();
    let State { hub, platform } = &mut *state;
    if conversation.is_connected {
        platform.closed(hub, link, conversation.is_clean);
    }
    hub.end(link, &reason);
    drop(state);
    shared.notify();
}

struct Conversation {
    link: LinkId,
    is_connected: bool,
    /// It has ended with DISCONNECT.
    is_clean: bool,
    keep_alive: Option<Duration>,
}

impl Conversation {
    /// Reads until there is nothing more to read, and says why.
    fn run(&mut self, shared: &Shared, stream: &mut TcpStream) -> String {
        let mut received = Vec::new();
        let mut chunk = [0; 16 * 1024];
        loop {
            let _ = stream.set_read_timeout(self.keep_alive);
            let len = match stream.read(&mut chunk) {
                Ok(0) => return "closed by the client".into(),
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    return "silent for longer than the keep-alive".into();
                }
                Err(error) => return error.to_string(),
            };
            let mut state = shared.lock();
            let len = state.hub.count_received(self.link, len);
            received.extend_from_slice(&chunk[..len]);
            let result = self.handle_all(&mut state, &mut received);
            let is_open = state.hub.is_open(self.link);
            drop(state);
            shared.notify();
            if let Err(reason) = result {
                return reason;
            }
            if !is_open {
                return "closed".into();
            }
        }
    }

    /// Handles each whole packet, and leaves the rest.
    fn handle_all(&mut self, state: &mut State, received: &mut Vec<u8>) -> Result<(), String> {
        loop {
            if !state.hub.is_open(self.link) {
                return Ok(());
            }
            let version = state.hub.version(self.link);
            let header =
                FixedHeader::decode(received, version).map_err(|error| error.to_string())?;
            let Some((header, header_len)) = header else {
                return Ok(());
            };
            let end = header_len + header.remaining_length as usize;
            if received.len() < end {
                return Ok(());
            }
            let packet: Vec<u8> = received.drain(..end).collect();
            let body = &packet[header_len..];
            let version = match header.packet_type() {
                PacketType::Connect => Connect::version(body).map_err(|error| error.to_string())?,
                _ => version,
            };
            let packet =
                Packet::decode(header, body, version).map_err(|error| error.to_string())?;
            self.handle(state, &packet, version)?;
        }
    }

    fn handle(
        &mut self,
        state: &mut State,
        packet: &Packet<'_>,
        version: Version,
    ) -> Result<(), String> {
        let link = self.link;
        match packet {
            Packet::Connect(connect) if !self.is_connected => self.connect(state, connect, version),
            _ if !self.is_connected => Err("no CONNECT".into()),
            Packet::Publish(publish) => {
                self.publish(state, publish);
                Ok(())
            }
            Packet::PubRec(ack) => {
                let identifier = ack.packet_identifier;
                state
                    .hub
                    .ack(link, PacketType::PubRel, identifier, ReasonCode::SUCCESS);
                Ok(())
            }
            Packet::PubAck(ack) | Packet::PubComp(ack) => {
                state.hub.acknowledged(link, ack.packet_identifier.get());
                Ok(())
            }
            Packet::PubRel(ack) => {
                state.hub.release(link, ack.packet_identifier.get());
                state.hub.ack(
                    link,
                    PacketType::PubComp,
                    ack.packet_identifier,
                    ReasonCode::SUCCESS,
                );
                Ok(())
            }
            Packet::Subscribe(subscribe) => {
                self.subscribe(state, subscribe);
                Ok(())
            }
            Packet::Unsubscribe(unsubscribe) => {
                self.unsubscribe(state, unsubscribe);
                Ok(())
            }
            Packet::PingReq => {
                state.hub.send_packet(link, &Packet::PingResp);
                Ok(())
            }
            Packet::Disconnect(_) => {
                self.is_clean = true;
                Err("DISCONNECT".into())
            }
            other => Err(format!("{other:?} out of place")),
        }
    }

    fn connect(
        &mut self,
        state: &mut State,
        connect: &Connect<'_>,
        version: Version,
    ) -> Result<(), String> {
        let State { hub, platform } = state;
        hub.begin(self.link, version, connect.client_id, connect.clean_session);
        let admission = platform.connect(hub, self.link, connect);
        let client_id = connect.client_id.to_owned();
        let (code_v3, code_v5) = match admission {
            Admission::Accept { session_present } => {
                hub.connack(self.link, session_present, ReasonCode::SUCCESS);
                hub.record(Event::Connected { client_id });
                hub.send_waiting(self.link);
                self.is_connected = true;
                self.keep_alive = match connect.keep_alive {
                    0 => None,
                    seconds => Some(Duration::from_millis(u64::from(seconds) * 1500)),
                };
                return Ok(());
            }
            Admission::Close => {
                let code = None;
                hub.record(Event::Refused { client_id, code });
                return Err("not let in".into());
            }
            Admission::Refuse(code_v3, code_v5) => (ReasonCode::new(code_v3), code_v5),
        };
        let code = if version == Version::V5 {
            code_v5
        } else {
            code_v3
        };
        hub.connack(self.link, false, code);
        hub.record(Event::Refused {
            client_id,
            code: Some(code.value()),
        });
        Err("refused".into())
    }

    fn publish(&self, state: &mut State, publish: &Publish<'_>) {
        let State { hub, platform } = state;
        if let (QoS::ExactlyOnce, Some(identifier)) = (publish.qos, publish.packet_identifier)
            && !hub.receive_once(self.link, identifier.get())
        {
            // Repeated before its PUBREL.
            return hub.ack(
                self.link,
                PacketType::PubRec,
                identifier,
                ReasonCode::SUCCESS,
            );
        }
        hub.record(Event::Published {
            topic: publish.topic.as_str().to_owned(),
            payload: publish.payload.to_vec(),
            qos: publish.qos,
            retain: publish.retain,
        });
        let is_v5 = hub.is_v5(self.link);
        let acknowledge = |hub: &mut super::Hub, code| {
            if let Some(identifier) = publish.packet_identifier {
                let kind = match publish.qos {
                    QoS::ExactlyOnce => PacketType::PubRec,
                    _ => PacketType::PubAck,
                };
                hub.ack(self.link, kind, identifier, code);
            }
        };
        match platform.publish(hub, self.link, publish) {
            Verdict::Acknowledge => acknowledge(hub, ReasonCode::SUCCESS),
            Verdict::PubAck => {
                if let Some(identifier) = publish.packet_identifier {
                    hub.ack(
                        self.link,
                        PacketType::PubAck,
                        identifier,
                        ReasonCode::SUCCESS,
                    );
                }
            }
            Verdict::Code(code) => acknowledge(hub, code),
            Verdict::CodeOrClose(code, _) if is_v5 && publish.qos != QoS::AtMostOnce => {
                acknowledge(hub, code);
            }
            Verdict::Silence => {}
            Verdict::Close(reason) | Verdict::CodeOrClose(_, reason) => {
                hub.close(self.link, &reason);
            }
            Verdict::AcknowledgeAndClose(reason) => {
                acknowledge(hub, ReasonCode::SUCCESS);
                hub.close(self.link, &reason);
            }
        }
    }

    fn subscribe(&self, state: &mut State, subscribe: &Subscribe<'_>) {
        let State { hub, platform } = state;
        let mut codes = Vec::new();
        let mut granted = Vec::new();
        for subscription in subscribe.filters.iter() {
            let filter = subscription.filter.as_str().to_owned();
            let code = match platform.subscribe(hub, self.link, &filter, subscription.qos) {
                Ok(qos) => {
                    hub.add_subscription(self.link, &filter, qos);
                    granted.push(filter.clone());
                    qos as u8
                }
                Err(Some(code)) if hub.is_v5(self.link) => code.value(),
                Err(Some(_)) => 0x80,
                Err(None) => return hub.close(self.link, "filter not allowed"),
            };
            hub.record(Event::Subscribed { filter, code });
            codes.push(code);
        }
        let suback = SubAck::new(subscribe.packet_identifier, &codes);
        hub.send_packet(self.link, &Packet::SubAck(suback));
        for filter in granted {
            platform.subscribed(hub, self.link, &filter);
        }
    }

    fn unsubscribe(&self, state: &mut State, unsubscribe: &Unsubscribe<'_>) {
        let hub = &mut state.hub;
        let mut count = 0;
        for filter in unsubscribe.filters.iter() {
            hub.remove_subscription(self.link, filter.as_str());
            count += 1;
        }
        let [high, low] = unsubscribe.packet_identifier.get().to_be_bytes();
        let mut unsuback = vec![0xb0, 2, high, low];
        if hub.is_v5(self.link) {
            // No properties, and success for each.
            unsuback.extend(vec![0; count + 1]);
            unsuback[1] = u8::try_from(count + 3).unwrap_or(u8::MAX);
        }
        hub.send_bytes(self.link, &unsuback);
    }
}
