//! What updates of firmware have in common on all platforms: where an image is kept while it arrives, and how it is
//! checked.
//!
//! An application gives a place, an [`UpdateStore`]: a region of flash, a file. A platform's update fills it piece by
//! piece, remembers in it how far it has come, reads it back to check it, and only then has it activated.

mod checksum;
mod digest;
mod murmur3;
mod store;

pub use checksum::{
    Algorithm, AnyChecksum, Checksum, Crc32, Md5, Murmur3x32, Murmur3x128, Sha256, Sha384, Sha512,
};
pub use digest::Digest;
pub use store::{MAX_RECORD_LEN, UpdateStore};
