//! A certificate authority of our own, and what it signs.

use std::net::{IpAddr, Ipv4Addr};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};

/// A certificate with its private key, both in PEM.
#[derive(Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its private key, PKCS#8.
    pub key: String,
}

/// A certificate authority, fresh for each test.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

impl Authority {
    /// An authority that nobody else knows.
    #[must_use]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate of our own"))
    }

    /// The authority's certificate in PEM.
    #[must_use]
    pub fn certificate(&self) -> String {
        self.0.pem()
    }

    /// The authority's certificate in DER.
    #[must_use]
    pub fn certificate_der(&self) -> Vec<u8> {
        self.0.der().to_vec()
    }

    /// A server on this machine: `localhost` and 127.0.0.1.
    #[must_use]
    pub fn server(&self) -> Identity {
        self.signs(&server_params())
    }

    /// The same server, with a certificate that has expired.
    #[must_use]
    pub fn expired_server(&self) -> Identity {
        let mut params = server_params();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        self.signs(&params)
    }

    /// The same server, its certificate signed by the certificate of a client, which is no authority. The latter
    /// follows in the chain.
    #[must_use]
    pub fn server_signed_by_client(&self) -> Identity {
        let client = client_params("device");
        let client_key = KeyPair::generate().expect("a key");
        let client_certificate = client
            .signed_by(&client_key, &self.0)
            .expect("a certificate");
        let key = KeyPair::generate().expect("a key");
        let issuer = Issuer::from_params(&client, &client_key);
        let certificate = server_params()
            .signed_by(&key, &issuer)
            .expect("a certificate");
        Identity {
            certificate: certificate.pem() + &client_certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// A client of that name.
    #[must_use]
    pub fn client(&self, name: &str) -> Identity {
        self.signs(&client_params(name))
    }

    fn signs(&self, params: &CertificateParams) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

fn named(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.use_authority_key_identifier_extension = true;
    params
}

fn server_params() -> CertificateParams {
    let mut params = named("localhost");
    params.subject_alt_names = vec![
        SanType::DnsName("localhost".try_into().expect("a name in ASCII")),
        SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
    ];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

fn client_params(name: &str) -> CertificateParams {
    let mut params = named(name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}
