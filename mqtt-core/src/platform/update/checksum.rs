use core::fmt;

use sha2::Digest as _;

use super::{
    Digest,
    murmur3::{State32, State128},
};

/// How a checksum is computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Algorithm {
    /// MD5. Against accidents only.
    Md5 = 1,
    /// SHA-256.
    Sha256 = 2,
    /// SHA-384.
    Sha384 = 3,
    /// SHA-512.
    Sha512 = 4,
    /// CRC-32 as in Ethernet and ZIP, least significant byte first. Against accidents only.
    Crc32 = 5,
    /// `MurmurHash3` of 32 bits with seed 0, least significant byte first. Against accidents only.
    Murmur3x32 = 6,
    /// `MurmurHash3` of 128 bits for 64-bit machines with seed 0, each half least significant byte first. Against
    /// accidents only.
    Murmur3x128 = 7,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Md5,
        Self::Sha256,
        Self::Sha384,
        Self::Sha512,
        Self::Crc32,
        Self::Murmur3x32,
        Self::Murmur3x128,
    ];

    /// Number of bytes of the checksum.
    #[must_use]
    pub const fn digest_len(self) -> usize {
        match self {
            Self::Md5 | Self::Murmur3x128 => 16,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
            Self::Crc32 | Self::Murmur3x32 => 4,
        }
    }
}

/// A checksum that is computed piece by piece.
///
/// The type decides which algorithms a program contains: [`AnyChecksum`] has all of them, each of the others is one. An
/// image that comes with a checksum which the program cannot compute is refused.
pub trait Checksum: Sized {
    /// Begins; `None` for an algorithm that this type does not have.
    fn begin(algorithm: Algorithm) -> Option<Self>;

    /// Takes the next bytes.
    fn update(&mut self, bytes: &[u8]);

    /// The checksum of all that was taken.
    fn finish(self) -> Digest;
}

macro_rules! checksums {
    ($($(#[$doc:meta])* $name:ident($state:ty), $new:expr, $update:path, $finish:expr;)*) => {
        $($(#[$doc])*
        #[derive(Clone)]
        pub struct $name($state);

        impl Checksum for $name {
            fn begin(algorithm: Algorithm) -> Option<Self> {
                (algorithm == Algorithm::$name).then(|| Self($new))
            }

            fn update(&mut self, bytes: &[u8]) {
                $update(&mut self.0, bytes);
            }

            fn finish(self) -> Digest {
                let digest: Option<Digest> = $finish(self.0);
                digest.unwrap_or(Digest::EMPTY)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        })*

        /// Any [`Algorithm`].
        #[derive(Clone, Debug)]
        #[allow(clippy::large_enum_variant, reason = "one at a time, and nothing to put it in otherwise")]
        pub struct AnyChecksum(Any);

        #[derive(Clone, Debug)]
        enum Any { $($name($name),)* }

        impl Checksum for AnyChecksum {
            fn begin(algorithm: Algorithm) -> Option<Self> {
                Some(Self(match algorithm {
                    $(Algorithm::$name => Any::$name($name::begin(algorithm)?),)*
                }))
            }

            fn update(&mut self, bytes: &[u8]) {
                match &mut self.0 {
                    $(Any::$name(checksum) => checksum.update(bytes),)*
                }
            }

            fn finish(self) -> Digest {
                match self.0 {
                    $(Any::$name(checksum) => checksum.finish(),)*
                }
            }
        }
    };
}

checksums! {
    /// [`Algorithm::Md5`].
    Md5(md5::Md5), md5::Md5::new(), md5::Md5::update, |state: md5::Md5| Digest::new(&state.finalize());
    /// [`Algorithm::Sha256`].
    Sha256(sha2::Sha256), sha2::Sha256::new(), sha2::Sha256::update,
        |state: sha2::Sha256| Digest::new(&state.finalize());
    /// [`Algorithm::Sha384`].
    Sha384(sha2::Sha384), sha2::Sha384::new(), sha2::Sha384::update,
        |state: sha2::Sha384| Digest::new(&state.finalize());
    /// [`Algorithm::Sha512`].
    Sha512(sha2::Sha512), sha2::Sha512::new(), sha2::Sha512::update,
        |state: sha2::Sha512| Digest::new(&state.finalize());
    /// [`Algorithm::Crc32`].
    Crc32(CrcState), CRC32.digest(), CrcState::update,
        |state: CrcState| Digest::new(&state.finalize().to_le_bytes());
    /// [`Algorithm::Murmur3x32`].
    Murmur3x32(State32), State32::new(), State32::update, |state: State32| Digest::new(&state.finish());
    /// [`Algorithm::Murmur3x128`].
    Murmur3x128(State128), State128::new(), State128::update,
        |state: State128| Digest::new(&state.finish());
}

type CrcState = crc::Digest<'static, u32, crc::NoTable>;

/// Without a table: a kilobyte less of flash, and fast enough for bytes that come from a network.
static CRC32: crc::Crc<u32, crc::NoTable> =
    crc::Crc::<u32, crc::NoTable>::new(&crc::CRC_32_ISO_HDLC);
