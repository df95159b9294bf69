//! All memory of one connection in one static.

use core::{fmt, mem::MaybeUninit};

use mqtt_core::{
    client::{Content, Shared},
    session::{Options, PublishError, Slot},
};

use crate::{Client, Embassy, Inbox, Runner, kind::Lock};

/// Bytes of one write to the link at most.
const WIRE: usize = 256;

/// All memory of one connection, to be kept in one static.
#[repr(C)]
pub struct Storage<const RX: usize, const TX: usize, const SLOTS: usize = 24> {
    shared: MaybeUninit<Shared<Embassy>>,
    slots: [Slot; SLOTS],
    wire: [u8; WIRE],
    rx: [u8; RX],
    tx: [u8; TX],
}

impl<const RX: usize, const TX: usize, const SLOTS: usize> Storage<RX, TX, SLOTS> {
    /// Bytes of RAM that the storage takes.
    pub const SIZE: usize = size_of::<Self>();

    /// Empty memory, all zero.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            shared: MaybeUninit::uninit(),
            slots: [Slot::FREE; SLOTS],
            wire: [0; WIRE],
            rx: [0; RX],
            tx: [0; TX],
        }
    }
}

impl<const RX: usize, const TX: usize, const SLOTS: usize> Default for Storage<RX, TX, SLOTS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const RX: usize, const TX: usize, const SLOTS: usize> fmt::Debug for Storage<RX, TX, SLOTS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Storage").finish_non_exhaustive()
    }
}

/// Makes the three handles of one connection: to publish and subscribe, to receive, and to be run.
///
/// Nothing happens before [`Runner::run`](mqtt_core::client::Runner::run) is polled, in a task of its own for example.
/// It connects with the options that it is given; those given here are for what is published before.
///
/// # Errors
///
/// [`PublishError`] if the options do not make a CONNECT, or ask for more room than `TX` has.
pub fn new<const RX: usize, const TX: usize, const SLOTS: usize>(
    storage: &'static mut Storage<RX, TX, SLOTS>,
    options: &Options<'_>,
) -> Result<(Client, Inbox, Runner), PublishError> {
    let Storage {
        shared,
        slots,
        wire,
        rx,
        tx,
    } = storage;
    let shared = shared.write(Shared::empty(Lock::of(Content::new(slots.as_mut_slice()))));
    shared.configure(rx, tx, wire, options)?;
    Ok(mqtt_core::client::new(&*shared))
}
