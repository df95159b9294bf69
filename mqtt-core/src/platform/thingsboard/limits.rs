//! The limits of a session, and how to keep them.

use crate::{Instant, platform::json::RawJson};

use super::{BadPayload, RpcResponse, topics::number};

/// What the server allows this session, as it answers to
/// [`session_limits_request`](super::Device::session_limits_request).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct SessionLimits<'a> {
    /// Bytes of topic, identifier and payload together.
    pub max_payload_size: Option<u32>,
    /// Messages without acknowledgement.
    pub max_inflight_messages: Option<u16>,
    /// The rates of a device; for a gateway, those of each device behind it.
    pub rates: Rates<'a>,
    /// The rates of a gateway.
    pub gateway_rates: Option<Rates<'a>>,
}

/// Rates as the server writes them: `200:1,6000:60` for 200 in a second and 6,000 in a minute. `None` for no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Rates<'a> {
    /// Messages of any kind.
    pub messages: Option<&'a str>,
    /// Messages with telemetry.
    pub telemetry_messages: Option<&'a str>,
    /// Values in them.
    pub telemetry_data_points: Option<&'a str>,
}

impl<'a> RpcResponse<'a> {
    /// Reads the limits of the session, if this answers a request for them.
    ///
    /// # Errors
    ///
    /// [`BadPayload`] if it does not.
    pub fn session_limits(&self) -> Result<SessionLimits<'a>, BadPayload> {
        let bad = |name| BadPayload::member(Some(self.id), name);
        let rates = self.value.member("rateLimits").ok_or(bad("rateLimits"))?;
        Ok(SessionLimits {
            max_payload_size: integer(self.value, "maxPayloadSize"),
            max_inflight_messages: integer(self.value, "maxInflightMessages"),
            rates: Rates::read(rates),
            gateway_rates: self.value.member("gatewayRateLimits").map(Rates::read),
        })
    }
}

impl<'a> Rates<'a> {
    fn read(rates: RawJson<'a>) -> Self {
        // Null, empty and missing all mean that there is no limit.
        let rate = |name| {
            let rate = rates.member(name)?.string()?.as_str()?;
            (!rate.is_empty()).then_some(rate)
        };
        Self {
            messages: rate("messages"),
            telemetry_messages: rate("telemetryMessages"),
            telemetry_data_points: rate("telemetryDataPoints"),
        }
    }
}

fn integer<T: TryFrom<i64>>(object: RawJson<'_>, name: &str) -> Option<T> {
    object.member(name)?.integer()
}

/// Keeps a device below the server's rates: who exceeds them is disconnected.
///
/// It uses 80 % of what is allowed, as the official SDK does, since the server counts what we cannot see. A message that
/// is refused here can be kept and sent later.
///
/// ```
/// use mqtt_core::{Instant, platform::thingsboard::{RateLimiter, Rates, Traffic}};
///
/// let rates = Rates { messages: Some("10:1,300:60"), ..Rates::default() };
/// let mut limiter = RateLimiter::new(&rates)?;
/// let now = Instant::from_millis(0);
/// for _ in 0..8 {
///     assert_eq!(limiter.try_send(Traffic::Other, now), Ok(()));
/// }
/// assert_eq!(limiter.try_send(Traffic::Other, now), Err(now.plus(125)));
/// # Ok::<(), mqtt_core::platform::thingsboard::BadRate>(())
/// ```
#[derive(Clone, Debug)]
pub struct RateLimiter {
    messages: Rate,
    telemetry_messages: Rate,
    telemetry_data_points: Rate,
}

/// What is about to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Traffic {
    /// Telemetry with so many values.
    Telemetry {
        /// Pairs of key and value in the message.
        data_points: u16,
    },
    /// Anything else.
    Other,
}

/// A rate is not written as it should be, or has more than four parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BadRate;

impl core::fmt::Display for BadRate {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("bad rate limit")
    }
}

impl core::error::Error for BadRate {}

impl RateLimiter {
    /// A limiter for these rates, with nothing sent yet.
    ///
    /// # Errors
    ///
    /// [`BadRate`].
    pub fn new(rates: &Rates<'_>) -> Result<Self, BadRate> {
        Ok(Self {
            messages: Rate::parse(rates.messages)?,
            telemetry_messages: Rate::parse(rates.telemetry_messages)?,
            telemetry_data_points: Rate::parse(rates.telemetry_data_points)?,
        })
    }

    /// Counts a message that is about to be sent.
    ///
    /// # Errors
    ///
    /// It would exceed a rate, and was not counted: not before the returned instant. A message of more values than a rate
    /// ever allows is let through when nothing else was sent for as long.
    pub fn try_send(&mut self, traffic: Traffic, now: Instant) -> Result<(), Instant> {
        let (telemetry_messages, data_points) = match traffic {
            Traffic::Telemetry { data_points } => (1, data_points),
            Traffic::Other => (0, 0),
        };
        let counts = [1, telemetry_messages, data_points];
        let late = self
            .rates()
            .into_iter()
            .zip(counts)
            .filter_map(|(rate, count)| rate.wait_ms(count, now))
            .max();
        if let Some(wait_ms) = late {
            return Err(now.plus(wait_ms));
        }
        for (rate, count) in self.rates().into_iter().zip(counts) {
            rate.count(count, now);
        }
        Ok(())
    }

    fn rates(&mut self) -> [&mut Rate; 3] {
        [
            &mut self.messages,
            &mut self.telemetry_messages,
            &mut self.telemetry_data_points,
        ]
    }
}

/// All parts of one rate.
#[derive(Clone, Debug, Default)]
struct Rate([Option<Window>; 4]);

impl Rate {
    fn parse(rate: Option<&str>) -> Result<Self, BadRate> {
        let mut windows = Self::default();
        let mut places = windows.0.iter_mut();
        for part in rate
            .into_iter()
            .flat_map(|rate| rate.as_bytes().split(|byte| *byte == b','))
        {
            *places.next().ok_or(BadRate)? = Some(Window::parse(part).ok_or(BadRate)?);
        }
        Ok(windows)
    }

    /// How long `count` more have to wait, if at all.
    fn wait_ms(&self, count: u16, now: Instant) -> Option<u32> {
        let windows = self.0.iter().flatten();
        windows
            .filter_map(|window| window.wait_ms(count, now))
            .max()
    }

    fn count(&mut self, count: u16, now: Instant) {
        for window in self.0.iter_mut().flatten() {
            window.count(count, now);
        }
    }
}

/// So many in so much time. Each takes its share of the time; what was sent has taken some of the time to come, up to
/// `period_ms` of it.
#[derive(Clone, Debug)]
struct Window {
    share_ms: u32,
    /// The rest of the share, in 65,536ths of a millisecond.
    share_fraction: u16,
    period_ms: u32,
    /// When all that was sent has had its time; `None` before anything was.
    free_at: Option<Instant>,
    free_at_fraction: u16,
}

impl Window {
    /// Reads `count:seconds`. Ten days are the longest time that is counted.
    fn parse(text: &[u8]) -> Option<Self> {
        let colon = text.iter().position(|byte| *byte == b':')?;
        let (count, seconds) = text.split_at_checked(colon)?;
        let count = number(count).filter(|count| *count > 0)?;
        let seconds = number(seconds.strip_prefix(b":")?).filter(|seconds| *seconds > 0)?;
        let period_ms = seconds.min(10 * 86_400).saturating_mul(1_000);
        let allowed = count.saturating_sub(count / 5);
        Some(Self {
            share_ms: period_ms.checked_div(allowed)?,
            share_fraction: fraction(period_ms.checked_rem(allowed)?, allowed),
            period_ms,
            free_at: None,
            free_at_fraction: 0,
        })
    }

    fn wait_ms(&self, count: u16, now: Instant) -> Option<u32> {
        let (taken_ms, fraction) = self.taken(now);
        // What is larger than the window itself waits until that is empty.
        let room_ms = self
            .period_ms
            .saturating_sub(self.share_of(count, fraction).0);
        taken_ms
            .checked_sub(room_ms)
            .filter(|wait_ms| count > 0 && *wait_ms > 0)
    }

    fn count(&mut self, count: u16, now: Instant) {
        let (taken_ms, fraction) = self.taken(now);
        let (more_ms, fraction) = self.share_of(count, fraction);
        // Nobody pays for more than two windows.
        let taken_ms = taken_ms
            .saturating_add(more_ms)
            .min(self.period_ms.saturating_mul(2));
        self.free_at = Some(now.plus(taken_ms));
        self.free_at_fraction = fraction;
    }

    /// The time that `count` take, with `fraction` added.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the lower half is what is wanted"
    )]
    fn share_of(&self, count: u16, fraction: u16) -> (u32, u16) {
        let fractions = u32::from(self.share_fraction)
            .saturating_mul(u32::from(count))
            .saturating_add(u32::from(fraction));
        let ms = self.share_ms.saturating_mul(u32::from(count));
        (ms.saturating_add(fractions >> 16), fractions as u16)
    }

    /// How much of the time to come is taken.
    fn taken(&self, now: Instant) -> (u32, u16) {
        let Some(free_at) = self.free_at else {
            return (0, 0);
        };
        let taken_ms = free_at.since(now);
        // What cannot lie in the future lies in the past.
        if taken_ms <= self.period_ms.saturating_mul(2) {
            (taken_ms, self.free_at_fraction)
        } else {
            (0, 0)
        }
    }
}

/// `part` of `whole` in 65,536ths, rounded up; `part` is the smaller one.
fn fraction(part: u32, whole: u32) -> u16 {
    let shift = 16_u32.saturating_sub(part.leading_zeros());
    let (part, whole) = (part >> shift, whole >> shift);
    let fraction = (part << 16).div_ceil(whole.max(1));
    u16::try_from(fraction).unwrap_or(u16::MAX)
}
