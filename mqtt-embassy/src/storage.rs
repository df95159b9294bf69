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
///
/// It is all zero at first, so that it takes no flash; a `ConstStaticCell` of the crate `static_cell` hands it out without a copy on the stack:
///
/// ```
/// use mqtt_embassy::{Options, Storage};
/// use static_cell::ConstStaticCell;
///
/// type Memory = Storage<576, 1536, 20>;
/// static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Storage::new());
/// const _: () = assert!(Memory::SIZE < 4096, "too much of the RAM");
///
/// let (client, inbox, runner) = mqtt_embassy::new(MEMORY.take(), &Options::new("thermometer"))?;
/// # Ok::<(), mqtt_embassy::PublishError>(())
/// ```
///
/// # How to choose the sizes
///
/// **`RX`**: the longest packet that is to be received whole. A message takes 7 bytes, its topic and its payload; MQTT 5 adds
/// the properties. Commands of up to 500 bytes on a topic of 40: 7 + 40 + 500 = 547, so 576. What is longer is
/// skipped or streamed, see [`Options::oversize`]. 256 is a practical minimum.
///
/// **`TX`**: CONNECT and the SUBSCRIBE of the options, and every message that is queued or not yet acknowledged. CONNECT
/// takes some 20 bytes beside client identifier, user name, password and will; each subscription 3 and the filter; a
/// message up to 9 beside topic and payload. For ten readings of 80 bytes on a topic of 30, with 90 bytes of CONNECT and 50
/// of SUBSCRIBE: 90 + 50 + 10 * (9 + 30 + 80) = 1,330, so 1,536. Count the messages that gather in the longest outage
/// to be bridged. At most 65,535.
///
/// **`SLOTS`**: one for each of these messages, one for each message that the broker may send before the last was
/// acknowledged ([`Options::receive_maximum`], 8), and 2. Here 10 + 8 + 2 = 20.
///
/// On a 32-bit processor that makes [`SIZE`](Self::SIZE) = 632 + `RX` + `TX` + 10 * `SLOTS` bytes, up to alignment; with the
/// feature `v5` it is 704 + `RX` + `TX` + 16 * `SLOTS`.
#[repr(C)]
pub struct Storage<const RX: usize, const TX: usize, const SLOTS: usize = 24> {
    shared: MaybeUninit<Shared<Embassy>>,
    slots: [Slot; SLOTS],
    wire: [u8; WIRE],
    rx: [u8; RX],
    tx: [u8; TX],
}

impl<const RX: usize, const TX: usize, const SLOTS: usize> Storage<RX, TX, SLOTS> {
    /// Bytes of RAM that the storage takes, known at compile time.
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
