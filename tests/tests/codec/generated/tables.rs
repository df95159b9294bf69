//! Tables of the standard.

use super::{field, packet};

/// Where properties may stand: in a packet, or in the will inside CONNECT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    Connect,
    Will,
    ConnAck,
    Publish,
    PubAck,
    PubRec,
    PubRel,
    PubComp,
    Subscribe,
    SubAck,
    Unsubscribe,
    UnsubAck,
    Disconnect,
    Auth,
}

use Place::{
    Auth, ConnAck, Connect, Disconnect, PubAck, PubComp, PubRec, PubRel, Publish, SubAck,
    Subscribe, UnsubAck, Unsubscribe, Will,
};

pub(crate) const PLACES: [Place; 14] = [
    Connect,
    Will,
    ConnAck,
    Publish,
    PubAck,
    PubRec,
    PubRel,
    PubComp,
    Subscribe,
    SubAck,
    Unsubscribe,
    UnsubAck,
    Disconnect,
    Auth,
];

impl Place {
    /// Whether a server sends it.
    pub(crate) fn is_from_server(self) -> bool {
        !matches!(self, Connect | Will | Subscribe | Unsubscribe)
    }

    /// A legal packet with `section` as its properties, property length included.
    pub(crate) fn packet(self, section: &[u8]) -> Vec<u8> {
        let connect = |flags, payload: &[u8]| {
            let header = [&b"\0\x04MQTT\x05"[..], &[flags], b"\0\x3c"].concat();
            packet(0x10, &[&header, payload].concat())
        };
        let around =
            |first, front: &[u8], behind: &[u8]| packet(first, &[front, section, behind].concat());
        match self {
            Connect => connect(0x02, &[section, b"\0\0"].concat()),
            Will => connect(0x06, &[b"\0\0\0", section, b"\0\x01w\0\0"].concat()),
            ConnAck => around(0x20, b"\0\0", b""),
            Publish => around(0x32, b"\0\x01t\0\x01", b"x"),
            PubAck => around(0x40, b"\0\x01\0", b""),
            PubRec => around(0x50, b"\0\x01\0", b""),
            PubRel => around(0x62, b"\0\x01\0", b""),
            PubComp => around(0x70, b"\0\x01\0", b""),
            Subscribe => around(0x82, b"\0\x01", b"\0\x01a\0"),
            SubAck => around(0x90, b"\0\x01", b"\0"),
            Unsubscribe => around(0xa2, b"\0\x01", b"\0\x01a"),
            UnsubAck => around(0xb0, b"\0\x01", b"\0"),
            Disconnect => around(0xe0, b"\0", b""),
            Auth => around(0xf0, b"\x18", b""),
        }
    }

    /// The same with these properties and their length; with those that the packet or the property needs beside it.
    pub(crate) fn packet_with(self, property: &[u8]) -> Vec<u8> {
        let is_data = property[0] == 0x16 && matches!(self, Connect | ConnAck);
        let needs_method = is_data || self == Auth && property[0] != 0x15;
        let method = if needs_method { METHOD } else { b"" };
        let len = u8::try_from(method.len() + property.len()).expect("a short section");
        self.packet(&[&[len], method, property].concat())
    }
}

/// Authentication method "m".
const METHOD: &[u8] = b"\x15\0\x01m";

/// How a value is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// A byte that may be 0 or 1.
    Flag,
    TwoByte,
    FourByte,
    VariableByte,
    Text,
    Binary,
    Pair,
}

impl Kind {
    /// A legal value.
    pub(crate) fn value(self) -> Vec<u8> {
        match self {
            Self::Flag => vec![1],
            Self::TwoByte => vec![0, 1],
            Self::FourByte => vec![0, 0, 0, 1],
            Self::VariableByte => vec![0x80, 1],
            Self::Text => field(b"t"),
            Self::Binary => field(b"\xff\0"),
            Self::Pair => [field(b"k"), field(b"v")].concat(),
        }
    }

    /// The value of another kind.
    pub(crate) fn wrong_value(self) -> &'static [u8] {
        match self {
            Self::Flag => &[0, 0],
            Self::TwoByte | Self::Text | Self::Binary => &[1],
            Self::FourByte => &[0, 1],
            Self::VariableByte => &[0x80, 0x80, 0x80, 0x80, 1],
            Self::Pair => b"\0\x01k",
        }
    }
}

/// A line of MQTT 5 table 2-4.
pub(crate) struct PropertyRow {
    pub(crate) identifier: u8,
    pub(crate) kind: Kind,
    pub(crate) places: &'static [Place],
}

const fn row(identifier: u8, kind: Kind, places: &'static [Place]) -> PropertyRow {
    PropertyRow {
        identifier,
        kind,
        places,
    }
}

/// MQTT 5 table 2-4.
pub(crate) const PROPERTIES: [PropertyRow; 27] = [
    row(0x01, Kind::Flag, &[Publish, Will]),
    row(0x02, Kind::FourByte, &[Publish, Will]),
    row(0x03, Kind::Text, &[Publish, Will]),
    row(0x08, Kind::Text, &[Publish, Will]),
    row(0x09, Kind::Binary, &[Publish, Will]),
    row(0x0b, Kind::VariableByte, &[Publish, Subscribe]),
    row(0x11, Kind::FourByte, &[Connect, ConnAck, Disconnect]),
    row(0x12, Kind::Text, &[ConnAck]),
    row(0x13, Kind::TwoByte, &[ConnAck]),
    row(0x15, Kind::Text, &[Connect, ConnAck, Auth]),
    row(0x16, Kind::Binary, &[Connect, ConnAck, Auth]),
    row(0x17, Kind::Flag, &[Connect]),
    row(0x18, Kind::FourByte, &[Will]),
    row(0x19, Kind::Flag, &[Connect]),
    row(0x1a, Kind::Text, &[ConnAck]),
    row(0x1c, Kind::Text, &[ConnAck, Disconnect]),
    row(
        0x1f,
        Kind::Text,
        &[
            ConnAck, PubAck, PubRec, PubRel, PubComp, SubAck, UnsubAck, Disconnect, Auth,
        ],
    ),
    row(0x21, Kind::TwoByte, &[Connect, ConnAck]),
    row(0x22, Kind::TwoByte, &[Connect, ConnAck]),
    row(0x23, Kind::TwoByte, &[Publish]),
    row(0x24, Kind::Flag, &[ConnAck]),
    row(0x25, Kind::Flag, &[ConnAck]),
    row(0x26, Kind::Pair, &PLACES),
    row(0x27, Kind::FourByte, &[Connect, ConnAck]),
    row(0x28, Kind::Flag, &[ConnAck]),
    row(0x29, Kind::Flag, &[ConnAck]),
    row(0x2a, Kind::Flag, &[ConnAck]),
];

/// Properties whose value zero is a protocol error: subscription identifier, receive maximum, topic alias, maximum
/// packet size.
pub(crate) const NEVER_ZERO: [u8; 4] = [0x0b, 0x21, 0x23, 0x27];

/// MQTT 3.1.1 table 2.2, MQTT 5 table 2-2: the flags that each packet type may have.
pub(crate) const FLAGS: [&[u8]; 16] = [
    &[], // reserved
    &[0b0000],
    &[0b0000],
    // PUBLISH: not both QoS bits, and DUP not at QoS 0.
    &[
        0b0000, 0b0001, 0b0010, 0b0011, 0b0100, 0b0101, 0b1010, 0b1011, 0b1100, 0b1101,
    ],
    &[0b0000],
    &[0b0000],
    &[0b0010], // PUBREL
    &[0b0000],
    &[0b0010], // SUBSCRIBE
    &[0b0000],
    &[0b0010], // UNSUBSCRIBE
    &[0b0000],
    &[0b0000],
    &[0b0000],
    &[0b0000],
    &[0b0000], // AUTH, in MQTT 5 only
];

/// MQTT 5 table 2-6: the reason codes of each packet.
pub(crate) const REASON_CODES: [(Place, &[u8]); 9] = [
    (
        ConnAck,
        &[
            0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90,
            0x95, 0x97, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f,
        ],
    ),
    (
        PubAck,
        &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99],
    ),
    (
        PubRec,
        &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99],
    ),
    (PubRel, &[0x00, 0x92]),
    (PubComp, &[0x00, 0x92]),
    (
        SubAck,
        &[
            0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2,
        ],
    ),
    (UnsubAck, &[0x00, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91]),
    (
        Disconnect,
        &[
            0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90, 0x93,
            0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1,
            0xa2,
        ],
    ),
    (Auth, &[0x00, 0x18, 0x19]),
];
