//! Checksums as the server writes them: hexadecimal; CRC32 and Murmur3 with the lowest byte first.

use md5::{Digest as _, Md5};
use sha2::{Sha256, Sha384, Sha512};

/// The checksum of an image; `None` for an unknown algorithm.
pub(super) fn checksum(algorithm: &str, image: &[u8]) -> Option<String> {
    Some(match algorithm {
        "MD5" => hex(&Md5::digest(image)),
        "SHA256" => hex(&Sha256::digest(image)),
        "SHA384" => hex(&Sha384::digest(image)),
        "SHA512" => hex(&Sha512::digest(image)),
        "CRC32" => hex(&crc32(image).to_le_bytes()),
        "MURMUR3_32" => hex(&murmur3_32(image).to_le_bytes()),
        "MURMUR3_128" => {
            let (first, second) = murmur3_128(image);
            hex(&[first.to_le_bytes(), second.to_le_bytes()].concat())
        }
        _ => return None,
    })
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('?');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 0x0f)])
        .collect()
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = crc & 1;
            crc >>= 1;
            if carry == 1 {
                crc ^= 0xedb8_8320;
            }
        }
    }
    !crc
}

fn murmur3_32(bytes: &[u8]) -> u32 {
    let scramble = |word: u32| {
        word.wrapping_mul(0xcc9e_2d51)
            .rotate_left(15)
            .wrapping_mul(0x1b87_3593)
    };
    let blocks = bytes.chunks_exact(4);
    let rest = blocks.remainder();
    let mut hash = 0;
    for block in blocks {
        hash ^= scramble(
            block
                .iter()
                .rev()
                .fold(0, |word, byte| word << 8 | u32::from(*byte)),
        );
        hash = hash
            .rotate_left(13)
            .wrapping_mul(5)
            .wrapping_add(0xe654_6b64);
    }
    hash ^= scramble(
        rest.iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u32::from(*byte)),
    );
    hash ^= u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

/// The variant for 64-bit processors.
fn murmur3_128(bytes: &[u8]) -> (u64, u64) {
    const C1: u64 = 0x87c3_7b91_1142_53d5;
    const C2: u64 = 0x4cf5_ad43_2745_937f;
    let word = |bytes: &[u8]| {
        bytes
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u64::from(*byte))
    };
    let first = |word: u64| word.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2);
    let second = |word: u64| word.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1);
    let finish = |mut hash: u64| {
        hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        hash ^ hash >> 33
    };
    let (mut h1, mut h2) = (0u64, 0u64);
    let blocks = bytes.chunks_exact(16);
    let rest = blocks.remainder();
    for block in blocks {
        let (low, high) = block.split_at(8);
        h1 ^= first(word(low));
        h1 = h1
            .rotate_left(27)
            .wrapping_add(h2)
            .wrapping_mul(5)
            .wrapping_add(0x52dc_e729);
        h2 ^= second(word(high));
        h2 = h2
            .rotate_left(31)
            .wrapping_add(h1)
            .wrapping_mul(5)
            .wrapping_add(0x3849_5ab5);
    }
    let (low, high) = rest.split_at(rest.len().min(8));
    h2 ^= second(word(high));
    h1 ^= first(word(low));
    let len = bytes.len() as u64;
    h1 ^= len;
    h2 ^= len;
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    h1 = finish(h1);
    h2 = finish(h2);
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    (h1, h2)
}

#[cfg(test)]
mod tests {
    use super::checksum;

    #[test]
    fn known_texts_have_known_checksums() {
        let check = |algorithm| checksum(algorithm, b"123456789").unwrap();
        assert_eq!(check("CRC32"), "2639f4cb");
        assert_eq!(check("MD5"), "25f9e794323b453885f5181f1b624d0b");
        assert_eq!(check("MURMUR3_32"), "82f3feb4");
        assert_eq!(check("MURMUR3_128"), "a4cc66db5e64843c05a11e3ac7faf899");
    }

    #[test]
    fn a_whole_image_has_the_checksum_that_the_server_computes() {
        let image: Vec<u8> = (0..1280u16)
            .map(|n| n.to_le_bytes()[0])
            .chain([0xaa; 20])
            .collect();
        let check = |algorithm| checksum(algorithm, &image).unwrap();
        assert_eq!(
            check("SHA256"),
            "6c10831f1496b5b0217edee88ff011e8f9ba96caa5228b7d82f0461da5b3530e"
        );
        assert_eq!(check("MURMUR3_32"), "c2d85121");
        assert_eq!(check("MURMUR3_128"), "adb45f86581a5b73f280e763c3425f0d");
        assert_eq!(check("SHA384").len(), 96);
        assert_eq!(check("SHA512").len(), 128);
    }
}
