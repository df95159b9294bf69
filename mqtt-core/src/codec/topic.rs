use core::fmt;

use super::text::{self, Text};
use super::{DecodeError, Reader};

/// Why a string cannot be a topic name or a topic filter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[repr(u8)]
pub enum TopicError {
    /// It has no character [MQTT-4.7.3-1].
    Empty,
    /// It has more than 65,535 bytes [MQTT-4.7.3-3].
    TooLong,
    /// It holds U+0000 [MQTT-4.7.3-2].
    Nul,
    /// A wildcard in a topic name, or one in a filter that does not stand alone in its level, or `#` before the end.
    Wildcard,
    /// `$share/` without a share name, without a filter, or with a wildcard in the name (MQTT 5 §4.8.2).
    SharedSubscription,
}

impl fmt::Display for TopicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "topic is empty",
            Self::TooLong => "topic is too long",
            Self::Nul => "topic holds U+0000",
            Self::Wildcard => "wildcard out of place",
            Self::SharedSubscription => "bad shared subscription",
        })
    }
}

impl core::error::Error for TopicError {}

/// Where a message is published: 1 to 65,535 bytes of UTF-8 without U+0000, `+` and `#`.
///
/// Checked once, when built. It is kept as bytes, so that a device which only compares topics does not
/// link the UTF-8 check of the standard library.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName<'a>(&'a [u8]);

impl<'a> TopicName<'a> {
    /// What stands in a PUBLISH whose topic alias replaces the name (MQTT 5 §3.3.2.1); no name otherwise.
    pub const EMPTY: Self = Self(b"");

    /// Checks a topic name; in a `const` this costs nothing at run time.
    ///
    /// # Errors
    ///
    /// [`TopicError`] if it is empty, too long, or holds U+0000 or a wildcard.
    pub const fn new(name: &'a str) -> Result<Self, TopicError> {
        match check(name) {
            Ok(Text::Plain) => Ok(Self(name.as_bytes())),
            Ok(_) => Err(TopicError::Wildcard),
            Err(error) => Err(error),
        }
    }

    /// The name as a string. Costs a UTF-8 check; [`as_bytes`](Self::as_bytes) and `==` are free of it.
    #[must_use]
    pub fn as_str(&self) -> &'a str {
        text::as_str(self.0)
    }

    /// The bytes of the name.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Number of bytes.
    #[must_use]
    #[allow(
        clippy::len_without_is_empty,
        reason = "only the name that a topic alias replaces is empty"
    )]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether this is the empty name of a PUBLISH with a topic alias.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes a name that may be empty; the caller knows whether an alias stands for it.
    #[inline]
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let bytes = reader.binary()?;
        Self::from_bytes(bytes)
    }

    #[inline]
    pub(crate) const fn from_bytes(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        match text::classify(bytes) {
            Text::Plain => Ok(Self(bytes)),
            Text::Wildcard => Err(DecodeError::TopicWildcard),
            Text::Invalid => Err(DecodeError::String),
        }
    }

    /// Checks bytes that are to be a topic name.
    pub(crate) const fn check(bytes: &[u8]) -> Result<(), TopicError> {
        if bytes.is_empty() {
            return Err(TopicError::Empty);
        }
        if bytes.len() > u16::MAX as usize {
            return Err(TopicError::TooLong);
        }
        match text::classify(bytes) {
            Text::Plain => Ok(()),
            Text::Wildcard => Err(TopicError::Wildcard),
            Text::Invalid => Err(TopicError::Nul),
        }
    }

    /// A name from bytes that were checked before.
    #[cfg(feature = "v5")]
    pub(crate) const fn from_checked(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

/// What a subscription asks for: 1 to 65,535 bytes of UTF-8 in which `+` stands for one level and a
/// final `#` for all that follow (MQTT 3.1.1 §4.7).
///
/// Checked once, when built, including the form `$share/name/filter` of shared subscriptions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicFilter<'a>(&'a [u8]);

impl<'a> TopicFilter<'a> {
    /// Checks a topic filter; in a `const` this costs nothing at run time.
    ///
    /// # Errors
    ///
    /// [`TopicError`] if it is empty, too long, holds U+0000, has a wildcard out of place, or is a
    /// shared subscription without name or filter.
    pub const fn new(filter: &'a str) -> Result<Self, TopicError> {
        match check(filter) {
            Ok(_) => Self::parse(filter.as_bytes()),
            Err(error) => Err(error),
        }
    }

    /// The filter as a string. Costs a UTF-8 check; [`as_bytes`](Self::as_bytes) and `==` are free of it.
    #[must_use]
    pub fn as_str(&self) -> &'a str {
        text::as_str(self.0)
    }

    /// The bytes of the filter.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Number of bytes.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a filter is never empty")]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether several clients share the subscription (`$share/name/filter`).
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        matches!(self.0.first_chunk(), Some(b"$share/"))
    }

    /// Whether a message to `topic` belongs to this subscription.
    ///
    /// A wildcard at the start does not match a topic that starts with `$` [MQTT-4.7.2-1]. A shared
    /// subscription matches what its filter does.
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        matches(self.pattern(), topic.as_bytes())
    }

    /// [`matches`](Self::matches) for a name that is at hand as a [`TopicName`].
    #[must_use]
    pub fn matches_name(&self, topic: TopicName<'_>) -> bool {
        matches(self.pattern(), topic.0)
    }

    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let bytes = reader.binary()?;
        if text::classify(bytes) == Text::Invalid {
            return Err(DecodeError::String);
        }
        if bytes.is_empty() {
            return Err(DecodeError::TopicFilter);
        }
        Self::parse(bytes).map_err(|_| DecodeError::TopicFilter)
    }

    /// Takes a filter that was checked before.
    pub(crate) fn read_checked(reader: &mut Reader<'a>) -> Option<Self> {
        reader.binary().ok().map(Self)
    }

    /// A filter from bytes that are known to be one.
    pub(crate) const fn from_checked(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The filter behind the share name.
    const fn pattern(&self) -> &'a [u8] {
        match share(self.0) {
            Some((_, pattern)) => pattern,
            None => self.0,
        }
    }

    const fn parse(filter: &'a [u8]) -> Result<Self, TopicError> {
        let pattern = match share(filter) {
            Some((name, pattern)) => {
                if name.is_empty() || pattern.is_empty() || has_wildcard(name) {
                    return Err(TopicError::SharedSubscription);
                }
                pattern
            }
            None => filter,
        };
        if wildcards_in_place(pattern) {
            Ok(Self(filter))
        } else {
            Err(TopicError::Wildcard)
        }
    }
}

macro_rules! text_traits {
    ($($name:ident)*) => {$(
        impl PartialEq<str> for $name<'_> {
            fn eq(&self, other: &str) -> bool {
                self.0 == other.as_bytes()
            }
        }

        impl PartialEq<&str> for $name<'_> {
            fn eq(&self, other: &&str) -> bool {
                self.0 == other.as_bytes()
            }
        }

        impl<'a> TryFrom<&'a str> for $name<'a> {
            type Error = TopicError;

            fn try_from(text: &'a str) -> Result<Self, TopicError> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }

        #[cfg(feature = "defmt")]
        impl defmt::Format for $name<'_> {
            fn format(&self, f: defmt::Formatter<'_>) {
                defmt::write!(f, "{=str}", self.as_str());
            }
        }
    )*};
}

text_traits!(TopicName TopicFilter);

/// The rules that names and filters share.
const fn check(topic: &str) -> Result<Text, TopicError> {
    if topic.is_empty() {
        return Err(TopicError::Empty);
    }
    if topic.len() > u16::MAX as usize {
        return Err(TopicError::TooLong);
    }
    match text::classify(topic.as_bytes()) {
        Text::Invalid => Err(TopicError::Nul),
        text => Ok(text),
    }
}

/// Share name and filter of a shared subscription.
const fn share(filter: &[u8]) -> Option<(&[u8], &[u8])> {
    let Some((b"$share/", rest)) = filter.split_first_chunk::<7>() else {
        return None;
    };
    let mut at = 0;
    let mut tail = rest;
    while let Some((&byte, after)) = tail.split_first() {
        if byte == b'/' {
            return match rest.split_at_checked(at) {
                Some((name, _)) => Some((name, after)),
                None => None,
            };
        }
        tail = after;
        at = usize::wrapping_add(at, 1);
    }
    Some((rest, b""))
}

const fn has_wildcard(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some((&byte, tail)) = rest.split_first() {
        if matches!(byte, b'+' | b'#') {
            return true;
        }
        rest = tail;
    }
    false
}

/// Whether each wildcard fills its level and `#` is the last one [MQTT-4.7.1-2] [MQTT-4.7.1-3].
const fn wildcards_in_place(filter: &[u8]) -> bool {
    let mut rest = filter;
    let mut before = b'/';
    while let Some((&byte, tail)) = rest.split_first() {
        let stands_alone = before == b'/' && matches!(tail.first(), None | Some(b'/'));
        if matches!(byte, b'+' | b'#') && !stands_alone || byte == b'#' && !tail.is_empty() {
            return false;
        }
        before = byte;
        rest = tail;
    }
    true
}

fn matches(filter: &[u8], topic: &[u8]) -> bool {
    if topic.first() == Some(&b'$') && matches!(filter.first(), Some(b'+' | b'#')) {
        return false;
    }
    let mut levels = topic.split(|byte| *byte == b'/');
    for pattern in filter.split(|byte| *byte == b'/') {
        if pattern == b"#" {
            return true;
        }
        match levels.next() {
            Some(level) if pattern == b"+" || pattern == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}
