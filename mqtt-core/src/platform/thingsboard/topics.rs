//! The topics of a device, in both spellings.

use crate::codec::{QoS, Subscription, TopicFilter};

/// Which of its topic names the device uses.
///
/// All mean the same. The server remembers one spelling per function and session, the one that was used last, so keep
/// to one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Topics {
    /// `v1/devices/me/telemetry` and so on, which every server knows. The default.
    #[default]
    V1,
    /// The short ones, `v2/t` and so on: 19 bytes less in each message of telemetry.
    V2,
    /// The short ones that stand for JSON, `v2/t/j` and so on, whatever the device profile says.
    V2Json,
}

/// A spelling of each function. One `const fn` each: what is not used is not linked.
macro_rules! spellings {
    ($($(#[$doc:meta])* $name:ident: $v1:literal, $v2:literal, $v2_json:literal;)*) => {
        impl Topics {
            $($(#[$doc])*
            pub(super) const fn $name(self) -> &'static str {
                match self {
                    Self::V1 => $v1,
                    Self::V2 => $v2,
                    Self::V2Json => $v2_json,
                }
            })*
        }
    };
}

spellings! {
    telemetry: "v1/devices/me/telemetry", "v2/t", "v2/t/j";
    attributes: "v1/devices/me/attributes", "v2/a", "v2/a/j";
    attribute_request: "v1/devices/me/attributes/request/", "v2/a/req/", "v2/a/req/j/";
    attribute_response: "v1/devices/me/attributes/response/", "v2/a/res/", "v2/a/res/j/";
    /// Down: the server calls. Up: the device calls.
    rpc_request: "v1/devices/me/rpc/request/", "v2/r/req/", "v2/r/req/j/";
    /// Up: the device answers. Down: the server answers.
    rpc_response: "v1/devices/me/rpc/response/", "v2/r/res/", "v2/r/res/j/";
    attribute_response_filter:
        "v1/devices/me/attributes/response/+", "v2/a/res/+", "v2/a/res/j/+";
    rpc_request_filter: "v1/devices/me/rpc/request/+", "v2/r/req/+", "v2/r/req/j/+";
    rpc_response_filter: "v1/devices/me/rpc/response/+", "v2/r/res/+", "v2/r/res/j/+";
}

/// A subscription at QoS 1 to a filter known to be legal.
pub(super) const fn subscription(filter: &'static str) -> Subscription<'static> {
    match TopicFilter::new(filter) {
        Ok(filter) => Subscription::new(filter, QoS::AtLeastOnce),
        // Never: the filters of this module are legal, which the tests show.
        Err(_) => subscription("/"),
    }
}

/// What follows `prefix` in `topic`, or the spelling of it that every server may use.
pub(super) fn number_behind(topic: &[u8], spelling: &str, v1: &str) -> Option<u32> {
    let rest = topic
        .strip_prefix(spelling.as_bytes())
        .filter(|rest| rest.first().is_some_and(u8::is_ascii_digit))
        .or_else(|| topic.strip_prefix(v1.as_bytes()))?;
    number(rest)
}

/// A decimal number up to 2^31 - 1, the largest identifier of the server.
pub(super) fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    let mut value = 0_u32;
    for digit in digits {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        value = value.checked_mul(10)?.checked_add(u32::from(digit))?;
    }
    (value <= MAX_ID).then_some(value)
}

/// The largest identifier of a request.
pub(super) const MAX_ID: u32 = i32::MAX.unsigned_abs();
