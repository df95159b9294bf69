//! What is wrong with a certificate: embedded-tls says no more than that it is invalid.

use core::fmt;

use super::der::{INTEGER, Reader, SEQUENCE};

const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Why the certificates of a broker were not accepted. If more than one thing is wrong, the first in this order is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CertificateFault {
    /// None was shown, or the broker has not proved that it is its own.
    NotProven,
    /// One that is not an authority's, or may not stand so high, has signed another.
    NotAnAuthority,
    /// It has expired, or is not valid yet. Checked with a [`Clock`](super::Clock) only.
    OutOfDate,
    /// It is for another name.
    WrongName,
    /// It does not lead to the authority that is trusted, or is of a kind that is not supported.
    UnknownAuthority,
}

impl CertificateFault {
    /// A short text, lower case.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::NotProven => "the broker has not proved to own a certificate",
            Self::NotAnAuthority => "a certificate that is not an authority's has signed another",
            Self::OutOfDate => "the certificate has expired, or is not valid yet",
            Self::WrongName => "the certificate is for another name",
            Self::UnknownAuthority => "the certificate does not lead to the trusted authority",
        }
    }
}

impl fmt::Display for CertificateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for CertificateFault {}

/// Whether `certificate`, in DER, is valid at that time. What cannot be read is.
pub(super) fn is_in_date(certificate: &[u8], now: u64) -> bool {
    validity(certificate).is_none_or(|(from, to)| (from..=to).contains(&now))
}

/// Whether `certificate` is for `name`, or for all names beside it. A look at its bytes, which may take another text for a
/// name: good enough to explain a refusal.
pub(super) fn mentions(certificate: &[u8], name: &str) -> bool {
    let has = |name: &str| {
        let same = |window: &[u8]| window.eq_ignore_ascii_case(name.as_bytes());
        !name.is_empty() && certificate.windows(name.len()).any(same)
    };
    let domain = name.find('.').and_then(|dot| name.get(dot..));
    let by_wildcard = |domain: &str| {
        let len = domain.len().saturating_add(1);
        certificate.windows(len).any(|window| {
            let (star, rest) = window.split_at(1);
            star == b"*" && rest.eq_ignore_ascii_case(domain.as_bytes())
        })
    };
    has(name) || domain.is_some_and(by_wildcard)
}

/// First and last second in which it is valid, since 1970.
fn validity(certificate: &[u8]) -> Option<(u64, u64)> {
    let mut body = Reader::new(certificate)
        .inside(SEQUENCE)?
        .inside(SEQUENCE)?;
    body.optional(VERSION);
    body.expect(INTEGER)?; // serial number
    body.expect(SEQUENCE)?; // algorithm
    body.expect(SEQUENCE)?; // issuer
    let mut validity = body.inside(SEQUENCE)?;
    Some((time(&mut validity)?, time(&mut validity)?))
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ` (RFC 5280 §4.1.2.5).
fn time(reader: &mut Reader<'_>) -> Option<u64> {
    let (tag, text) = reader.any()?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = two_digits(text)?;
            let century = if year < 50 { 2000 } else { 1900 };
            (year.saturating_add(century), rest)
        }
        GENERALIZED_TIME => {
            let (century, rest) = two_digits(text)?;
            let (year, rest) = two_digits(rest)?;
            (century.saturating_mul(100).saturating_add(year), rest)
        }
        _ => return None,
    };
    let (month, rest) = two_digits(rest)?;
    let (day, rest) = two_digits(rest)?;
    let (hour, rest) = two_digits(rest)?;
    let (minute, rest) = two_digits(rest)?;
    let (second, _) = two_digits(rest)?;
    let seconds = (hour.saturating_mul(60).saturating_add(minute))
        .saturating_mul(60)
        .saturating_add(second);
    let days = u64::from(days_since_1970(year, month, day)?);
    Some(days.saturating_mul(86_400).saturating_add(seconds.into()))
}

fn two_digits(text: &[u8]) -> Option<(u32, &[u8])> {
    let (&[tens, ones], rest) = text.split_first_chunk()?;
    if !tens.is_ascii_digit() || !ones.is_ascii_digit() {
        return None;
    }
    let digit = |byte: u8| u32::from(byte.saturating_sub(b'0'));
    Some((
        digit(tens).saturating_mul(10).saturating_add(digit(ones)),
        rest,
    ))
}

/// By the Gregorian calendar, with years that begin in March.
fn days_since_1970(year: u32, month: u32, day: u32) -> Option<u32> {
    let (year, month) = if month > 2 {
        (year, month.checked_sub(3)?)
    } else {
        (year.checked_sub(1)?, month.checked_add(9)?)
    };
    let of_years = year
        .checked_mul(365)?
        .checked_add(year / 4)?
        .checked_sub(year / 100)?
        .checked_add(year / 400)?;
    let of_months = month.checked_mul(153)?.checked_add(2)? / 5;
    // Up to 1 March 1970 they are 719,468 days, and `day` counts from 1.
    of_years
        .checked_add(of_months)?
        .checked_add(day)?
        .checked_sub(719_469)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_time_are_read() {
        let mut utc = Reader::new(b"\x17\x0d260228235959Z");
        assert_eq!(time(&mut utc), Some(1_772_323_199));
        let mut generalized = Reader::new(b"\x18\x0f20500301000000Z");
        assert_eq!(time(&mut generalized), Some(2_529_705_600));
        assert_eq!(time(&mut Reader::new(b"\x17\x0d2602282359x9Z")), None);
    }

    #[test]
    fn days_are_counted_over_leap_years() {
        assert_eq!(days_since_1970(1970, 1, 1), Some(0));
        assert_eq!(days_since_1970(2000, 2, 29), Some(11_016));
        assert_eq!(days_since_1970(2000, 3, 1), Some(11_017));
        assert_eq!(days_since_1970(2100, 3, 1), Some(47_541));
        assert_eq!(days_since_1970(1900, 1, 1), None);
    }

    #[test]
    fn a_name_is_found_as_it_is_or_by_a_wildcard() {
        let certificate = b"\x82\x0ebroker.example\x82\x0e*.site.example";
        assert!(mentions(certificate, "broker.example"));
        assert!(mentions(certificate, "Broker.Example"));
        assert!(mentions(certificate, "one.site.example"));
        assert!(!mentions(certificate, "other.example"));
        assert!(!mentions(certificate, ""));
    }
}
