//! `mqtts://user:pass@host:8883/client-id`.

use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::OptionsError;
use super::transport::Transport;

/// What a URL says.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) transport: Transport,
    pub(super) client_id: Option<String>,
    pub(super) user_name: Option<String>,
    pub(super) password: Option<Vec<u8>>,
}

pub(super) fn parse(text: &str) -> Result<Parts, OptionsError> {
    let url = Url::parse(text).map_err(fault)?;
    // `user:password@host` reads like a scheme: it must not be shown as one.
    if url.cannot_be_a_base() {
        return Err(fault(url::ParseError::RelativeUrlWithoutBase));
    }
    let (tls, websocket) = scheme(url.scheme())?;
    if url.fragment().is_some() {
        return Err(OptionsError::UrlPart("fragment (#..)"));
    }
    let mut parts = Parts {
        transport: Transport {
            host: host(&url)?,
            port: url.port(),
            tls,
            websocket,
            ..Transport::default()
        },
        user_name: user_name(&url)?,
        password: url
            .password()
            .map(|password| percent_decode_str(password).collect()),
        client_id: None,
    };
    if websocket {
        parts.transport.path = path(&url);
    } else {
        parts.client_id = client_id(&url, text)?;
    }
    Ok(parts)
}

/// The texts of the `url` crate, without what the URL holds.
fn fault(error: url::ParseError) -> OptionsError {
    OptionsError::Url(match error {
        url::ParseError::RelativeUrlWithoutBase => "the scheme is missing (mqtt://host)",
        url::ParseError::EmptyHost => "the host is missing",
        url::ParseError::InvalidPort => "the port is not a number up to 65535",
        url::ParseError::InvalidIpv4Address | url::ParseError::InvalidIpv6Address => {
            "not an IP address"
        }
        _ => "the host is not one",
    })
}

/// TLS, WebSocket.
fn scheme(scheme: &str) -> Result<(bool, bool), OptionsError> {
    match scheme {
        "mqtt" => Ok((false, false)),
        "mqtts" => Ok((true, false)),
        "ws" => Ok((false, true)),
        "wss" => Ok((true, true)),
        other => Err(OptionsError::Scheme(other.to_owned())),
    }
}

fn host(url: &Url) -> Result<String, OptionsError> {
    match url.host() {
        Some(Host::Domain("")) | None => Err(OptionsError::Url("the host is missing")),
        Some(Host::Domain(name)) => Ok(name.to_owned()),
        Some(Host::Ipv4(address)) => Ok(address.to_string()),
        Some(Host::Ipv6(address)) => Ok(address.to_string()),
    }
}

fn user_name(url: &Url) -> Result<Option<String>, OptionsError> {
    match url.username() {
        "" => Ok(None),
        name => decode(name, "user name").map(Some),
    }
}

/// All of the path is the client identifier, slashes within it included.
fn client_id(url: &Url, text: &str) -> Result<Option<String>, OptionsError> {
    if url.query().is_some() {
        return Err(OptionsError::UrlPart("query (?..)"));
    }
    match written_path(text).as_str() {
        "" => Ok(None),
        path => decode(path, "client identifier").map(Some),
    }
}

/// What stands behind the host and its slash in a URL without query and fragment. `Url` takes `.` and `..` between slashes
/// for steps on a way, also percent-encoded ones; in a client identifier they are characters.
fn written_path(text: &str) -> String {
    // What `Url` leaves out before it reads the rest.
    let text = text
        .trim_matches(|c| c <= ' ')
        .replace(['\t', '\n', '\r'], "");
    let path = text
        .split_once("://")
        .and_then(|(_, rest)| rest.split_once('/'));
    path.map_or(String::new(), |(_, path)| path.to_owned())
}

/// The path with its query, in which some brokers want a token. Alone, `/` is what every URL has: not a choice.
fn path(url: &Url) -> Option<String> {
    match (url.path(), url.query()) {
        ("" | "/", None) => None,
        (path, None) => Some(path.to_owned()),
        (path, Some(query)) => Some(format!("{path}?{query}")),
    }
}

fn decode(text: &str, what: &'static str) -> Result<String, OptionsError> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(Into::into)
        .map_err(|_| OptionsError::NotUtf8(what))
}
