//! The values of a device of ThingsBoard.

use std::fmt::Write as _;

use crate::{broker::Transport, server::Server, source::Source};

/// Everything that differs from device to device.
#[derive(Debug)]
pub(crate) struct ThingsBoard {
    server: Server,
    token: String,
    interval_s: u32,
    /// The function of the firmware that connects so.
    function: &'static str,
}

impl ThingsBoard {
    pub(crate) fn read(source: &Source) -> Result<Self, String> {
        let server = Server::read(source)?;
        Ok(Self {
            function: match server.transport() {
                Transport::Tcp => "run_tcp",
                Transport::Tls => "run_tls",
                _ => return Err("broker: ThingsBoard is reached by mqtt:// or mqtts://".to_owned()),
            },
            token: source.required("token")?.to_owned(),
            interval_s: source.interval_s()?,
            server,
        })
    }

    /// The content of `config.rs`.
    pub(crate) fn to_rust(&self) -> Result<String, String> {
        let mut text = String::new();
        self.write(&mut text).map_err(|error| error.to_string())?;
        Ok(text)
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let Self {
            server,
            token,
            interval_s,
            function,
        } = self;
        writeln!(
            out,
            "pub(crate) use ::firmware_thingsboard::network::{function} as run;\n\
             pub(crate) const TOKEN: &str = {token:?};\n\
             pub(crate) const INTERVAL_S: u32 = {interval_s};"
        )?;
        server.write(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::given;

    const FILE: &str = "broker = \"mqtt://b\"\ntoken = \"t\"\n";

    fn read(file: &str, variables: &[(&str, &str)]) -> Result<ThingsBoard, String> {
        given(file, variables, |source| ThingsBoard::read(&source?))
    }

    #[test]
    fn server_and_token_are_enough() {
        let rust = read(FILE, &[]).unwrap().to_rust().unwrap();
        assert!(rust.contains("run_tcp as run"), "{rust}");
        assert!(rust.contains("TOKEN: &str = \"t\""), "{rust}");
    }

    #[test]
    fn tls_is_another_function() {
        let variables = [("FIRMWARE_BROKER", "mqtts://b"), ("FIRMWARE_CA", "ca.pem")];
        let rust = read(FILE, &variables).unwrap().to_rust().unwrap();
        assert!(rust.contains("run_tls as run"), "{rust}");
        assert!(rust.contains("authority: &[48, "), "{rust}");
    }

    #[test]
    fn what_the_server_does_not_have_is_refused() {
        assert!(
            read("broker = \"mqtt://b\"", &[])
                .unwrap_err()
                .contains("token")
        );
        let error = read(FILE, &[("FIRMWARE_BROKER", "ws://b")]).unwrap_err();
        assert!(error.contains("mqtts://"), "{error}");
    }
}
