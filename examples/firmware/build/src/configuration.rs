//! The values that were given, checked, and written as Rust.

use std::{fmt::Write as _, fs, path::Path};

use crate::{Network, broker::Broker, source::Source};

/// Everything that differs from device to device.
#[derive(Debug)]
pub(crate) struct Configuration {
    broker: Broker,
    /// The certificate authority in DER, for a broker with TLS.
    authority: Vec<u8>,
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
        let broker = Broker::parse(source.required("broker")?)?;
        let authority = if broker.transport.is_secure() {
            let path = source.path("ca")?;
            println!("cargo::rerun-if-changed={}", path.display());
            read_certificate(&path)?
        } else {
            Vec::new()
        };
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
            broker,
            authority,
            client_id,
            topic,
            user_name: source.optional("user_name").map(ToOwned::to_owned),
            password: source.optional("password").map(ToOwned::to_owned),
            interval_s: interval(source.optional("interval_s").unwrap_or("10"))?,
            wifi: match network {
                Network::Wired => None,
                Network::WiFi => Some((
                    source.required("wifi_name")?.to_owned(),
                    // A network without one is open.
                    source.optional("wifi_password").unwrap_or("").to_owned(),
                )),
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
            broker,
            authority,
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
            broker.transport.function()
        )?;
        writeln!(
            out,
            "pub(crate) const BROKER: ::firmware_app::network::Broker<'static> = ::firmware_app::network::Broker {{\n\
             host: {:?}, port: {}, path: {:?}, authority: &{authority:?},\n}};",
            broker.host, broker.port, broker.path
        )?;
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

fn interval(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(seconds @ 1..=86_400) => Ok(seconds),
        _ => Err(format!(
            "interval_s = {text:?}: expected 1 to 86400 seconds"
        )),
    }
}

/// One certificate, PEM or DER.
fn read_certificate(path: &Path) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let bytes = fs::read(path).map_err(|error| format!("cannot read the CA {shown}: {error}"))?;
    // DER begins with a SEQUENCE, PEM is text.
    if bytes.first() == Some(&0x30) {
        return Ok(bytes);
    }
    let blocks = pem::parse_many(&bytes).map_err(|error| format!("{shown}: {error}"))?;
    let mut certificates = blocks
        .into_iter()
        .filter(|block| block.tag() == "CERTIFICATE");
    match (certificates.next(), certificates.next()) {
        (Some(only), None) => Ok(only.into_contents()),
        (None, _) => Err(format!("{shown}: no certificate in it")),
        (Some(_), Some(_)) => Err(format!(
            "{shown}: more than one certificate. Leave only that of the CA that signed the broker's"
        )),
    }
}
