use core::num::NonZeroU16;

/// The version of the protocol that a connection speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Version {
    /// MQTT 3.1.1, protocol level 4.
    #[default]
    V3_1_1,
    /// MQTT 5, protocol level 5.
    #[cfg(feature = "v5")]
    V5,
}

impl Version {
    /// The protocol level that CONNECT carries.
    #[must_use]
    pub const fn protocol_level(self) -> u8 {
        match self {
            Self::V3_1_1 => 4,
            #[cfg(feature = "v5")]
            Self::V5 => 5,
        }
    }

    /// Whether this is MQTT 5; a constant `false` without feature `v5`, so that the compiler drops what it guards.
    #[must_use]
    pub const fn is_v5(self) -> bool {
        self.protocol_level() == 5
    }
}

/// How often a message may and must arrive (MQTT 3.1.1 §4.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum QoS {
    /// QoS 0: sent once, not acknowledged, may be lost.
    #[default]
    AtMostOnce = 0,
    /// QoS 1: acknowledged, sent again when in doubt, may arrive twice.
    AtLeastOnce = 1,
    /// QoS 2: arrives once, at the price of two round trips.
    ExactlyOnce = 2,
}

impl QoS {
    /// The level of a number; `None` above 2.
    #[must_use]
    pub const fn from_u8(value: u8) -> Option<Self> {
        match value {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }
}

/// Names one exchange between the two sides; never zero [MQTT-2.3.1-1].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PacketIdentifier(NonZeroU16);

impl PacketIdentifier {
    /// The identifier of a number; `None` for zero.
    #[must_use]
    pub const fn new(value: u16) -> Option<Self> {
        match NonZeroU16::new(value) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }

    /// The number on the wire, 1 to 65,535.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}
