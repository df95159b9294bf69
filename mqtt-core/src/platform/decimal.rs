//! Numbers with decimals, without floating point.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{deserialize, json::RawJson};
use crate::json::DECIMAL;

/// A number with a fixed count of decimals: `Decimal::<2>::new(2150)` is 21.50.
///
/// Made for readings of sensors, which are integers in a small unit: tenths of a degree, millivolts. It is written as a
/// JSON number without any floating point and without division, so the routines for those (10 KB of flash, on a small
/// processor) are not linked.
///
/// ```
/// use mqtt_core::{Message, platform::Decimal};
///
/// #[derive(serde::Serialize)]
/// struct Reading { celsius: Decimal<2>, metres: Decimal<3, i64> }
///
/// let reading = Reading { celsius: Decimal::new(-150), metres: Decimal::new(12_345_678_901) };
/// let publication = Message::new("dw/demo", b"").json(&reading);
/// // {"celsius":-1.50,"metres":12345678.901}
/// # use mqtt_core::{Publication as _, codec::Writer};
/// # let mut out = [0; 64];
/// # let mut payload = Writer::new(&mut out);
/// # publication.write_payload(&mut payload)?;
/// # let len = payload.len();
/// # assert_eq!(&out[..len], br#"{"celsius":-1.50,"metres":12345678.901}"#);
/// # Ok::<(), mqtt_core::codec::EncodeError>(())
/// ```
///
/// All decimals are written, the zeros at the end too. At most 19 decimals; more do not compile.
///
/// It serializes as a number with [`write_json`](crate::write_json), which every publication here uses. Other serializers
/// know no exact decimals: there it appears as an enum, 21.50 as `{"e-2":2150}`. What a server sends is read the same way, in
/// the types of an application too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Decimal<const DECIMALS: u8, M = i32>(M);

impl<const DECIMALS: u8, M: Mantissa> Decimal<DECIMALS, M> {
    /// The number `mantissa` / 10^`DECIMALS`.
    #[must_use]
    pub const fn new(mantissa: M) -> Self {
        const { assert!(DECIMALS < 20, "at most 19 decimals") };
        Self(mantissa)
    }

    /// The number times 10^`DECIMALS`.
    #[must_use]
    pub const fn mantissa(self) -> M {
        self.0
    }

    /// Reads a JSON number: `-1.5`, `2e3`.
    ///
    /// `None` if it is not one, or does not fit. Decimals beyond `DECIMALS` are cut off.
    #[must_use]
    pub fn from_json(number: RawJson<'_>) -> Option<Self> {
        Self::read(number.number()?)
    }

    /// Reads a number in the form of JSON, as [`from_json`](Self::from_json) does.
    #[must_use]
    pub fn parse(number: &str) -> Option<Self> {
        Self::read(number.as_bytes())
    }

    fn read(number: &[u8]) -> Option<Self> {
        parse(number, DECIMALS)
            .and_then(|mantissa| M::try_from(mantissa).ok())
            .map(Self)
    }
}

impl<const DECIMALS: u8, M: Mantissa> Serialize for Decimal<DECIMALS, M> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_variant(
            DECIMAL,
            u32::from(DECIMALS),
            exponent_name(DECIMALS),
            &self.0,
        )
    }
}

/// Reads any JSON number, as [`from_json`](Decimal::from_json) does; with the methods of [`RawJson`] only.
impl<'de, const DECIMALS: u8, M: Mantissa> Deserialize<'de> for Decimal<DECIMALS, M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize::from_raw(deserializer, "a number", Self::from_json)
    }
}

/// `i32` or `i64`: what a [`Decimal`] counts its smallest unit with.
pub trait Mantissa: Copy + Serialize + TryFrom<i64> + sealed::Integer {}

impl Mantissa for i32 {}
impl Mantissa for i64 {}

mod sealed {
    #[allow(unnameable_types, reason = "sealed")]
    pub trait Integer {}

    impl Integer for i32 {}
    impl Integer for i64 {}
}

/// What other serializers see.
const fn exponent_name(decimals: u8) -> &'static str {
    match decimals {
        0 => "e0",
        1 => "e-1",
        2 => "e-2",
        3 => "e-3",
        4 => "e-4",
        5 => "e-5",
        6 => "e-6",
        7 => "e-7",
        8 => "e-8",
        9 => "e-9",
        10 => "e-10",
        11 => "e-11",
        12 => "e-12",
        13 => "e-13",
        14 => "e-14",
        15 => "e-15",
        16 => "e-16",
        17 => "e-17",
        18 => "e-18",
        _ => "e-19",
    }
}

/// A JSON number times 10^`decimals`.
fn parse(number: &[u8], decimals: u8) -> Option<i64> {
    let (negative, rest) = match number.split_first()? {
        (b'-', rest) => (true, rest),
        _ => (false, number),
    };
    let (whole, rest) = take_digits(rest);
    if whole.is_empty() || whole.len() > 1 && whole.first() == Some(&b'0') {
        return None;
    }
    let (fraction, rest) = match rest.split_first() {
        Some((b'.', rest)) => match take_digits(rest) {
            ([], _) => return None,
            parts => parts,
        },
        _ => (&[][..], rest),
    };
    // The point moves right by this many digits.
    let shift = exponent(rest)?.saturating_add(i32::from(decimals));
    let len = i32::try_from(whole.len()).ok()?.saturating_add(shift);
    let digits = whole.iter().chain(fraction);
    let mut value = 0i64;
    // Past the digits come zeros; they change only what is not zero.
    let mut taken = 0;
    for digit in digits {
        if taken >= len {
            break;
        }
        value = append(value, *digit, negative)?;
        taken = taken.saturating_add(1);
    }
    while taken < len && value != 0 {
        value = append(value, b'0', negative)?;
        taken = taken.saturating_add(1);
    }
    Some(value)
}

/// A digit more at the end. Negative numbers grow downwards, so that the lowest one can be read.
fn append(value: i64, digit: u8, negative: bool) -> Option<i64> {
    let digit = i64::from(digit & 0x0f);
    let value = value.checked_mul(10)?;
    if negative {
        value.checked_sub(digit)
    } else {
        value.checked_add(digit)
    }
}

/// What stands behind the digits: nothing, or an exponent. One too long to be meant is taken as the largest.
fn exponent(rest: &[u8]) -> Option<i32> {
    let rest = match rest.split_first() {
        None => return Some(0),
        Some((b'e' | b'E', rest)) => rest,
        Some(_) => return None,
    };
    let (negative, rest) = match rest.split_first()? {
        (b'-', rest) => (true, rest),
        (b'+', rest) => (false, rest),
        _ => (false, rest),
    };
    let (digits, []) = take_digits(rest) else {
        return None;
    };
    if digits.is_empty() {
        return None;
    }
    let magnitude = digits.iter().fold(0i32, |value, digit| {
        value
            .saturating_mul(10)
            .saturating_add(i32::from(digit & 0x0f))
    });
    Some(if negative {
        magnitude.saturating_neg()
    } else {
        magnitude
    })
}

fn take_digits(bytes: &[u8]) -> (&[u8], &[u8]) {
    let len = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    bytes.split_at_checked(len).unwrap_or((bytes, &[]))
}
