//! Positions, as Losant's attributes of the type "GPS String" take them.

use serde::{Serialize, Serializer};

use crate::{codec::Writer, json::write_i32};

/// A position in decimal degrees: `"37.3323314,-122.0312186"`. Ready for the data of a report.
///
/// ```
/// use mqtt_core::platform::losant::Position;
///
/// // A receiver counts in units of 10^-7 degrees.
/// let position = Position::from_e7(373_323_314, -1_220_312_186).ok_or("not on Earth")?;
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Position {
    latitude_e7: i32,
    longitude_e7: i32,
}

/// A position in degrees, minutes and seconds: `"37°19'56.39"N,122°1'52.38"W"`. Ready for the data of a report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SexagesimalPosition {
    latitude: Angle,
    longitude: Angle,
}

/// A sentence of a GPS receiver, `$GPGLL,..` or `$GPGGA,..`. Ready for the data of a report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NmeaSentence<'a>(&'a str);

/// A sign, degrees, minutes, and hundredths of seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Angle {
    negative: bool,
    degrees: u8,
    minutes: u8,
    seconds_e2: u16,
}

const DEGREE_E7: i32 = 10_000_000;

impl Position {
    /// From units of 10^-7 degrees (about a centimetre), north and east positive.
    ///
    /// `None` beyond 90 degrees of latitude or 180 degrees of longitude.
    #[must_use]
    pub const fn from_e7(latitude: i32, longitude: i32) -> Option<Self> {
        const RIGHT_ANGLE: u32 = 90 * DEGREE_E7 as u32;
        const HALF_TURN: u32 = 180 * DEGREE_E7 as u32;
        if latitude.unsigned_abs() > RIGHT_ANGLE || longitude.unsigned_abs() > HALF_TURN {
            return None;
        }
        Some(Self {
            latitude_e7: latitude,
            longitude_e7: longitude,
        })
    }

    /// The same in degrees, minutes and seconds, rounded down to a hundredth of a second (30 centimetres).
    #[must_use]
    pub const fn sexagesimal(self) -> SexagesimalPosition {
        SexagesimalPosition {
            latitude: Angle::from_e7(self.latitude_e7),
            longitude: Angle::from_e7(self.longitude_e7),
        }
    }
}

impl<'a> NmeaSentence<'a> {
    /// Takes a sentence of the kind GLL or GGA, from any talker, with or without line end.
    ///
    /// `None` if it is of another kind, has no checksum, or a wrong one.
    #[must_use]
    pub fn new(sentence: &'a str) -> Option<Self> {
        let sentence = sentence.trim_ascii_end();
        let (fields, checksum) = sentence.strip_prefix('$')?.split_once('*')?;
        let ([_, _, b'G', b'L', b'L', b',', ..] | [_, _, b'G', b'G', b'A', b',', ..]) =
            fields.as_bytes()
        else {
            return None;
        };
        let sum = fields.bytes().fold(0, |sum, byte| sum ^ byte);
        let is_right = checksum.len() == 2 && u8::from_str_radix(checksum, 16) == Ok(sum);
        is_right.then_some(Self(sentence))
    }
}

impl Angle {
    const fn from_e7(angle: i32) -> Self {
        let magnitude = angle.unsigned_abs();
        let degrees = magnitude / 10_000_000;
        // 60 * 10^7 fits, and so does 36 * 10^7 / 6 * 10 for the hundredths of seconds.
        let minutes_e7 = (magnitude % 10_000_000).wrapping_mul(60);
        let minutes = minutes_e7 / 10_000_000;
        let seconds_e2 = (minutes_e7 % 10_000_000).wrapping_mul(6) / 10_000;
        Self {
            negative: angle < 0,
            degrees: low_byte(degrees),
            minutes: low_byte(minutes),
            seconds_e2: low_half(seconds_e2),
        }
    }

    /// As a JSON string has it, with its quote escaped.
    fn write(self, out: &mut Writer<'_>, positive: u8, negative: u8) -> Option<()> {
        write_i32(out, i32::from(self.degrees), 0).ok()?;
        out.bytes("°".as_bytes()).ok()?;
        write_i32(out, i32::from(self.minutes), 0).ok()?;
        out.u8(b'\'').ok()?;
        write_i32(out, i32::from(self.seconds_e2), 2).ok()?;
        out.bytes(br#"\""#).ok()?;
        out.u8(if self.negative { negative } else { positive }).ok()
    }
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let write = |out: &mut Writer<'_>| {
            write_i32(out, self.latitude_e7, 7).ok()?;
            out.u8(b',').ok()?;
            write_i32(out, self.longitude_e7, 7).ok()
        };
        serialize_quoted(write, serializer)
    }
}

impl Serialize for NmeaSentence<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

impl Serialize for SexagesimalPosition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let write = |out: &mut Writer<'_>| {
            self.latitude.write(out, b'N', b'S')?;
            out.u8(b',').ok()?;
            self.longitude.write(out, b'E', b'W')
        };
        serialize_quoted(write, serializer)
    }
}

/// Quotes what is written, and passes it on as it is.
fn serialize_quoted<S: Serializer>(
    write: impl FnOnce(&mut Writer<'_>) -> Option<()>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut text = [0; LEN];
    let mut out = Writer::new(&mut text);
    let written = out.u8(b'"').is_ok() && write(&mut out).is_some() && out.u8(b'"').is_ok();
    let len = if written { out.len() } else { 0 };
    serializer.serialize_bytes(text.get(..len).unwrap_or_default())
}

/// `"89°59'59.99\"N,179°59'59.99\"W"`.
const LEN: usize = 34;

const fn low_byte(value: u32) -> u8 {
    let [.., low] = value.to_be_bytes();
    low
}

const fn low_half(value: u32) -> u16 {
    let [.., high, low] = value.to_be_bytes();
    u16::from_be_bytes([high, low])
}
