//! Who connects, and where to.

use core::fmt;

use crate::session::Options;

/// The path of the WebSocket: `wss://<host>/api/mqtt/`.
pub const PATH: &str = "/api/mqtt/";

/// The subprotocol of the WebSocket (MQTT 3.1.1 §6).
pub const SUBPROTOCOL: &str = "mqtt";

/// How to connect: with the token as user name and password, and a clean session.
#[must_use]
pub const fn options<'a>(client_id: &'a str, token: Token<'a>) -> Options<'a> {
    Options::new(client_id).credentials(token.0, token.0.as_bytes())
}

/// A JWT or an API key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Token<'a>(&'a str);

/// What a token is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TokenKind {
    /// A JSON Web Token, which expires.
    Jwt,
    /// An API key.
    ApiKey,
}

/// The text is neither a JWT nor an API key: the server would refuse it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TokenError;

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("neither a JWT nor an API key")
    }
}

impl core::error::Error for TokenError {}

impl<'a> Token<'a> {
    /// Takes a token as the server does: an API key has exactly one dot, a JWT two.
    ///
    /// # Errors
    ///
    /// [`TokenError`] for any other number of dots, an empty part, or more than 65,535 bytes.
    pub const fn new(token: &'a str) -> Result<Self, TokenError> {
        match kind(token.as_bytes()) {
            Some(_) if token.len() <= u16::MAX as usize => Ok(Self(token)),
            _ => Err(TokenError),
        }
    }

    /// What it is.
    #[must_use]
    pub const fn kind(self) -> TokenKind {
        match kind(self.0.as_bytes()) {
            Some(TokenKind::Jwt) => TokenKind::Jwt,
            _ => TokenKind::ApiKey,
        }
    }
}

// The token is a secret.
impl fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Token").field(&self.kind()).finish()
    }
}

const fn kind(token: &[u8]) -> Option<TokenKind> {
    let mut dots = 0u8;
    let mut part_is_empty = true;
    let mut rest = token;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'.' {
            part_is_empty = false;
        } else if part_is_empty || dots == 2 {
            return None;
        } else {
            dots = dots.wrapping_add(1);
            part_is_empty = true;
        }
    }
    match dots {
        _ if part_is_empty => None,
        1 => Some(TokenKind::ApiKey),
        2 => Some(TokenKind::Jwt),
        _ => None,
    }
}
