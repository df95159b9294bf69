//! Registers of the LAN9118 that the driver uses, by their offset:
//!
//! | offset | register | use |
//! | --- | --- | --- |
//! | 0x00, 0x20 | RX and TX data FIFO | little-endian words |
//! | 0x40 | RX status FIFO | bits 29..16: length with 4 bytes of CRC; bit 15: error |
//! | 0x48 | TX status FIFO | one entry for each frame sent; to be popped |
//! | 0x50 | ID_REV | upper half: 0x0118 |
//! | 0x54 | IRQ_CFG | polarity of the interrupt line, see [`Network::start`] |
//! | 0x58, 0x5C | INT_STS, INT_EN | bit 3: the RX status FIFO holds more than the level in FIFO_INT |
//! | 0x68 | FIFO_INT | low byte: that level |
//! | 0x6C, 0x70 | RX_CFG, TX_CFG | bit 1 of TX_CFG: transmitter on |
//! | 0x74 | HW_CFG | bit 20 must be one; bits 19..16: KiB of the TX FIFO |
//! | 0x7C, 0x80 | RX_FIFO_INF, TX_FIFO_INF | bits 23..16: entries of the status FIFO; 15..0: bytes of data, used or free |
//! | 0xA4, 0xA8 | MAC_CSR_CMD, _DATA | registers of the MAC: bit 31 go and busy, bit 30 read, low byte which one |

use crate::mmio::Register;

pub(crate) const RX_DATA: Register = register(0x00);
pub(crate) const TX_DATA: Register = register(0x20);
pub(crate) const RX_STATUS: Register = register(0x40);
pub(crate) const TX_STATUS: Register = register(0x48);
pub(crate) const ID_REV: Register = register(0x50);
pub(crate) const IRQ_CFG: Register = register(0x54);
pub(crate) const INT_STS: Register = register(0x58);
pub(crate) const INT_EN: Register = register(0x5C);
pub(crate) const FIFO_INT: Register = register(0x68);
pub(crate) const RX_CFG: Register = register(0x6C);
pub(crate) const TX_CFG: Register = register(0x70);
pub(crate) const HW_CFG: Register = register(0x74);
pub(crate) const RX_FIFO_INF: Register = register(0x7C);
pub(crate) const TX_FIFO_INF: Register = register(0x80);
const MAC_CSR_CMD: Register = register(0xA4);
const MAC_CSR_DATA: Register = register(0xA8);

const fn register(offset: usize) -> Register {
    // SAFETY: the controller lies there, `offset` is one of the registers above, and it has no access to memory.
    unsafe { Register::at(0x4020_0000 + offset) }
}

/// The registers of the MAC, which are reached through two of the controller's.
pub(crate) mod mac {
    use super::{MAC_CSR_CMD, MAC_CSR_DATA};

    pub(crate) const CONTROL: u32 = 1;
    const ADDRESS_HIGH: u32 = 2;
    const ADDRESS_LOW: u32 = 3;
    const BUSY: u32 = 1 << 31;
    const READ: u32 = 1 << 30;

    pub(crate) fn write(register: u32, value: u32) {
        MAC_CSR_DATA.write(value);
        MAC_CSR_CMD.write(BUSY | register);
        wait();
    }

    /// The Ethernet address, which is loaded at reset.
    pub(crate) fn address() -> [u8; 6] {
        let mut address = [0; 6];
        address[..4].copy_from_slice(&read(ADDRESS_LOW).to_le_bytes());
        address[4..].copy_from_slice(&read(ADDRESS_HIGH).to_le_bytes()[..2]);
        address
    }

    fn read(register: u32) -> u32 {
        MAC_CSR_CMD.write(BUSY | READ | register);
        wait();
        MAC_CSR_DATA.read()
    }

    fn wait() {
        while MAC_CSR_CMD.read() & BUSY != 0 {}
    }
}
