//! Where the server is, and how it is known again.

use std::{
    fmt::{self, Write as _},
    fs,
    path::Path,
};

use crate::{
    broker::{Broker, Transport},
    source::Source,
};

/// Where the server is, and how it is known again.
#[derive(Debug)]
pub(crate) struct Server {
    broker: Broker,
    /// The DNS name in its certificate.
    certified_name: String,
    /// The certificate authority in DER, for a server with TLS.
    authority: Vec<u8>,
}

impl Server {
    pub(crate) fn read(source: &Source) -> Result<Self, String> {
        let broker = Broker::parse(source.required("broker")?)?;
        let authority = if broker.transport.is_secure() {
            let path = source.path("ca")?;
            println!("cargo::rerun-if-changed={}", path.display());
            read_certificate(&path)?
        } else {
            Vec::new()
        };
        let certified_name = source.optional("server_name").unwrap_or(&broker.host);
        Ok(Self {
            certified_name: certified_name.to_owned(),
            broker,
            authority,
        })
    }

    pub(crate) const fn transport(&self) -> Transport {
        self.broker.transport
    }

    /// Writes the constant `BROKER`.
    pub(crate) fn write(&self, out: &mut String) -> fmt::Result {
        let Self {
            broker,
            certified_name,
            authority,
        } = self;
        writeln!(
            out,
            "pub(crate) const BROKER: ::firmware_app::network::Broker<'static> = ::firmware_app::network::Broker {{\n\
             host: {:?}, port: {}, path: {:?}, host_header: {:?}, server_name: {certified_name:?},\n\
             authority: &{authority:?},\n}};",
            broker.host,
            broker.port,
            broker.path,
            broker.host_header()
        )
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_not_taken_for_the_authority() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chain.pem");
        fs::write(&path, include_str!("../../example-ca.pem").repeat(2)).unwrap();
        assert!(
            read_certificate(&path)
                .unwrap_err()
                .contains("more than one")
        );
    }
}
