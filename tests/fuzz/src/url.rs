//! Options from URLs: read, or refused with a typed error; what is percent-encoded comes back as it was; and no text that
//! is made of options or errors shows the password.

use mqtt_std::Options;

/// The first byte chooses: the rest is a URL, or it is parts of one with U+0000 between them.
pub fn run(input: &[u8]) {
    let Some((choice, rest)) = input.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(rest) else {
        return;
    };
    if choice & 1 == 0 {
        any_text(text);
    } else {
        parts(choice >> 1, text);
    }
}

/// What may stand in a message whatever the URL was, so that a password may be a part of it.
const SHORTEST_SECRET: usize = 6;

fn any_text(text: &str) {
    let shown = match Options::from_url(text) {
        Ok(options) => format!("{options:?}"),
        Err(error) => format!("{error:?} {error}"),
    };
    let Some((before, secret, behind)) = password(text) else {
        return;
    };
    // As a URL is read: without tabs and ends of lines.
    let plain = |text: &str| text.replace(['\t', '\r', '\n'], "");
    let secret = &plain(secret);
    let elsewhere = plain(&[before, behind].concat()).to_lowercase();
    let is_short = secret.len() < SHORTEST_SECRET;
    // It may have been given twice, or be a word of ours.
    if !is_short && !elsewhere.contains(&secret.to_lowercase()) && !is_ours(secret) {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

/// What stands before the password, the password as it is written, and what stands behind it.
fn password(text: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '\\', '?', '#']).next()?;
    let (who, host) = authority.rsplit_once('@')?;
    let (user_name, secret) = who.split_once(':')?;
    let is_scheme = scheme.bytes().all(|byte| byte.is_ascii_alphabetic());
    let before = &text[..scheme.len() + 3 + user_name.len()];
    let behind = &text[text.len() - (rest.len() - authority.len()) - host.len()..];
    is_scheme.then_some((before, secret, behind))
}

/// Whether options show this text without any password.
fn is_ours(text: &str) -> bool {
    let options = Options::new("").user_name("").password("");
    format!("{options:?}").contains(text)
}

/// User name, password and client identifier in any characters come back.
fn parts(choice: u8, text: &str) {
    let mut texts = text.split('\0');
    let mut next = || texts.next().unwrap_or_default();
    let (user_name, password, client_id) = (next(), next(), next());
    let host = ["broker.test", "10.0.0.1", "[::1]", "xn--bcher-kva.test"][usize::from(choice) % 4];
    let tls = choice & 4 != 0;
    let port = u16::from(choice) * 251 + 1;
    let scheme = if tls { "mqtts" } else { "mqtt" };
    let (user, secret, id) = (encode(user_name), encode(password), encode(client_id));
    let url = format!("{scheme}://{user}:{secret}@{host}:{port}/{id}");
    let read = Options::from_url(&url).unwrap_or_else(|error| panic!("{url}: {error}"));
    let mut expected = Options::new(host.trim_matches(['[', ']'])).port(port);
    if tls {
        expected = expected.tls();
    }
    expected = expected.client_id(client_id);
    if !user_name.is_empty() {
        expected = expected.user_name(user_name);
    }
    if !password.is_empty() {
        expected = expected.password(password);
    }
    assert_eq!(format!("{read:?}"), format!("{expected:?}"), "{url}");
}

/// Percent-encodes everything that is not a letter or a digit.
fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
