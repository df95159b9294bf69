//! Dates in commands.

use serde::{Deserialize, Deserializer};

use crate::platform::{deserialize, json::RawJson};

/// A moment, in milliseconds since 1970 in UTC.
///
/// In commands it comes as `{"$date":"2016-11-04T19:42:06.710Z"}`, with a number of milliseconds instead of the string,
/// or with `{"$numberLong":"1478288526710"}`:
///
/// ```
/// use mqtt_core::platform::losant::{self, Date};
///
/// #[derive(serde::Deserialize)]
/// struct Schedule { when: Date }
///
/// let device = losant::Device::new("575ecf887ae143cd83dc4aa2")?;
/// let payload = br#"{"name":"at","payload":{"when":{"$date":"2016-11-04T19:42:06.710Z"}}}"#;
/// let message = ("losant/575ecf887ae143cd83dc4aa2/command", &payload[..]);
///
/// let command = device.command(message)?.ok_or("no command")?;
/// let schedule: Schedule = command.payload()?;
/// assert_eq!(schedule.when, Date(1_478_288_526_710));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Date(
    /// The milliseconds.
    pub i64,
);

impl Date {
    /// Reads any form in which Losant writes a date, and a bare number of milliseconds.
    #[must_use]
    pub fn from_json(value: RawJson<'_>) -> Option<Self> {
        let date = value.member("$date").unwrap_or(value);
        if let Some(millis) = date.integer() {
            return Some(Self(millis));
        }
        if let Some(long) = date.member("$numberLong") {
            let digits = RawJson::parse(long.string()?.raw()).ok()?;
            return digits.integer().map(Self);
        }
        Self::from_iso(date.string()?.as_str()?)
    }

    /// Reads an ISO 8601 date with time: `2016-11-04T19:42:06.710Z`.
    ///
    /// Years 1 to 9999. Seconds may be left out or have any number of decimals, of which three count. The offset is `Z` or
    /// `+01:00`; without it the time is taken as UTC.
    #[must_use]
    pub fn from_iso(text: &str) -> Option<Self> {
        let mut rest = Digits(text.as_bytes());
        let year = rest.number(4)?;
        rest.expect(b'-')?;
        let month = rest.number(2)?;
        rest.expect(b'-')?;
        let day = rest.number(2)?;
        rest.expect(b'T')?;
        let hours = rest.number(2)?;
        rest.expect(b':')?;
        let minutes = rest.number(2)?;
        let (seconds, millis) = rest.seconds()?;
        let offset_minutes = rest.offset()?;
        let is_legal = year >= 1
            && (1..=days_of_month(year, month)).contains(&day)
            && hours <= 23
            && minutes <= 59
            // A leap second counts as the first of the next minute.
            && seconds <= 60;
        if !is_legal || !rest.0.is_empty() {
            return None;
        }
        let minutes = minutes.checked_sub(offset_minutes)?;
        let days = i64::from(days_since_1970(year, month, day));
        let units = [(24, hours), (60, minutes), (60, seconds), (1000, millis)];
        let add = |sum: i64, (factor, more)| sum.checked_mul(factor)?.checked_add(i64::from(more));
        units.into_iter().try_fold(days, add).map(Self)
    }
}

/// As [`from_json`](Date::from_json) does; with the methods of [`RawJson`] only.
impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize::from_raw(deserializer, "a date", Self::from_json)
    }
}

/// What is left of a text.
struct Digits<'a>(&'a [u8]);

impl Digits<'_> {
    /// Takes exactly `len` digits.
    fn number(&mut self, len: usize) -> Option<i32> {
        let (digits, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        digits.iter().try_fold(0i32, |value, digit| {
            let digit = digit.checked_sub(b'0').filter(|digit| *digit <= 9)?;
            value.checked_mul(10)?.checked_add(i32::from(digit))
        })
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.0 = self.0.strip_prefix(&[byte])?;
        Some(())
    }

    /// Seconds and milliseconds, if there are any.
    fn seconds(&mut self) -> Option<(i32, i32)> {
        if self.expect(b':').is_none() {
            return Some((0, 0));
        }
        let seconds = self.number(2)?;
        if self.expect(b'.').is_none() {
            return Some((seconds, 0));
        }
        let mut millis = self.number(1)?;
        for _ in 1..3 {
            let digit = self.number_if_any().unwrap_or(0);
            millis = millis.checked_mul(10)?.checked_add(digit)?;
        }
        while self.number_if_any().is_some() {}
        Some((seconds, millis))
    }

    fn number_if_any(&mut self) -> Option<i32> {
        let is_digit = self.0.first().is_some_and(u8::is_ascii_digit);
        if is_digit { self.number(1) } else { None }
    }

    /// Minutes ahead of UTC.
    fn offset(&mut self) -> Option<i32> {
        let Some((&sign, rest)) = self.0.split_first() else {
            return Some(0);
        };
        self.0 = rest;
        if sign == b'Z' {
            return Some(0);
        }
        let hours = self.number(2)?;
        // The basic form leaves the colon out.
        let _ = self.expect(b':');
        let minutes = hours.checked_mul(60)?.checked_add(self.number(2)?)?;
        match sign {
            b'+' => Some(minutes),
            b'-' => minutes.checked_neg(),
            _ => None,
        }
    }
}

const fn is_leap(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// 0 for a month that does not exist.
const fn days_of_month(year: i32, month: i32) -> i32 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 0,
    }
}

/// Of a legal date from year 1 on.
fn days_since_1970(year: i32, month: i32, day: i32) -> i32 {
    // A year that begins in March has its leap day at the end, and months in a pattern of 153 days for five.
    let shifted = month.wrapping_add(9) % 12;
    let year = year.wrapping_sub(i32::from(month <= 2));
    let leap_days = (year / 4).wrapping_sub(year / 100).wrapping_add(year / 400);
    let days_before_month = shifted.wrapping_mul(153).wrapping_add(2) / 5;
    year.wrapping_mul(365)
        .wrapping_add(leap_days)
        .wrapping_add(days_before_month)
        .wrapping_add(day)
        .wrapping_sub(719_469)
}
