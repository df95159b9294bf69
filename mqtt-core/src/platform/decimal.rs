//! Numbers with decimals, without floating point.

use serde::{Serialize, Serializer};

use super::json::{divide_by_ten, limbs};

/// A number with a fixed count of decimals: `Decimal::<2>::new(2150)` is 21.50.
///
/// Made for readings of sensors, which are integers in a small unit: tenths of a degree, millivolts. It is written as a
/// JSON number without any floating point, so neither its formatting (about 10 KB of flash) nor its run-time are
/// linked; with `i32`, the default, nor is 64-bit division. `i64` is written with 32-bit division only.
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
/// It serializes as a number with [`write_json`](crate::write_json), which every publication here uses. JSON serializers
/// know no other exact decimals than their own, so elsewhere it appears as the bytes of its text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Decimal<const DECIMALS: u8, M = i32>(M);

impl<const DECIMALS: u8, M: Mantissa> Decimal<DECIMALS, M> {
    /// The number `mantissa` / 10^`DECIMALS`.
    #[must_use]
    pub const fn new(mantissa: M) -> Self {
        const { assert!(DECIMALS <= MAX_DECIMALS, "at most 19 decimals") };
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
    pub fn from_json(number: &str) -> Option<Self> {
        parse(number.as_bytes(), DECIMALS)
            .and_then(M::from_i64)
            .map(Self)
    }
}

impl<const DECIMALS: u8, M: Mantissa> Serialize for Decimal<DECIMALS, M> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Written as they are by `serde-json-core`.
        serializer.serialize_bytes(Text::of_number(self.0, DECIMALS).as_bytes())
    }
}

/// `i32` or `i64`: what a [`Decimal`] counts its smallest unit with.
pub trait Mantissa: Copy + Digits {}

impl Mantissa for i32 {}
impl Mantissa for i64 {}

mod sealed {
    /// Gives its decimal digits, the last one first.
    #[allow(unnameable_types, reason = "sealed")]
    pub trait Digits: Sized {
        /// What is left of the magnitude.
        type Rest;

        fn is_negative(self) -> bool;
        fn magnitude(self) -> Self::Rest;
        fn take_digit(rest: &mut Self::Rest) -> u8;
        fn is_zero(rest: &Self::Rest) -> bool;
        fn from_i64(value: i64) -> Option<Self>;
    }
}

pub(crate) use sealed::Digits;

impl Digits for i32 {
    type Rest = u32;

    fn is_negative(self) -> bool {
        self < 0
    }

    fn magnitude(self) -> u32 {
        self.unsigned_abs()
    }

    fn take_digit(rest: &mut u32) -> u8 {
        let digit = *rest % 10;
        *rest /= 10;
        low_byte(digit)
    }

    fn is_zero(rest: &u32) -> bool {
        *rest == 0
    }

    fn from_i64(value: i64) -> Option<Self> {
        Self::try_from(value).ok()
    }
}

impl Digits for i64 {
    type Rest = [u16; 4];

    fn is_negative(self) -> bool {
        self < 0
    }

    fn magnitude(self) -> [u16; 4] {
        limbs(self.unsigned_abs())
    }

    fn take_digit(rest: &mut [u16; 4]) -> u8 {
        divide_by_ten(rest)
    }

    fn is_zero(rest: &[u16; 4]) -> bool {
        *rest == [0; 4]
    }

    fn from_i64(value: i64) -> Option<Self> {
        Some(value)
    }
}

/// 10^19 is the highest power of ten in 64 bits.
const MAX_DECIMALS: u8 = 19;

/// Sign, one digit, point and 19 digits, or sign, 19 digits and point.
const LEN: usize = 22;

/// The text of a number, written from its end.
pub(crate) struct Text {
    bytes: [u8; LEN],
    start: usize,
}

impl Text {
    /// An integer, or with decimals a number with a point.
    pub(crate) fn of_number<D: Digits + Copy>(number: D, decimals: u8) -> Self {
        let mut text = Self {
            bytes: [0; LEN],
            start: LEN,
        };
        let mut rest = number.magnitude();
        let mut to_point = decimals;
        loop {
            text.push_front(b'0' | D::take_digit(&mut rest));
            if to_point > 0 {
                to_point = to_point.wrapping_sub(1);
                if to_point == 0 {
                    text.push_front(b'.');
                    // One digit stands before the point.
                    text.push_front(b'0' | D::take_digit(&mut rest));
                }
            }
            if to_point == 0 && D::is_zero(&rest) {
                break;
            }
        }
        if number.is_negative() {
            text.push_front(b'-');
        }
        text
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    fn push_front(&mut self, byte: u8) {
        self.start = self.start.wrapping_sub(1);
        if let Some(place) = self.bytes.get_mut(self.start) {
            *place = byte;
        }
    }
}

const fn low_byte(value: u32) -> u8 {
    let [.., low] = value.to_be_bytes();
    low
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
