//! Numbered messages, as the firmware makes and checks them: `firmware_scenarios::numbers`.

use std::collections::BTreeMap;

use mqtt_std::QoS;

/// The length of a payload.
const LEN: usize = 40;

/// We send so many more than the firmware says it has received, at most: then none waits in the broker.
const AHEAD: u32 = 16;

/// The payload with this number.
pub(crate) fn payload(number: u32) -> [u8; LEN] {
    let bytes = number.to_be_bytes();
    let mut payload = [bytes[3]; LEN];
    payload[..4].copy_from_slice(&bytes);
    payload[4..8].fill(0);
    payload
}

/// Even numbers travel at QoS 1, odd ones at QoS 2.
pub(crate) fn qos(number: u32) -> QoS {
    if number.is_multiple_of(2) {
        QoS::AtLeastOnce
    } else {
        QoS::ExactlyOnce
    }
}

/// Which messages have come, and how often.
#[derive(Default, Debug)]
pub(crate) struct Numbers {
    seen: BTreeMap<u32, u32>,
    last: [Option<u32>; 2],
    in_order: bool,
    /// How many the firmware has received, as it says in each message.
    received: u32,
}

impl Numbers {
    pub(crate) fn new() -> Self {
        Self {
            in_order: true,
            ..Self::default()
        }
    }

    /// Takes note of a message, which must be one of these.
    pub(crate) fn add(&mut self, bytes: &[u8], at: QoS) {
        assert_eq!(bytes.len(), LEN, "not a numbered message: {bytes:?}");
        let word = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|offset| bytes[at + offset]));
        let (number, received) = (word(0), word(4));
        assert_eq!(
            bytes[8..],
            payload(number)[8..],
            "message {number} is damaged"
        );
        self.received = self.received.max(received);
        assert_eq!(at, qos(number), "message {number} came at another QoS");
        *self.seen.entry(number).or_default() += 1;
        let last = &mut self.last[(number % 2) as usize];
        self.in_order &= last.is_none_or(|last| last < number);
        *last = Some(number);
    }

    /// Whether the firmware has received so many that it can be sent this one.
    pub(crate) fn allow(&self, number: u32) -> bool {
        number < self.received + AHEAD
    }

    /// How many different ones have come.
    pub(crate) fn count(&self) -> usize {
        self.seen.len()
    }

    /// All below `count` have come.
    pub(crate) fn none_is_lost(&self, count: u32) {
        let lost: Vec<_> = (0..count)
            .filter(|number| !self.seen.contains_key(number))
            .collect();
        assert!(lost.is_empty(), "lost, of {count}: {lost:?}");
    }

    /// None of QoS 2 has come twice.
    pub(crate) fn none_is_doubled_at_qos_2(&self) {
        self.none_is_doubled_where(|number| qos(number) == QoS::ExactlyOnce);
    }

    /// Every one came once, and in order at each QoS.
    pub(crate) fn are_as_sent(&self, count: u32) {
        self.none_is_lost(count);
        self.none_is_doubled_where(|_| true);
        assert!(self.in_order, "messages out of order");
    }

    fn none_is_doubled_where(&self, filter: impl Fn(u32) -> bool) {
        let doubled: Vec<_> = self
            .seen
            .iter()
            .filter(|&(number, times)| *times > 1 && filter(*number))
            .map(|(number, _)| number)
            .collect();
        assert!(doubled.is_empty(), "came twice: {doubled:?}");
    }
}

/// Marsaglia's xorshift with 32 bits: the same bytes as in the firmware.
#[derive(Debug)]
pub(crate) struct Random(u32);

impl Random {
    pub(crate) fn new(seed: u32) -> Self {
        Self(seed.max(1))
    }

    pub(crate) fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    /// A number below `bound`, which is small.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        (self.next() >> 8) % bound
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next().to_be_bytes()[0]).collect()
    }
}
