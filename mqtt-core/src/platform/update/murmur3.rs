//! `MurmurHash3` (Austin Appleby, public domain), taken piece by piece, with seed 0.
//!
//! Written here because the published crates either want the whole input or a reader of the standard library, or work
//! on raw pointers.

/// Collects pieces into blocks of `N` bytes.
#[derive(Clone, Debug)]
struct Blocks<const N: usize> {
    part: [u8; N],
    filled: usize,
    /// Modulo 2^32, which is all that the hash takes of it up to 4 GB.
    len: u32,
}

impl<const N: usize> Blocks<N> {
    const NEW: Self = Self {
        part: [0; N],
        filled: 0,
        len: 0,
    };

    fn update(&mut self, bytes: &[u8], mut mix: impl FnMut(&[u8; N])) {
        for byte in bytes {
            if let Some(place) = self.part.get_mut(self.filled) {
                *place = *byte;
            }
            self.len = self.len.wrapping_add(1);
            self.filled = self.filled.wrapping_add(1);
            if self.filled == N {
                mix(&self.part);
                self.filled = 0;
            }
        }
    }

    /// What did not make a block, with zeros behind it.
    fn tail(&self) -> [u8; N] {
        let mut tail = self.part;
        for place in tail.iter_mut().skip(self.filled) {
            *place = 0;
        }
        tail
    }
}

#[derive(Clone, Debug)]
pub(super) struct State32 {
    hash: u32,
    blocks: Blocks<4>,
}

impl State32 {
    pub(super) const fn new() -> Self {
        Self {
            hash: 0,
            blocks: Blocks::NEW,
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        let hash = &mut self.hash;
        self.blocks.update(bytes, |block| {
            *hash = (*hash ^ mix32(u32::from_le_bytes(*block))).rotate_left(13);
            *hash = hash.wrapping_mul(5).wrapping_add(0xe654_6b64);
        });
    }

    pub(super) fn finish(self) -> [u8; 4] {
        // A tail of zeros mixes to zero.
        let mut hash = self.hash ^ mix32(u32::from_le_bytes(self.blocks.tail()));
        hash ^= self.blocks.len;
        hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
        hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
        (hash ^ hash >> 16).to_le_bytes()
    }
}

const fn mix32(block: u32) -> u32 {
    block
        .wrapping_mul(0xcc9e_2d51)
        .rotate_left(15)
        .wrapping_mul(0x1b87_3593)
}

/// The variant for 64-bit machines.
#[derive(Clone, Debug)]
pub(super) struct State128 {
    hash: [u64; 2],
    blocks: Blocks<16>,
}

impl State128 {
    pub(super) const fn new() -> Self {
        Self {
            hash: [0; 2],
            blocks: Blocks::NEW,
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        let [first, second] = &mut self.hash;
        self.blocks.update(bytes, |block| {
            let (low, high) = halves(block);
            *first = (*first ^ mix_low(low))
                .rotate_left(27)
                .wrapping_add(*second);
            *first = first.wrapping_mul(5).wrapping_add(0x52dc_e729);
            *second = (*second ^ mix_high(high))
                .rotate_left(31)
                .wrapping_add(*first);
            *second = second.wrapping_mul(5).wrapping_add(0x3849_5ab5);
        });
    }

    pub(super) fn finish(self) -> [u8; 16] {
        let (low, high) = halves(&self.blocks.tail());
        let len = u64::from(self.blocks.len);
        let [first, second] = self.hash;
        let (mut first, mut second) = (first ^ mix_low(low) ^ len, second ^ mix_high(high) ^ len);
        first = first.wrapping_add(second);
        second = second.wrapping_add(first);
        (first, second) = (finish64(first), finish64(second));
        first = first.wrapping_add(second);
        second = second.wrapping_add(first);
        (u128::from(second) << 64 | u128::from(first)).to_le_bytes()
    }
}

/// Two words, least significant byte first.
fn halves(block: &[u8; 16]) -> (u64, u64) {
    let word = |bytes: &[u8]| {
        bytes
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u64::from(*byte))
    };
    let (low, high) = block.split_at(8);
    (word(low), word(high))
}

const fn mix_low(block: u64) -> u64 {
    block
        .wrapping_mul(0x87c3_7b91_1142_53d5)
        .rotate_left(31)
        .wrapping_mul(0x4cf5_ad43_2745_937f)
}

const fn mix_high(block: u64) -> u64 {
    block
        .wrapping_mul(0x4cf5_ad43_2745_937f)
        .rotate_left(33)
        .wrapping_mul(0x87c3_7b91_1142_53d5)
}

const fn finish64(hash: u64) -> u64 {
    let hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}
