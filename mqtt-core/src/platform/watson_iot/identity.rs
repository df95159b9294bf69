//! Who connects: the four kinds of client, their identifiers and their options.

use core::fmt;

use crate::{
    codec::{QoS, Subscription, TopicFilter},
    session::Options,
};

use super::{
    outgoing::{Address, Draft, QuickstartDraft},
    text::Text,
};

/// The user name of devices and gateways; their password is the authentication token.
pub const TOKEN_USER_NAME: &str = "use-token-auth";

/// The organization that needs no registration.
pub const QUICKSTART: &str = "quickstart";

/// What a device subscribes to that takes commands, of any name and format.
pub const COMMANDS: &[Subscription<'static>] = &[at_least_once("iot-2/cmd/+/fmt/+")];

/// What a managed device subscribes to: commands, and all of device management.
pub const MANAGED: &[Subscription<'static>] = &[
    at_least_once("iot-2/cmd/+/fmt/+"),
    at_least_once("iotdm-1/#"),
];

/// `A:`, organization, two names and the colons between.
const CLIENT_ID_LEN: usize = 2 + QUICKSTART.len() + 1 + MAX_NAME + 1 + MAX_NAME;
const HOST_LEN: usize = QUICKSTART.len() + HOST_SUFFIX.len();
const HOST_SUFFIX: &str = ".messaging.internetofthings.ibmcloud.com";
const NOTIFY_LEN: usize = "iot-2/type//id//notify".len() + 2 * MAX_NAME;
const MAX_NAME: usize = 36;

/// The type of a device and its identifier within the type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DeviceId<'a> {
    type_id: &'a str,
    device_id: &'a str,
}

impl<'a> DeviceId<'a> {
    /// Checks both: 1 to 36 of the characters `A-Z a-z 0-9 - _ .`
    ///
    /// # Errors
    ///
    /// [`IdError::Length`] or [`IdError::Character`].
    pub const fn new(type_id: &'a str, device_id: &'a str) -> Result<Self, IdError> {
        if let Err(error) = check_name(type_id) {
            return Err(error);
        }
        if let Err(error) = check_name(device_id) {
            return Err(error);
        }
        Ok(Self { type_id, device_id })
    }

    /// As it stood in a topic that the server sent.
    pub(super) const fn received(type_id: &'a str, device_id: &'a str) -> Self {
        Self { type_id, device_id }
    }

    /// The device type.
    #[must_use]
    pub const fn type_id(&self) -> &'a str {
        self.type_id
    }

    /// The identifier within the type.
    #[must_use]
    pub const fn device_id(&self) -> &'a str {
        self.device_id
    }
}

/// A registered device.
///
/// Made at compile time if all parts are known then:
///
/// ```
/// use mqtt_core::platform::watson_iot::{Device, IdError};
///
/// const DEVICE: Result<Device<'_>, IdError> = Device::new("za6xa7", "thermometer", "kitchen");
/// # fn main() -> Result<(), IdError> {
/// let device = DEVICE?;
/// assert_eq!(device.client_id(), "d:za6xa7:thermometer:kitchen");
/// assert_eq!(device.host().as_str(), "za6xa7.messaging.internetofthings.ibmcloud.com");
/// let options = device.options("token");
/// assert_eq!(options.user_name, Some("use-token-auth"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Device<'a>(Thing<'a>);

impl<'a> Device<'a> {
    /// A device of `organization` (six letters and digits).
    ///
    /// # Errors
    ///
    /// [`IdError`] if the platform could not have registered such a device.
    pub const fn new(
        organization: &'a str,
        type_id: &'a str,
        device_id: &'a str,
    ) -> Result<Self, IdError> {
        match Thing::new("d:", organization, type_id, device_id) {
            Ok(thing) => Ok(Self(thing)),
            Err(error) => Err(error),
        }
    }

    /// How to connect, with the authentication token. Subscribes to [`COMMANDS`]; a managed device replaces that by
    /// [`MANAGED`].
    ///
    /// Clean session, so that requests of device management which timed out long ago do not come after all; and no more
    /// than ten messages in flight, the platform's quota.
    #[must_use]
    pub const fn options<'o>(&'o self, token: &'o str) -> Options<'o> {
        self.0.options(token).subscriptions(COMMANDS)
    }

    /// An event, to be completed with its payload.
    pub const fn event<'e>(&self, name: &'e str) -> Draft<'e> {
        Draft::event(Address::Own, name)
    }

    /// Type and identifier.
    #[must_use]
    pub const fn id(&self) -> DeviceId<'a> {
        self.0.id
    }

    /// The client identifier.
    #[must_use]
    pub const fn client_id(&self) -> &str {
        self.0.client_id.as_str()
    }

    /// The host name of the former public service. An installation of Maximo has its own.
    #[must_use]
    pub const fn host(&self) -> Host {
        Host::of(self.0.organization)
    }
}

/// A device of the organization `quickstart`: not registered, no credentials, no TLS
/// ([`PORT_PLAIN`](super::PORT_PLAIN)), events at QoS 0 only, no commands, no management, no session.
///
/// More than one event a second may be dropped by the platform.
#[derive(Clone, Copy, Debug)]
pub struct Quickstart<'a>(Thing<'a>);

impl<'a> Quickstart<'a> {
    /// A device that anybody can watch.
    ///
    /// # Errors
    ///
    /// [`IdError`] for names that the platform does not allow.
    pub const fn new(type_id: &'a str, device_id: &'a str) -> Result<Self, IdError> {
        let id = match DeviceId::new(type_id, device_id) {
            Ok(id) => id,
            Err(error) => return Err(error),
        };
        Ok(Self(Thing::with("d:", QUICKSTART, id)))
    }

    /// How to connect.
    #[must_use]
    pub const fn options(&self) -> Options<'_> {
        preset(self.client_id())
    }

    /// An event, to be completed with its payload. It has no choice of QoS.
    pub const fn event<'e>(&self, name: &'e str) -> QuickstartDraft<'e> {
        QuickstartDraft::new(name)
    }

    /// Type and identifier.
    #[must_use]
    pub const fn id(&self) -> DeviceId<'a> {
        self.0.id
    }

    /// The client identifier.
    #[must_use]
    pub const fn client_id(&self) -> &str {
        self.0.client_id.as_str()
    }

    /// The host name of the former public service.
    #[must_use]
    pub const fn host(&self) -> Host {
        Host::of(QUICKSTART)
    }
}

/// A gateway: a device that also speaks for devices behind it. The platform registers those by itself when they first
/// publish.
#[derive(Clone, Copy, Debug)]
pub struct Gateway<'a> {
    thing: Thing<'a>,
    notifications: Text<NOTIFY_LEN>,
}

impl<'a> Gateway<'a> {
    /// A gateway of `organization` (six letters and digits).
    ///
    /// # Errors
    ///
    /// [`IdError`] if the platform could not have registered such a gateway.
    pub const fn new(
        organization: &'a str,
        type_id: &'a str,
        device_id: &'a str,
    ) -> Result<Self, IdError> {
        let thing = match Thing::new("g:", organization, type_id, device_id) {
            Ok(thing) => thing,
            Err(error) => return Err(error),
        };
        let notifications = Text::EMPTY
            .with("iot-2/type/")
            .with(type_id)
            .with("/id/")
            .with(device_id)
            .with("/notify");
        Ok(Self {
            thing,
            notifications,
        })
    }

    /// How to connect, with the authentication token. Add the [`subscriptions`](Self::subscriptions).
    #[must_use]
    pub const fn options<'o>(&'o self, token: &'o str) -> Options<'o> {
        self.thing.options(token)
    }

    /// Commands for the gateway and for all devices behind it, device management of all of them, and what the platform
    /// complains about. Leave out what is not used.
    #[must_use]
    pub const fn subscriptions(&self) -> [Subscription<'_>; 3] {
        let notifications = TopicFilter::from_checked(self.notifications.as_bytes());
        [
            at_least_once("iot-2/type/+/id/+/cmd/+/fmt/+"),
            at_least_once("iotdm-1/#"),
            Subscription::new(notifications, QoS::AtMostOnce),
        ]
    }

    /// An event of the gateway itself.
    pub const fn event<'e>(&self, name: &'e str) -> Draft<'e>
    where
        'a: 'e,
    {
        Draft::event(Address::Device(self.thing.id), name)
    }

    /// An event of a device behind the gateway.
    pub const fn event_of<'e>(&self, device: DeviceId<'e>, name: &'e str) -> Draft<'e> {
        Draft::event(Address::Device(device), name)
    }

    /// Type and identifier.
    #[must_use]
    pub const fn id(&self) -> DeviceId<'a> {
        self.thing.id
    }

    /// The client identifier.
    #[must_use]
    pub const fn client_id(&self) -> &str {
        self.thing.client_id.as_str()
    }

    /// The host name of the former public service. An installation of Maximo has its own.
    #[must_use]
    pub const fn host(&self) -> Host {
        Host::of(self.thing.organization)
    }
}

/// An application: reads events and statuses, sends commands.
#[derive(Clone, Copy, Debug)]
pub struct Application<'a> {
    organization: &'a str,
    client_id: Text<CLIENT_ID_LEN>,
    clean_session: bool,
}

impl<'a> Application<'a> {
    /// An application that gets every message it subscribes to.
    ///
    /// # Errors
    ///
    /// [`IdError`] for names that the platform does not allow.
    pub const fn new(organization: &'a str, application_id: &str) -> Result<Self, IdError> {
        Self::checked("a:", organization, application_id, None, true)
    }

    /// One of several clients of the same application that share its messages. Such a session must last.
    ///
    /// # Errors
    ///
    /// [`IdError`] for names that the platform does not allow.
    pub const fn shared(organization: &'a str, application_id: &str) -> Result<Self, IdError> {
        Self::checked("A:", organization, application_id, None, false)
    }

    /// As [`shared`](Self::shared), with a name for each client, so that the session need not last.
    ///
    /// # Errors
    ///
    /// [`IdError`] for names that the platform does not allow.
    pub const fn shared_instance(
        organization: &'a str,
        application_id: &str,
        instance: &str,
    ) -> Result<Self, IdError> {
        Self::checked("A:", organization, application_id, Some(instance), true)
    }

    const fn checked(
        kind: &str,
        organization: &'a str,
        application_id: &str,
        instance: Option<&str>,
        clean_session: bool,
    ) -> Result<Self, IdError> {
        if let Err(error) = check_organization(organization) {
            return Err(error);
        }
        if let Err(error) = check_name(application_id) {
            return Err(error);
        }
        let mut client_id = Text::EMPTY
            .with(kind)
            .with(organization)
            .with(":")
            .with(application_id);
        if let Some(instance) = instance {
            if let Err(error) = check_name(instance) {
                return Err(error);
            }
            client_id = client_id.with(":").with(instance);
        }
        Ok(Self {
            organization,
            client_id,
            clean_session,
        })
    }

    /// How to connect, with an API key and its token. Subscriptions are made by [`Filter`](super::Filter).
    #[must_use]
    pub const fn options<'o>(&'o self, api_key: &'o str, api_token: &'o str) -> Options<'o> {
        let mut options = preset(self.client_id()).credentials(api_key, api_token.as_bytes());
        options.clean_session = self.clean_session;
        options
    }

    /// An event in the name of a device.
    pub const fn event<'e>(&self, device: DeviceId<'e>, name: &'e str) -> Draft<'e> {
        Draft::event(Address::Device(device), name)
    }

    /// A command for a device.
    pub const fn command<'e>(&self, device: DeviceId<'e>, name: &'e str) -> Draft<'e> {
        Draft::command(device, name)
    }

    /// The client identifier.
    #[must_use]
    pub const fn client_id(&self) -> &str {
        self.client_id.as_str()
    }

    /// The host name of the former public service. An installation of Maximo has its own.
    #[must_use]
    pub const fn host(&self) -> Host {
        Host::of(self.organization)
    }
}

/// The name of the host to connect to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Host(Text<HOST_LEN>);

impl Host {
    const fn of(organization: &str) -> Self {
        Self(Text::EMPTY.with(organization).with(HOST_SUFFIX))
    }

    /// The name.
    #[must_use]
    pub const fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// Why there can be no such client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum IdError {
    /// An organization has six letters and digits. `quickstart` is for [`Quickstart`] only.
    Organization,
    /// A type, identifier, application or instance has 1 to 36 characters.
    Length,
    /// Names are made of `A-Z a-z 0-9 - _ .`
    Character,
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Organization => "organization is not six letters and digits",
            Self::Length => "name is empty or longer than 36 characters",
            Self::Character => "character not allowed in a name",
        })
    }
}

impl core::error::Error for IdError {}

/// What devices and gateways have in common.
#[derive(Clone, Copy, Debug)]
struct Thing<'a> {
    organization: &'a str,
    id: DeviceId<'a>,
    client_id: Text<CLIENT_ID_LEN>,
}

impl<'a> Thing<'a> {
    const fn new(
        kind: &str,
        organization: &'a str,
        type_id: &'a str,
        device_id: &'a str,
    ) -> Result<Self, IdError> {
        if let Err(error) = check_organization(organization) {
            return Err(error);
        }
        match DeviceId::new(type_id, device_id) {
            Ok(id) => Ok(Self::with(kind, organization, id)),
            Err(error) => Err(error),
        }
    }

    const fn with(kind: &str, organization: &'a str, id: DeviceId<'a>) -> Self {
        let client_id = Text::EMPTY
            .with(kind)
            .with(organization)
            .with(":")
            .with(id.type_id)
            .with(":")
            .with(id.device_id);
        Self {
            organization,
            id,
            client_id,
        }
    }

    const fn options<'o>(&'o self, token: &'o str) -> Options<'o> {
        preset(self.client_id.as_str()).credentials(TOKEN_USER_NAME, token.as_bytes())
    }
}

/// The options that suit the platform for any client.
const fn preset(client_id: &str) -> Options<'_> {
    let mut options = Options::new(client_id);
    options.max_in_flight = 10;
    options.receive_maximum = 10;
    options
}

const fn check_organization(organization: &str) -> Result<(), IdError> {
    if organization.len() != 6 {
        return Err(IdError::Organization);
    }
    let mut rest = organization.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        if !byte.is_ascii_alphanumeric() {
            return Err(IdError::Organization);
        }
        rest = tail;
    }
    Ok(())
}

const fn check_name(name: &str) -> Result<(), IdError> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(IdError::Length);
    }
    let mut rest = name.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        if !byte.is_ascii_alphanumeric() && !matches!(byte, b'-' | b'_' | b'.') {
            return Err(IdError::Character);
        }
        rest = tail;
    }
    Ok(())
}

const fn at_least_once(filter: &'static str) -> Subscription<'static> {
    Subscription::new(
        TopicFilter::from_checked(filter.as_bytes()),
        QoS::AtLeastOnce,
    )
}
