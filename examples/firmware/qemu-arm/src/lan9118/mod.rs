//! Driver of the LAN9118 Ethernet controller, as QEMU emulates it.
//!
//! Frames pass through two FIFOs of 32-bit words, without DMA. An interrupt tells of the first received frame.

mod registers;

use core::task::Context;

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::waitqueue::AtomicWaker;
use static_cell::ConstStaticCell;

use self::registers::{
    FIFO_INT, HW_CFG, ID_REV, INT_EN, INT_STS, IRQ_CFG, RX_CFG, RX_DATA, RX_FIFO_INF, RX_STATUS,
    TX_CFG, TX_DATA, TX_FIFO_INF, TX_STATUS, mac,
};
use crate::interrupt::Interrupt;

/// The largest Ethernet frame without its CRC, and with it rounded up to words.
const MAXIMUM_FRAME: usize = 1514;
const FRAME_BUFFER: usize = 1520;
const CRC: usize = 4;
const WORD: usize = 4;

const RECEIVED: u32 = 1 << 3;

static RECEIVE_WAKER: AtomicWaker = AtomicWaker::new();

/// Masks itself until the driver has looked at the FIFO: the line is a level, and stays up as long as there are frames.
pub(crate) fn on_interrupt() {
    INT_EN.write(0);
    RECEIVE_WAKER.wake();
}

/// The Ethernet controller, to be handed to `embassy_net::new`. There is one, made by [`init`](crate::init).
#[derive(Debug)]
pub struct Network {
    address: [u8; 6],
    buffers: &'static mut Buffers,
}

#[derive(Debug)]
struct Buffers {
    received: [u8; FRAME_BUFFER],
    sent: [u8; FRAME_BUFFER],
}

impl Network {
    pub(crate) fn start() -> Self {
        static BUFFERS: ConstStaticCell<Buffers> = ConstStaticCell::new(Buffers {
            received: [0; FRAME_BUFFER],
            sent: [0; FRAME_BUFFER],
        });
        let buffers = BUFFERS.take();
        assert!(ID_REV.read() >> 16 == 0x0118, "no LAN9118 at its address");
        // Push-pull, active high, enabled. After reset the line is active low, so that the processor sees it raised all
        // the time: this must come before the interrupt is let through.
        IRQ_CFG.write(0x111);
        INT_EN.write(0);
        HW_CFG.write(1 << 20 | 5 << 16);
        FIFO_INT.write(0);
        RX_CFG.write(0);
        TX_CFG.write(1 << 1);
        // Full duplex, transmitter and receiver on.
        mac::write(mac::CONTROL, 1 << 20 | 1 << 3 | 1 << 2);
        Interrupt::Network.enable();
        Self {
            address: mac::address(),
            buffers,
        }
    }

    /// Reads the next good frame into the buffer, and drops the bad ones before it.
    fn receive_frame(&mut self) -> Option<usize> {
        while frame_is_waiting() {
            let status = RX_STATUS.read();
            let length = (status >> 16 & 0x3FFF) as usize;
            let good = status & 1 << 15 == 0 && (CRC..=MAXIMUM_FRAME + CRC).contains(&length);
            if good {
                read_words(&mut self.buffers.received[..length.next_multiple_of(WORD)]);
                return Some(length - CRC);
            }
            for _ in 0..length.div_ceil(WORD) {
                RX_DATA.read();
            }
        }
        None
    }
}

impl Driver for Network {
    type RxToken<'a> = ReceiveToken<'a>;
    type TxToken<'a> = TransmitToken<'a>;

    fn receive(
        &mut self,
        context: &mut Context<'_>,
    ) -> Option<(ReceiveToken<'_>, TransmitToken<'_>)> {
        if !transmitter_has_room(context) {
            return None;
        }
        let length = self.receive_frame().or_else(|| {
            // A frame that comes in meanwhile is either seen at this second look, or raises the interrupt.
            wake_when_received(context);
            self.receive_frame()
        })?;
        let frame = &mut self.buffers.received[..length];
        Some((
            ReceiveToken { frame },
            TransmitToken {
                buffer: &mut self.buffers.sent,
            },
        ))
    }

    fn transmit(&mut self, context: &mut Context<'_>) -> Option<TransmitToken<'_>> {
        transmitter_has_room(context).then_some(TransmitToken {
            buffer: &mut self.buffers.sent,
        })
    }

    /// The emulated cable is never pulled out.
    fn link_state(&mut self, _context: &mut Context<'_>) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = MAXIMUM_FRAME;
        capabilities.max_burst_size = Some(1);
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.address)
    }
}

/// A received frame.
#[derive(Debug)]
pub struct ReceiveToken<'a> {
    frame: &'a mut [u8],
}

impl RxToken for ReceiveToken<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, use_frame: F) -> R {
        use_frame(self.frame)
    }
}

/// Room for a frame to be sent.
#[derive(Debug)]
pub struct TransmitToken<'a> {
    buffer: &'a mut [u8; FRAME_BUFFER],
}

impl TxToken for TransmitToken<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        let frame = &mut self.buffer[..length];
        let result = fill(frame);
        send(frame);
        result
    }
}

/// Sends a frame as one piece: first (bit 13) and last (bit 12), at most 1,514 bytes.
fn send(frame: &[u8]) {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a frame has at most 1,514 bytes"
    )]
    let length = frame.len() as u32;
    TX_DATA.write(1 << 13 | 1 << 12 | length);
    TX_DATA.write(length);
    let (words, rest) = frame.as_chunks::<WORD>();
    for word in words {
        TX_DATA.write(u32::from_le_bytes(*word));
    }
    if !rest.is_empty() {
        let mut word = [0; WORD];
        word[..rest.len()].copy_from_slice(rest);
        TX_DATA.write(u32::from_le_bytes(word));
    }
    while TX_FIFO_INF.read() >> 16 & 0xFF != 0 {
        TX_STATUS.read();
    }
}

fn read_words(buffer: &mut [u8]) {
    for word in buffer.as_chunks_mut::<WORD>().0 {
        *word = RX_DATA.read().to_le_bytes();
    }
}

fn wake_when_received(context: &Context<'_>) {
    RECEIVE_WAKER.register(context.waker());
    INT_STS.write(RECEIVED);
    INT_EN.write(RECEIVED);
}

fn frame_is_waiting() -> bool {
    RX_FIFO_INF.read() >> 16 & 0xFF != 0
}

/// Whether a frame of any size fits, with its two command words. If not, the task looks again.
///
/// QEMU sends at once, so there is always room. A real controller needs some microseconds: worth no interrupt.
fn transmitter_has_room(context: &Context<'_>) -> bool {
    let room = (TX_FIFO_INF.read() & 0xFFFF) as usize >= FRAME_BUFFER + 2 * WORD;
    if !room {
        context.waker().wake_by_ref();
    }
    room
}
