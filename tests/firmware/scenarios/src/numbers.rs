//! Numbered messages: which have come, and at which QoS they travel.
//!
//! Each of ours also says how many have come, and the host does not run ahead by more than 16: mosquitto 2.0.11 sends
//! more than the Receive Maximum at once as soon as messages wait for us (76 were seen), and that ends the link.

use core::sync::atomic::{AtomicU32, Ordering};

use embassy_time::Timer;
use mqtt_embassy::{Message, QoS, Received};

use crate::Status;

/// The number, how many have come, and a filling, so that a cut is likely to be in the middle.
const LEN: usize = 40;

/// How many more we send than have come, where both sides send the same number.
const AHEAD: u32 = 8;

/// How many different messages have come.
static RECEIVED: AtomicU32 = AtomicU32::new(0);

/// The payload with this number.
pub(crate) fn payload(number: u32) -> [u8; LEN] {
    filled(number, RECEIVED.load(Ordering::Relaxed))
}

fn filled(number: u32, received: u32) -> [u8; LEN] {
    let [.., last] = number.to_be_bytes();
    let mut payload = [last; LEN];
    payload[..4].copy_from_slice(&number.to_be_bytes());
    payload[4..8].copy_from_slice(&received.to_be_bytes());
    payload
}

/// Waits until so many messages have come that this one may go out.
pub(crate) async fn in_step(number: u32) {
    while RECEIVED.load(Ordering::Relaxed) + AHEAD < number {
        Timer::after_micros(200).await;
    }
}

/// One task receives, so nobody else counts.
fn count_one() {
    let received = RECEIVED.load(Ordering::Relaxed);
    RECEIVED.store(received + 1, Ordering::Relaxed);
}

/// Even numbers travel at QoS 1, odd ones at QoS 2.
pub(crate) const fn qos(number: u32) -> QoS {
    if number.is_multiple_of(2) {
        QoS::AtLeastOnce
    } else {
        QoS::ExactlyOnce
    }
}

/// The message with this payload and its QoS.
pub(crate) const fn message<'a>(topic: &'a str, number: u32, payload: &'a [u8]) -> Message<'a> {
    Message::new(topic, payload).qos(qos(number))
}

/// The number of a received message.
pub(crate) fn read(received: &Received<'_>) -> Result<u32, Status> {
    let bytes = received.payload();
    let number = bytes.first_chunk().copied().map(u32::from_be_bytes);
    let Some(number) = number.filter(|number| filled(*number, 0) == *bytes) else {
        defmt::error!("not a numbered message: {=[u8]}", bytes);
        return Err(Status::WrongMessage);
    };
    if received.qos() != qos(number) {
        defmt::error!("message {=u32} came at another QoS", number);
        return Err(Status::WrongMessage);
    }
    Ok(number)
}

/// Messages come once each, and in the order of their numbers at each QoS: what a link that is never cut guarantees.
#[derive(Debug)]
pub(crate) struct InOrder {
    at_least_once: u32,
    exactly_once: u32,
}

impl InOrder {
    pub(crate) const fn new() -> Self {
        Self {
            at_least_once: 0,
            exactly_once: 1,
        }
    }

    /// Takes note of the next message.
    pub(crate) fn add(&mut self, number: u32) -> Result<(), Status> {
        let expected = match qos(number) {
            QoS::ExactlyOnce => &mut self.exactly_once,
            _ => &mut self.at_least_once,
        };
        if number != *expected {
            defmt::error!("message {=u32} instead of {=u32}", number, *expected);
            return Err(if number < *expected {
                Status::MessageDoubled
            } else {
                Status::MessageLost
            });
        }
        *expected += 2;
        count_one();
        Ok(())
    }
}

/// Which messages have come, over links that are cut: at QoS 1 they may come again.
#[derive(Debug)]
pub(crate) struct Seen {
    bits: [u32; 64],
    count: u32,
}

impl Seen {
    pub(crate) const fn new() -> Self {
        Self {
            bits: [0; 64],
            count: 0,
        }
    }

    /// Takes note of a message.
    pub(crate) fn add(&mut self, number: u32) -> Result<(), Status> {
        let word = self.bits.get_mut(number as usize / 32);
        let word = word.ok_or(Status::WrongMessage)?;
        let bit = 1 << (number % 32);
        if *word & bit == 0 {
            *word |= bit;
            self.count += 1;
            count_one();
        } else if qos(number) == QoS::ExactlyOnce {
            defmt::error!("message {=u32} came twice at QoS 2", number);
            return Err(Status::MessageDoubled);
        }
        Ok(())
    }

    /// How many different ones have come.
    pub(crate) const fn count(&self) -> u32 {
        self.count
    }
}
