//! The values that were given, checked, and written as Rust.

use std::fmt::Write as _;

use crate::{Network, server::Server, source::Source};

/// Everything that differs from device to device.
#[derive(Debug)]
pub(crate) struct Configuration {
    server: Server,
    client_id: String,
    topic: String,
    user_name: Option<String>,
    password: Option<String>,
    interval_s: u32,
    wifi: Option<(String, String)>,
}

/// Bytes of the longest topic that the app takes.
const MAX_TOPIC: usize = 55;

impl Configuration {
    pub(crate) fn read(source: &Source, network: Network) -> Result<Self, String> {
        let client_id = source.required("client_id")?.to_owned();
        let topic = match source.optional("topic") {
            Some(topic) => topic.to_owned(),
            None => format!("firmware/{client_id}"),
        };
        if topic.len() > MAX_TOPIC || topic.contains(['+', '#', '\0']) {
            return Err(format!(
                "topic {topic:?}: at most {MAX_TOPIC} bytes, without + and #"
            ));
        }
        Ok(Self {
            server: Server::read(source)?,
            client_id,
            topic,
            user_name: source.optional("user_name").map(ToOwned::to_owned),
            password: source.optional("password").map(ToOwned::to_owned),
            interval_s: source.interval_s()?,
            wifi: match network {
                Network::Wired => None,
                Network::WiFi => Some(wifi(source)?),
            },
        })
    }

    /// The content of `config.rs`.
    pub(crate) fn to_rust(&self, board: &str) -> Result<String, String> {
        let mut text = String::new();
        self.write(board, &mut text)
            .map_err(|error| error.to_string())?;
        Ok(text)
    }

    fn write(&self, board: &str, out: &mut String) -> std::fmt::Result {
        let Self {
            server,
            client_id,
            topic,
            user_name,
            password,
            interval_s,
            wifi,
        } = self;
        writeln!(
            out,
            "pub(crate) use ::firmware_app::network::{} as run;\n\
             pub(crate) const SETTINGS: ::firmware_app::Settings<'static> = ::firmware_app::Settings {{\n\
             client_id: {client_id:?}, topic: {topic:?}, user_name: {user_name:?}, password: {password:?},\n\
             interval_s: {interval_s}, board: {board:?},\n}};",
            server.transport().function()
        )?;
        server.write(out)?;
        if let Some((name, password)) = wifi {
            writeln!(
                out,
                "pub(crate) const WIFI_NAME: &str = {name:?};\n\
                 pub(crate) const WIFI_PASSWORD: &str = {password:?};"
            )?;
        }
        Ok(())
    }
}

/// Name and password, in the lengths that IEEE 802.11 allows. A network without a password is open.
fn wifi(source: &Source) -> Result<(String, String), String> {
    let name = source.required("wifi_name")?;
    let password = source.optional("wifi_password").unwrap_or_default();
    if name.len() > 32 {
        return Err("wifi_name: at most 32 bytes".to_owned());
    }
    if !matches!(password.len(), 0 | 8..=63) {
        return Err("wifi_password: 8 to 63 characters, or none for an open network".to_owned());
    }
    Ok((name.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::given;

    const FILE: &str = "broker = \"mqtt://b\"\nclient_id = \"c\"\nwifi_name = \"net\"\n";

    fn read(file: &str, variables: &[(&str, &str)]) -> Result<Configuration, String> {
        given(file, variables, |source| {
            Configuration::read(&source?, Network::WiFi)
        })
    }

    #[test]
    fn a_short_file_is_enough() {
        let configuration = read(FILE, &[]).unwrap();
        assert_eq!(configuration.topic, "firmware/c");
        assert_eq!(configuration.interval_s, 10);
        assert_eq!(configuration.user_name, None);
        assert_eq!(configuration.wifi, Some(("net".to_owned(), String::new())));
    }

    #[test]
    fn variables_take_precedence() {
        let variables = [("FIRMWARE_CLIENT_ID", "d"), ("FIRMWARE_INTERVAL_S", "3")];
        let configuration = read(FILE, &variables).unwrap();
        assert_eq!(configuration.client_id, "d");
        assert_eq!(configuration.interval_s, 3);
    }

    #[test]
    fn tls_needs_the_certificate_of_the_authority() {
        let error = read(FILE, &[("FIRMWARE_BROKER", "mqtts://b")]).unwrap_err();
        assert!(error.contains("`ca` is missing"), "{error}");
        let variables = [("FIRMWARE_BROKER", "wss://b"), ("FIRMWARE_CA", "ca.pem")];
        let configuration = read(FILE, &variables).unwrap();
        let rust = configuration.to_rust("board").unwrap();
        assert!(rust.contains("run_secure_web_socket as run"), "{rust}");
        assert!(rust.contains("authority: &[48, "), "{rust}");
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for line in [
            "interval_s = 0",
            "interval_s = \"soon\"",
            "topic = \"a/#\"",
            "topic = \"0123456789012345678901234567890123456789012345678901234567\"",
            "wifi_password = \"short\"",
            "colour = \"red\"",
            "ca = true",
        ] {
            assert!(read(&format!("{FILE}{line}\n"), &[]).is_err(), "{line}");
        }
    }

    #[test]
    fn texts_are_escaped() {
        let configuration = read(FILE, &[("FIRMWARE_PASSWORD", "a\"b\\c")]).unwrap();
        let rust = configuration.to_rust("board").unwrap();
        assert!(rust.contains(r#"password: Some("a\"b\\c")"#), "{rust}");
    }
}
