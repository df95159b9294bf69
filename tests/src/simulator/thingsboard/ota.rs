//! Firmware and software packages, and the chunks that devices ask for.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value};

use super::checksum::checksum;

/// The longest chunk.
const MAX_CHUNK: usize = 65_536;

/// A package that is assigned to a device.
#[derive(Clone, Debug)]
pub(super) struct Package {
    title: String,
    version: String,
    algorithm: String,
    checksum: String,
    image: Vec<u8>,
}

/// What one link has asked for: the package of each request number is that of its first use.
#[derive(Debug, Default)]
pub(super) struct Downloads {
    bound: HashMap<u32, Bound>,
}

#[derive(Debug)]
struct Bound {
    package: Package,
    size: Option<usize>,
    /// The cache of the server has forgotten it: nothing more comes under this number.
    is_evicted: bool,
}

/// What is to go wrong, and how often.
#[derive(Debug, Default)]
pub(super) struct Faults(BTreeMap<(Fault, u32), u32>);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Fault {
    /// The chunk does not arrive.
    Lose,
    /// It arrives twice.
    Duplicate,
    /// It is empty, and so is all else under its request number.
    Empty,
    /// A byte of it is wrong.
    Corrupt,
    /// It is one byte short.
    Shorten,
    /// The link is closed instead.
    Close,
}

/// The answer to a request.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Answer {
    /// These chunks.
    Chunks(Vec<Vec<u8>>),
    /// A text on the topic for errors, and the end of the link.
    Error(&'static str),
    /// The end of the link.
    Close,
    /// Nothing but the acknowledgement.
    Nothing,
}

impl Package {
    /// A package with a checksum by `algorithm`; `None` if that is unknown.
    pub(super) fn new(title: &str, version: &str, algorithm: &str, image: Vec<u8>) -> Option<Self> {
        Some(Self {
            title: title.to_owned(),
            version: version.to_owned(),
            algorithm: algorithm.to_owned(),
            checksum: checksum(algorithm, &image)?,
            image,
        })
    }

    /// Announces another checksum than the image has.
    pub(super) fn falsify(&mut self) {
        let wrong = self
            .checksum
            .chars()
            .map(|digit| if digit == '0' { '1' } else { '0' });
        self.checksum = wrong.collect();
    }

    /// The shared attributes that announce it; `prefix` is `fw` or `sw`.
    pub(super) fn attributes(&self, prefix: &str) -> Map<String, Value> {
        let values = [
            ("title", Value::from(self.title.as_str())),
            ("version", self.version.as_str().into()),
            ("tag", format!("{} {}", self.title, self.version).into()),
            ("size", self.image.len().into()),
            ("checksum_algorithm", self.algorithm.as_str().into()),
            ("checksum", self.checksum.as_str().into()),
        ];
        let named = values
            .into_iter()
            .map(|(name, value)| (format!("{prefix}_{name}"), value));
        named.collect()
    }
}

/// The attributes that are deleted before an announcement, and without `is_offered` when a package is taken back.
pub(super) fn stale_keys(prefix: &str, is_offered: bool) -> Vec<String> {
    let always = ["size", "checksum", "checksum_algorithm", "url", "tag"];
    let withdrawn = ["title", "version", "ts", "state"];
    let withdrawn = withdrawn.iter().filter(|_| !is_offered);
    let offered = ["url"];
    let names: Vec<&&str> = if is_offered {
        offered.iter().collect()
    } else {
        withdrawn.chain(always.iter()).collect()
    };
    names
        .into_iter()
        .map(|name| format!("{prefix}_{name}"))
        .collect()
}

impl Downloads {
    /// Answers a request for a chunk. `assigned` is the package of now.
    pub(super) fn request(
        &mut self,
        request_id: u32,
        chunk: u32,
        payload: &[u8],
        assigned: Option<&Package>,
        faults: &mut Faults,
    ) -> Answer {
        let Ok(text) = core::str::from_utf8(payload) else {
            return Answer::Close;
        };
        let wanted = match text {
            "" => None,
            text => match text.parse::<usize>() {
                Ok(size) => Some(size),
                Err(_) => return Answer::Close,
            },
        };
        if wanted.is_some_and(|size| size > MAX_CHUNK) {
            return Answer::Error("PAYLOAD_TOO_LARGE");
        }
        let bound = match (self.bound.entry(request_id), assigned) {
            (std::collections::hash_map::Entry::Occupied(bound), _) => bound.into_mut(),
            (std::collections::hash_map::Entry::Vacant(_), None) => {
                return Answer::Error("NOT_FOUND");
            }
            (std::collections::hash_map::Entry::Vacant(free), Some(package)) => {
                free.insert(Bound {
                    package: package.clone(),
                    size: None,
                    is_evicted: false,
                })
            }
        };
        bound.size = wanted.or(bound.size);
        bound.is_evicted |= faults.take(Fault::Empty, chunk);
        if bound.is_evicted {
            return match bound.size {
                Some(_) => Answer::Chunks(vec![Vec::new()]),
                None => Answer::Nothing,
            };
        }
        let mut bytes = cut(&bound.package.image, bound.size, chunk);
        if faults.take(Fault::Corrupt, chunk)
            && let Some(byte) = bytes.first_mut()
        {
            *byte = !*byte;
        }
        if faults.take(Fault::Shorten, chunk) {
            bytes.pop();
        }
        if faults.take(Fault::Close, chunk) {
            return Answer::Close;
        }
        if faults.take(Fault::Lose, chunk) {
            return Answer::Chunks(Vec::new());
        }
        if faults.take(Fault::Duplicate, chunk) {
            return Answer::Chunks(vec![bytes.clone(), bytes]);
        }
        Answer::Chunks(vec![bytes])
    }
}

/// The chunk; nothing beyond the end. Without a size, the whole image. The place is computed in 32 bits.
fn cut(image: &[u8], size: Option<usize>, chunk: u32) -> Vec<u8> {
    let Some(size) = size else {
        return image.to_vec();
    };
    let start = u32::try_from(size)
        .unwrap_or(u32::MAX)
        .wrapping_mul(chunk)
        .cast_signed();
    let Ok(start) = usize::try_from(start) else {
        return Vec::new();
    };
    let rest = image.get(start..).unwrap_or_default();
    rest[..rest.len().min(size)].to_vec()
}

impl Faults {
    /// Orders a fault for a chunk, that many times.
    pub(super) fn order(&mut self, fault: Fault, chunk: u32, times: u32) {
        self.0.insert((fault, chunk), times);
    }

    fn take(&mut self, fault: Fault, chunk: u32) -> bool {
        match self.0.get_mut(&(fault, chunk)) {
            Some(times) if *times > 0 => {
                *times -= 1;
                true
            }
            _ => false,
        }
    }
}

/// The keys that a device must not count on in `attributes`, for `fw` and `sw`.
pub(super) fn is_package_key(key: &str, prefix: &str) -> bool {
    let known: BTreeSet<String> = stale_keys(prefix, false).into_iter().collect();
    known.contains(key)
}
