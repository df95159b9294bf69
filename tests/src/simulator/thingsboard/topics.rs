//! Topics, and the filters that are taken: these and no others, letter by letter.

/// How the topics of a function are spelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flavour {
    V1,
    /// The short ones.
    V2,
    /// The short ones that say JSON.
    V2Json,
}

/// What a message of a device is.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Uplink {
    Telemetry,
    Attributes,
    AttributeRequest(Flavour, u32),
    RpcReply(u32),
    Rpc(Flavour, u32),
    Claim,
    Chunk {
        software: bool,
        request: u32,
        chunk: u32,
    },
    /// The rest of `v1/gateway/`.
    Gateway(String),
}

/// Where a number should be, there is none from 0 to 2,147,483,647.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct BadNumber;

impl Flavour {
    pub(super) const ALL: [Self; 3] = [Self::V1, Self::V2, Self::V2Json];

    pub(super) const fn attributes(self) -> &'static str {
        match self {
            Self::V1 => "v1/devices/me/attributes",
            Self::V2 => "v2/a",
            Self::V2Json => "v2/a/j",
        }
    }

    const fn attribute_request_start(self) -> &'static str {
        match self {
            Self::V1 => "v1/devices/me/attributes/request/",
            Self::V2 => "v2/a/req/",
            Self::V2Json => "v2/a/req/j/",
        }
    }

    const fn attribute_response_start(self) -> &'static str {
        match self {
            Self::V1 => "v1/devices/me/attributes/response/",
            Self::V2 => "v2/a/res/",
            Self::V2Json => "v2/a/res/j/",
        }
    }

    const fn rpc_request_start(self) -> &'static str {
        match self {
            Self::V1 => "v1/devices/me/rpc/request/",
            Self::V2 => "v2/r/req/",
            Self::V2Json => "v2/r/req/j/",
        }
    }

    const fn rpc_response_start(self) -> &'static str {
        match self {
            Self::V1 => "v1/devices/me/rpc/response/",
            Self::V2 => "v2/r/res/",
            Self::V2Json => "v2/r/res/j/",
        }
    }

    pub(super) fn attribute_response(self, id: u32) -> String {
        format!("{}{id}", self.attribute_response_start())
    }

    pub(super) fn attribute_response_filter(self) -> String {
        format!("{}+", self.attribute_response_start())
    }

    pub(super) fn rpc_request(self, id: u32) -> String {
        format!("{}{id}", self.rpc_request_start())
    }

    pub(super) fn rpc_request_filter(self) -> String {
        format!("{}+", self.rpc_request_start())
    }

    pub(super) fn rpc_response(self, id: u32) -> String {
        format!("{}{id}", self.rpc_response_start())
    }

    pub(super) fn rpc_response_filter(self) -> String {
        format!("{}+", self.rpc_response_start())
    }
}

/// Whether a device may subscribe this.
pub(super) fn is_filter(filter: &str) -> bool {
    const OTHERS: [&str; 7] = [
        "v2/fw/response/+/chunk/+",
        "v2/sw/response/+/chunk/+",
        "v2/fw/error",
        "v2/sw/error",
        "v1/gateway/attributes",
        "v1/gateway/attributes/response",
        "v1/gateway/rpc",
    ];
    OTHERS.contains(&filter)
        || Flavour::ALL.iter().any(|flavour| {
            filter == flavour.attributes()
                || filter == flavour.attribute_response_filter()
                || filter == flavour.rpc_request_filter()
                || filter == flavour.rpc_response_filter()
        })
}

/// What a topic of a device means; `None` if it is not known.
pub(super) fn uplink(topic: &str) -> Result<Option<Uplink>, BadNumber> {
    let uplink = match topic {
        "v1/devices/me/telemetry" | "v2/t" | "v2/t/j" => Uplink::Telemetry,
        "v1/devices/me/attributes" | "v2/a" | "v2/a/j" => Uplink::Attributes,
        "v1/devices/me/claim" => Uplink::Claim,
        _ => {
            if let Some(rest) = topic.strip_prefix("v1/gateway/") {
                return Ok(Some(Uplink::Gateway(rest.to_owned())));
            }
            for (start, software) in [("v2/fw/request/", false), ("v2/sw/request/", true)] {
                if let Some(rest) = topic.strip_prefix(start) {
                    let (request, chunk) = rest.split_once("/chunk/").ok_or(BadNumber)?;
                    return Ok(Some(Uplink::Chunk {
                        software,
                        request: number(request)?,
                        chunk: number(chunk)?,
                    }));
                }
            }
            return numbered(topic);
        }
    };
    Ok(Some(uplink))
}

fn numbered(topic: &str) -> Result<Option<Uplink>, BadNumber> {
    // The longer spelling first: one begins with the other.
    for flavour in [Flavour::V1, Flavour::V2Json, Flavour::V2] {
        if let Some(id) = topic.strip_prefix(flavour.attribute_request_start()) {
            return Ok(Some(Uplink::AttributeRequest(flavour, number(id)?)));
        }
        if let Some(id) = topic.strip_prefix(flavour.rpc_request_start()) {
            return Ok(Some(Uplink::Rpc(flavour, number(id)?)));
        }
        if let Some(id) = topic.strip_prefix(flavour.rpc_response_start()) {
            return Ok(Some(Uplink::RpcReply(number(id)?)));
        }
    }
    Ok(None)
}

fn number(text: &str) -> Result<u32, BadNumber> {
    let number: i32 = text.parse().map_err(|_| BadNumber)?;
    u32::try_from(number).map_err(|_| BadNumber)
}
