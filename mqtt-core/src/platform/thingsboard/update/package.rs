//! The messages about packages: what the server offers, chunks of it, and what the device reports.

use core::fmt;

use crate::{
    codec::{EncodeError, Subscription, TopicName, Writer},
    json::write_u64,
    platform::{
        ApplicationMessage,
        json::{JsonStr, ObjectWriter, RawJson},
        thingsboard::{
            BadPayload, Body, Device, MAX_MESSAGE_LEN, Uplink,
            topics::{number, subscription},
            uplink::CHUNK,
        },
        update::{Algorithm, Digest},
    },
};

/// The two packages that a device can be assigned, each with topics and attributes of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Package {
    /// `fw`
    Firmware,
    /// `sw`
    Software,
}

impl Package {
    /// The shared attributes by which the server offers the package, to be asked for after a start.
    #[must_use]
    pub const fn attribute_keys(self) -> &'static [&'static str] {
        match self {
            Self::Firmware => &[
                "fw_title",
                "fw_version",
                "fw_tag",
                "fw_size",
                "fw_checksum_algorithm",
                "fw_checksum",
                "fw_url",
            ],
            Self::Software => &[
                "sw_title",
                "sw_version",
                "sw_tag",
                "sw_size",
                "sw_checksum_algorithm",
                "sw_checksum",
                "sw_url",
            ],
        }
    }

    const fn request_topic(self) -> &'static str {
        match self {
            Self::Firmware => "v2/fw/request/",
            Self::Software => "v2/sw/request/",
        }
    }

    const fn response_topic(self) -> &'static str {
        match self {
            Self::Firmware => "v2/fw/response/",
            Self::Software => "v2/sw/response/",
        }
    }

    const fn state_keys(self) -> StateKeys {
        match self {
            Self::Firmware => StateKeys {
                title: "current_fw_title",
                version: "current_fw_version",
                state: "fw_state",
                error: "fw_error",
            },
            Self::Software => StateKeys {
                title: "current_sw_title",
                version: "current_sw_version",
                state: "sw_state",
                error: "sw_error",
            },
        }
    }
}

struct StateKeys {
    title: &'static str,
    version: &'static str,
    state: &'static str,
    error: &'static str,
}

/// A package that is assigned to the device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Offer<'a> {
    /// Its title.
    pub title: JsonStr<'a>,
    /// Its version.
    pub version: JsonStr<'a>,
    /// Its tag, if it has one.
    pub tag: Option<JsonStr<'a>>,
    /// Where the image is.
    pub source: Source<'a>,
}

/// Where an image is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Source<'a> {
    /// On the server, to be asked for in chunks.
    Chunks(Image),
    /// Somewhere else: the application fetches it, and checks what it can. What stands here is what the operator typed.
    Url(JsonStr<'a>),
}

/// What an image must be like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Image {
    /// Its length in bytes, 1 to 2,147,483,647.
    pub size: u32,
    /// How its checksum is computed.
    pub algorithm: Algorithm,
    /// Its checksum.
    pub checksum: Digest,
}

impl<'a> Offer<'a> {
    /// Reads what the shared attributes in the object `attributes` offer; `None` if they offer nothing.
    ///
    /// # Errors
    ///
    /// [`BadPayload`]: something is missing or not as it should be. In a change of attributes other than the first the
    /// rest may be known from before: ask for [`Package::attribute_keys`].
    pub fn read(package: Package, attributes: RawJson<'a>) -> Result<Option<Self>, BadPayload> {
        let &[title, version, tag, size, algorithm, checksum, url] = package.attribute_keys()
        else {
            return Ok(None);
        };
        let is_about_it =
            |name: &JsonStr<'_>| package.attribute_keys().iter().any(|key| *name == *key);
        let mut names = attributes.members().into_iter().flatten();
        if !names.any(|(name, _)| is_about_it(&name)) {
            return Ok(None);
        }
        let text = |key| attributes.member(key).and_then(RawJson::string);
        let required = |key| text(key).ok_or(BadPayload::member(None, key));
        let source = match text(url) {
            Some(url) => Source::Url(url),
            None => Source::Chunks(
                Image::new(
                    attributes
                        .member(size)
                        .and_then(RawJson::integer::<i32>)
                        .and_then(|size| u32::try_from(size).ok())
                        .filter(|size| *size > 0)
                        .ok_or(BadPayload::member(None, size))?,
                    algorithm_of(required(algorithm)?)
                        .ok_or(BadPayload::member(None, algorithm))?,
                    required(checksum)?,
                )
                .ok_or(BadPayload::member(None, checksum))?,
            ),
        };
        Ok(Some(Self {
            title: required(title)?,
            version: required(version)?,
            tag: text(tag),
            source,
        }))
    }
}

impl Image {
    fn new(size: u32, algorithm: Algorithm, checksum: JsonStr<'_>) -> Option<Self> {
        let checksum = Digest::from_hexadecimal(checksum.raw())?;
        (checksum.as_bytes().len() == algorithm.digest_len()).then_some(Self {
            size,
            algorithm,
            checksum,
        })
    }
}

fn algorithm_of(name: JsonStr<'_>) -> Option<Algorithm> {
    Some(match name.raw() {
        b"MD5" => Algorithm::Md5,
        b"SHA256" => Algorithm::Sha256,
        b"SHA384" => Algorithm::Sha384,
        b"SHA512" => Algorithm::Sha512,
        b"CRC32" => Algorithm::Crc32,
        b"MURMUR3_32" => Algorithm::Murmur3x32,
        b"MURMUR3_128" => Algorithm::Murmur3x128,
        _ => return None,
    })
}

/// How far a device is with a package. `QUEUED` and `INITIATED` are written by the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PackageState {
    /// The image is being fetched.
    Downloading,
    /// It is here.
    Downloaded,
    /// Its checksum is right.
    Verified,
    /// It is being installed.
    Updating,
    /// It is installed.
    Updated,
    /// It could not be fetched or installed.
    Failed,
}

impl PackageState {
    /// As the server writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Downloading => "DOWNLOADING",
            Self::Downloaded => "DOWNLOADED",
            Self::Verified => "VERIFIED",
            Self::Updating => "UPDATING",
            Self::Updated => "UPDATED",
            Self::Failed => "FAILED",
        }
    }
}

/// What a device tells of a package: telemetry that the server looks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PackageReport<'a> {
    /// Which package.
    pub package: Package,
    /// Title and version of what is installed. To be told after each start.
    pub installed: Option<(&'a str, &'a str)>,
    /// How far the device is.
    pub state: Option<PackageState>,
    /// What went wrong.
    pub error: Option<&'a str>,
}

impl Body for PackageReport<'_> {
    fn write(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        let keys = self.package.state_keys();
        let mut object = ObjectWriter::new(payload)?;
        if let Some((title, version)) = self.installed {
            object.member(keys.title, title)?;
            object.member(keys.version, version)?;
        }
        object.text(keys.state, self.state.map(PackageState::name))?;
        object.text(keys.error, self.error)?;
        object.end()
    }
}

/// The name of a chunk, as it stands in the topic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ChunkName {
    /// The package that it is of.
    pub package: Package,
    /// The number of the request.
    pub request_id: u32,
    /// Which chunk, from 0.
    pub index: u32,
}

impl ChunkName {
    /// Reads the topic of a chunk; `None` if it is another topic.
    #[must_use]
    pub fn of(topic: TopicName<'_>) -> Option<Self> {
        Self::of_bytes(topic.as_bytes())
    }

    pub(super) fn of_bytes(topic: &[u8]) -> Option<Self> {
        [Package::Firmware, Package::Software]
            .into_iter()
            .find_map(|package| {
                let prefix = package.response_topic().as_bytes();
                let rest = topic.strip_prefix(prefix)?;
                let slash = rest.iter().position(|byte| *byte == b'/')?;
                let (request_id, chunk) = rest.split_at_checked(slash)?;
                Some(Self {
                    package,
                    request_id: number(request_id)?,
                    index: number(chunk.strip_prefix(CHUNK.as_bytes())?)?,
                })
            })
    }
}

/// Why the server refuses a chunk. It closes the link then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ChunkRefusal {
    /// No package is assigned.
    NotFound,
    /// The chunk is larger than the server may send.
    PayloadTooLarge,
    /// The package lies elsewhere, or the server failed.
    Failure,
}

impl ChunkRefusal {
    /// Reads a refusal; `None` if the topic is another. The server tells those of software on the topic of firmware too:
    /// it is about whichever package is being fetched.
    #[must_use]
    pub fn of<'m>(message: impl ApplicationMessage<'m>) -> Option<Self> {
        let (topic, payload) = message.topic_and_payload();
        let is_refusal = topic == FIRMWARE_ERROR.as_bytes() || topic == SOFTWARE_ERROR.as_bytes();
        is_refusal.then_some(match payload {
            b"NOT_FOUND" => Self::NotFound,
            b"PAYLOAD_TOO_LARGE" => Self::PayloadTooLarge,
            _ => Self::Failure,
        })
    }
}

const FIRMWARE_ERROR: &str = "v2/fw/error";
const SOFTWARE_ERROR: &str = "v2/sw/error";

impl Device {
    /// Reports on a package.
    pub const fn package_report<'a>(
        &self,
        report: PackageReport<'a>,
    ) -> Uplink<'static, PackageReport<'a>> {
        Uplink::new(self.topics.telemetry(), report)
    }

    /// Asks for chunk `index` of chunks of `len` bytes.
    ///
    /// At QoS 0: a request that the server refuses is never acknowledged, and would be refused again on each link.
    /// The server remembers the package of a `request_id` for the life of the link, for firmware and software together:
    /// use a new one for each update. Refused with [`EncodeError::InvalidValue`] when published: a length of 0 or above
    /// the server's largest message, and an offset above 2^31 - 1, where the server's arithmetic ends.
    pub const fn chunk_request(
        &self,
        name: ChunkName,
        len: u32,
    ) -> Uplink<'static, impl Body + use<>> {
        chunk_request(name, len)
    }

    /// The subscription to chunks. They come without it too. The official SDKs subscribe to another filter, which the
    /// server refuses.
    #[must_use]
    pub const fn chunks(&self, package: Package) -> Subscription<'static> {
        subscription(match package {
            Package::Firmware => "v2/fw/response/+/chunk/+",
            Package::Software => "v2/sw/response/+/chunk/+",
        })
    }

    /// The subscription to refusals, of firmware and of software: see [`ChunkRefusal`].
    #[must_use]
    pub const fn chunk_refusals(&self) -> Subscription<'static> {
        subscription(FIRMWARE_ERROR)
    }
}

pub(super) const fn chunk_request(name: ChunkName, len: u32) -> Uplink<'static, ChunkRequest> {
    let request = ChunkRequest {
        index: name.index,
        len,
    };
    Uplink::numbered(name.package.request_topic(), name.request_id, request)
        .chunk(name.index)
        .at_most_once()
}

#[derive(Clone, Copy)]
pub(super) struct ChunkRequest {
    index: u32,
    len: u32,
}

impl Body for ChunkRequest {
    fn write(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        let offset = self.index.checked_mul(self.len);
        let is_in_range = offset.is_some_and(|offset| i32::try_from(offset).is_ok());
        if self.len == 0 || self.len as usize > MAX_MESSAGE_LEN || !is_in_range {
            return Err(EncodeError::InvalidValue);
        }
        write_u64(payload, u64::from(self.len))
    }
}

impl fmt::Display for ChunkRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "no package assigned",
            Self::PayloadTooLarge => "chunk too large",
            Self::Failure => "server refused the chunk",
        })
    }
}
