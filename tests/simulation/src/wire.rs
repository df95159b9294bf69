//! Bytes to packets and back, for those who look at both directions.

use mqtt_core::{
    Version,
    codec::{DecodeError, FixedHeader, Packet, PacketIdentifier},
};

/// Gives every whole packet at the front of `buffer` to `each`, with its length, and removes it.
pub(crate) fn take_packets(
    buffer: &mut Vec<u8>,
    version: Version,
    mut each: impl FnMut(Packet<'_>, usize),
) -> Result<(), DecodeError> {
    let mut at = 0;
    while let Some((header, header_len)) = FixedHeader::decode(&buffer[at..], version)? {
        let end = at + header_len + header.remaining_length as usize;
        let Some(body) = buffer.get(at + header_len..end) else {
            break;
        };
        each(Packet::decode(header, body, version)?, end - at);
        at = end;
    }
    buffer.drain(..at);
    Ok(())
}

/// The bytes of a packet.
pub(crate) fn bytes_of(packet: &Packet<'_>, version: Version) -> Vec<u8> {
    let mut out = [0; 1024];
    let len = packet.encode(version, &mut out);
    let len = len
        .unwrap_or_else(|error| panic!("the model broker made a bad packet: {error} {packet:?}"));
    out[..len].to_vec()
}

/// A packet in few words.
pub(crate) fn words(packet: &Packet<'_>) -> String {
    match packet {
        Packet::Connect(connect) => {
            let clean = if connect.clean_session { " clean" } else { "" };
            format!("CONNECT{clean} keep alive {} s", connect.keep_alive)
        }
        Packet::ConnAck(connack) => {
            format!(
                "CONNACK {} session present: {}",
                connack.code.value(),
                connack.session_present
            )
        }
        Packet::Publish(publish) => {
            let id = publish.packet_identifier.map_or(0, PacketIdentifier::get);
            let number = crate::ledger::number_of(publish.payload);
            let dup = if publish.dup { " DUP" } else { "" };
            format!(
                "PUBLISH {} {} QoS {} id {id}{dup} {} bytes",
                publish.topic.as_str(),
                number.map_or_else(|| "?".into(), |number| format!("#{number}")),
                publish.qos as u8,
                publish.payload.len(),
            )
        }
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            let name = format!("{:?}", packet.packet_type()).to_uppercase();
            format!(
                "{name} {} code {}",
                ack.packet_identifier.get(),
                ack.code.value()
            )
        }
        Packet::Subscribe(subscribe) => format!("SUBSCRIBE {}", subscribe.packet_identifier.get()),
        Packet::SubAck(suback) => {
            format!(
                "SUBACK {} {:?}",
                suback.packet_identifier.get(),
                suback.raw_codes()
            )
        }
        Packet::Unsubscribe(request) => format!("UNSUBSCRIBE {}", request.packet_identifier.get()),
        Packet::UnsubAck(answer) => format!("UNSUBACK {}", answer.packet_identifier.get()),
        Packet::Disconnect(disconnect) => format!("DISCONNECT code {}", disconnect.code.value()),
        Packet::Auth(auth) => {
            let data = auth.properties.authentication_data();
            format!("AUTH code {} {data:?}", auth.code.value())
        }
        _ => format!("{:?}", packet.packet_type()).to_uppercase(),
    }
}
