//! What is run: an image, a scenario, a version.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum;
use mqtt_std::Version;
use mqtt_tests::mosquitto::Listener;

/// A linked firmware.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) target: String,
    pub(crate) transport: Transport,
    pub(crate) file: PathBuf,
}

impl Image {
    /// Whether it is the one for the emulator of that chip, which has a UART and no network.
    pub(crate) fn is_rp2040(&self) -> bool {
        self.target == "rp2040js"
    }

    /// Whether it is the device of ThingsBoard, which speaks to a simulated platform instead of a broker.
    pub(crate) fn is_thingsboard(&self) -> bool {
        self.target.ends_with("-thingsboard")
    }

    /// Whether it reports what it has measured.
    pub(crate) fn has_report(&self) -> bool {
        !self.is_rp2040() && !self.is_thingsboard()
    }
}

impl FromStr for Image {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.splitn(3, ',');
        let mut part = || parts.next().ok_or("TARGET,TRANSPORT,FILE expected");
        Ok(Self {
            target: part()?.to_owned(),
            transport: Transport::from_str(part()?, true)?,
            file: part()?.into(),
        })
    }
}

/// How an image reaches the broker.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Transport {
    Plain,
    Tls,
    Ws,
    Wss,
}

impl Transport {
    /// The one of mosquitto that speaks it.
    pub(crate) const fn listener(self) -> Listener {
        match self {
            Self::Plain => Listener::Plain,
            Self::Tls => Listener::Tls,
            Self::Ws => Listener::WebSocket,
            Self::Wss => Listener::SecureWebSocket,
        }
    }

    pub(crate) const fn is_tls(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }
}

/// What is played. Each refusal is one of its own: they need different servers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Scenario {
    /// Credentials, will, every QoS both ways, replies while a message is held
    Basics,
    /// 10,000 messages each way through buffers of 1 KB
    Bulk,
    /// 100 KB in chunks, one skipped, 20 KB from a reader
    Large,
    /// 50 links cut in mid-packet
    Cuts,
    /// The broker is killed three times
    Restart,
    /// Two tasks publish, one receives, futures are dropped at random
    Tasks,
    /// All at once over a UART, on a genuine RP2040 image
    Uart,
    /// A firmware update from a simulated ThingsBoard, with chunks lost and repeated, and a link that is cut
    Thingsboard,
    /// Refusal: the broker does not know the password
    WrongPassword,
    /// Refusal: another authority signed the broker's certificate
    WrongCa,
    /// Refusal: the certificate is for another name
    WrongName,
    /// Refusal: the certificate has expired
    Expired,
    /// Refusal: the certificate is signed by one that is no authority
    NotAnAuthority,
    /// Refusal: the broker speaks no TLS 1.3
    Tls12,
    /// Refusal: nothing listens
    ClosedPort,
    /// Refusal: the peer accepts and says nothing
    Silence,
}

impl Scenario {
    pub(crate) const fn is_about_certificates(self) -> bool {
        matches!(
            self,
            Self::WrongCa | Self::WrongName | Self::Expired | Self::NotAnAuthority | Self::Tls12
        )
    }

    pub(crate) const fn is_refusal(self) -> bool {
        matches!(self, Self::WrongPassword | Self::ClosedPort | Self::Silence)
            || self.is_about_certificates()
    }

    /// The scenario's name in the firmware, which does not know what kind of refusal to expect.
    pub(crate) fn argument(self) -> String {
        if self.is_refusal() {
            return "refused".to_owned();
        }
        name(&self)
    }

    /// The exit status that is right: `firmware_scenarios::Status`.
    pub(crate) const fn status(self) -> i32 {
        match self {
            Self::WrongPassword => 40,
            Self::WrongCa => 41,
            Self::WrongName => 42,
            Self::Expired => 43,
            Self::NotAnAuthority => 44,
            Self::Tls12 => 46,
            Self::ClosedPort => 47,
            Self::Silence => 48,
            _ => 0,
        }
    }
}

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) image: Image,
    pub(crate) scenario: Scenario,
    pub(crate) version: Version,
}

impl Case {
    /// 3 or 5.
    pub(crate) const fn version_number(&self) -> u8 {
        match self.version {
            Version::V3_1_1 => 3,
            Version::V5 => 5,
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Image {
            target, transport, ..
        } = &self.image;
        let (transport, scenario) = (name(transport), name(&self.scenario));
        let version = self.version_number();
        write!(f, "{target} {transport} v{version} {scenario}")
    }
}

/// The name of a value on the command line.
pub(crate) fn name(value: &impl ValueEnum) -> String {
    let value = value.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}
