//! The options of the session, owned, and the borrowed form that mqtt-core reads.

use std::{fmt, sync::Arc};

use mqtt_core::{
    codec::{
        Properties, Property, QoS, RetainHandling, Subscription, TopicFilter, TopicName, Version,
    },
    session::{self, Authentication, V5Options},
};

use super::OptionsError;

/// The numbers lie in `core`, what has a length lies beside it.
#[derive(Clone)]
pub(crate) struct SessionOptions {
    pub(crate) core: session::Options<'static>,
    pub(crate) client_id: String,
    pub(crate) user_name: Option<String>,
    pub(crate) password: Option<Vec<u8>>,
    pub(crate) will: Option<Will>,
    pub(crate) subscriptions: Vec<OwnedSubscription>,
    pub(crate) user_properties: Vec<(String, String)>,
    pub(crate) authentication: Option<Arc<dyn Authentication + Send + Sync>>,
}

/// A [`Subscription`] with a filter of its own.
#[derive(Clone, Debug)]
pub(crate) struct OwnedSubscription {
    filter: String,
    qos: QoS,
    no_local: bool,
    retain_as_published: bool,
    retain_handling: RetainHandling,
}

/// What the broker publishes for us when the link ends without a `Disconnect` (MQTT 3.1.1 §3.1.2.5).
///
/// The methods from [`delay_s`](Self::delay_s) on are of MQTT 5, and without effect on 3.1.1.
#[derive(Clone)]
pub struct Will {
    topic: String,
    payload: Vec<u8>,
    qos: QoS,
    retain: bool,
    delay_s: Option<u32>,
    message_expiry_s: Option<u32>,
    utf8: bool,
    content_type: Option<String>,
    response_topic: Option<String>,
    correlation_data: Option<Vec<u8>>,
    user_properties: Vec<(String, String)>,
}

impl Will {
    /// A will at QoS 0, not retained. The topic is checked by [`new`](crate::new()).
    #[must_use]
    pub fn new(topic: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            topic: topic.into(),
            payload: payload.into(),
            qos: QoS::AtMostOnce,
            retain: false,
            delay_s: None,
            message_expiry_s: None,
            utf8: false,
            content_type: None,
            response_topic: None,
            correlation_data: None,
            user_properties: Vec::new(),
        }
    }

    /// With the quality of service `qos`.
    #[must_use]
    pub fn qos(mut self, qos: QoS) -> Self {
        self.qos = qos;
        self
    }

    /// Whether the broker keeps it for later subscribers.
    #[must_use]
    pub fn retain(mut self, retain: bool) -> Self {
        self.retain = retain;
        self
    }

    /// How long the broker waits for us to come back before it publishes, in seconds.
    #[must_use]
    pub fn delay_s(mut self, seconds: u32) -> Self {
        self.delay_s = Some(seconds);
        self
    }

    /// How long the message is of interest after it was published, in seconds.
    #[must_use]
    pub fn message_expiry_s(mut self, seconds: u32) -> Self {
        self.message_expiry_s = Some(seconds);
        self
    }

    /// Declares the payload to be UTF-8 text.
    #[must_use]
    pub fn utf8(mut self) -> Self {
        self.utf8 = true;
        self
    }

    /// The content type, usually a MIME type.
    #[must_use]
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// The topic on which an answer is expected.
    #[must_use]
    pub fn response_topic(mut self, topic: impl Into<String>) -> Self {
        self.response_topic = Some(topic.into());
        self
    }

    /// What an answer must carry to be recognised.
    #[must_use]
    pub fn correlation_data(mut self, data: impl Into<Vec<u8>>) -> Self {
        self.correlation_data = Some(data.into());
        self
    }

    /// Adds a user property.
    #[must_use]
    pub fn user_property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.user_properties.push((name.into(), value.into()));
        self
    }

    fn properties(&self) -> Result<Vec<Property<'_>>, OptionsError> {
        let mut properties = Vec::new();
        properties.extend(self.delay_s.map(Property::WillDelayInterval));
        properties.extend(self.utf8.then_some(Property::PayloadFormatIndicator(true)));
        properties.extend(self.message_expiry_s.map(Property::MessageExpiryInterval));
        properties.extend(self.content_type.as_deref().map(Property::ContentType));
        properties.extend(
            self.response_topic
                .as_deref()
                .map(topic_name)
                .transpose()?
                .map(Property::ResponseTopic),
        );
        properties.extend(
            self.correlation_data
                .as_deref()
                .map(Property::CorrelationData),
        );
        properties.extend(
            pairs(&self.user_properties).map(|(name, value)| Property::UserProperty(name, value)),
        );
        Ok(properties)
    }
}

/// Memory is no matter here, and mosquitto sends more than was announced when it resumes a session after a restart.
const RECEIVE_MAXIMUM: u16 = 256;

impl SessionOptions {
    pub(crate) fn new() -> Self {
        Self {
            core: session::Options {
                receive_maximum: RECEIVE_MAXIMUM,
                ..session::Options::new("")
            },
            client_id: String::new(),
            user_name: None,
            password: None,
            will: None,
            subscriptions: Vec::new(),
            user_properties: Vec::new(),
            authentication: None,
        }
    }

    /// Takes over a preset. Its lists are copied; a method of authentication cannot be.
    pub(crate) fn of(preset: &session::Options<'_>) -> Self {
        let session::Options {
            version,
            client_id,
            clean_session,
            keep_alive_s,
            user_name,
            password,
            will: _,
            subscriptions,
            always_resubscribe,
            session_known,
            max_in_flight,
            receive_maximum,
            maximum_packet_size,
            oversize,
            redeliver_exactly_once,
            poison_after,
            connack_timeout_ms,
            ping_timeout_ms,
            ack_timeout_ms,
            connect_timeout_ms,
            reconnect,
            v5,
        } = *preset;
        Self {
            core: session::Options {
                version,
                client_id: "",
                clean_session,
                keep_alive_s,
                user_name: None,
                password: None,
                will: None,
                subscriptions: &[],
                always_resubscribe,
                session_known,
                max_in_flight,
                // Of memory there is enough, and presets are made for microcontrollers.
                receive_maximum: receive_maximum.max(RECEIVE_MAXIMUM),
                maximum_packet_size,
                oversize,
                redeliver_exactly_once,
                poison_after,
                connack_timeout_ms,
                ping_timeout_ms,
                ack_timeout_ms,
                connect_timeout_ms,
                reconnect,
                v5: V5Options {
                    session_expiry_s: v5.session_expiry_s,
                    topic_alias_maximum: v5.topic_alias_maximum,
                    topic_alias_memory: v5.topic_alias_memory,
                    request_problem_information: v5.request_problem_information,
                    request_response_information: v5.request_response_information,
                    ..V5Options::new()
                },
            },
            client_id: client_id.to_owned(),
            user_name: user_name.map(str::to_owned),
            password: password.map(<[u8]>::to_vec),
            will: None,
            subscriptions: subscriptions.iter().map(|it| (*it).into()).collect(),
            user_properties: v5
                .user_properties
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            authentication: None,
        }
    }

    /// Finds what the broker, or our own encoder, would refuse.
    pub(crate) fn check(&self) -> Result<(), OptionsError> {
        let too_long = |len: usize| len > usize::from(u16::MAX);
        if too_long(self.client_id.len()) {
            return Err(OptionsError::TooLong("client identifier"));
        }
        if self
            .user_name
            .as_ref()
            .is_some_and(|name| too_long(name.len()))
        {
            return Err(OptionsError::TooLong("user name"));
        }
        if self
            .password
            .as_ref()
            .is_some_and(|password| too_long(password.len()))
        {
            return Err(OptionsError::TooLong("password"));
        }
        if self
            .will
            .as_ref()
            .is_some_and(|will| too_long(will.payload.len()))
        {
            return Err(OptionsError::TooLong("payload of the will"));
        }
        self.check_version()?;
        Parts::of(self)?.options(self).map(drop)
    }

    /// The rules that MQTT 5 has lifted.
    fn check_version(&self) -> Result<(), OptionsError> {
        if self.core.version != Version::V3_1_1 {
            return Ok(());
        }
        if self.password.is_some() && self.user_name.is_none() {
            return Err(OptionsError::PasswordWithoutUserName);
        }
        if self.client_id.is_empty() && !self.core.clean_session {
            return Err(OptionsError::ClientIdNeeded);
        }
        Ok(())
    }
}

/// The lists that the borrowed options point to.
pub(crate) struct Parts<'a> {
    subscriptions: Vec<Subscription<'a>>,
    user_properties: Vec<(&'a str, &'a str)>,
    will_properties: Vec<Property<'a>>,
}

impl<'a> Parts<'a> {
    pub(crate) fn of(options: &'a SessionOptions) -> Result<Self, OptionsError> {
        Ok(Self {
            subscriptions: options
                .subscriptions
                .iter()
                .map(OwnedSubscription::borrowed)
                .collect::<Result<_, _>>()?,
            user_properties: pairs(&options.user_properties).collect(),
            will_properties: options
                .will
                .as_ref()
                .map(Will::properties)
                .transpose()?
                .unwrap_or_default(),
        })
    }

    /// What mqtt-core reads.
    pub(crate) fn options(
        &'a self,
        options: &'a SessionOptions,
    ) -> Result<session::Options<'a>, OptionsError> {
        let authentication = options.authentication.as_deref();
        Ok(session::Options {
            client_id: &options.client_id,
            user_name: options.user_name.as_deref(),
            password: options.password.as_deref(),
            will: options
                .will
                .as_ref()
                .map(|will| self.will(will))
                .transpose()?,
            subscriptions: &self.subscriptions,
            v5: V5Options {
                user_properties: &self.user_properties,
                authentication: authentication.map(|method| method as &(dyn Authentication + Sync)),
                ..options.core.v5
            },
            ..options.core
        })
    }

    fn will(&'a self, will: &'a Will) -> Result<mqtt_core::codec::Will<'a>, OptionsError> {
        Ok(mqtt_core::codec::Will {
            topic: topic_name(&will.topic)?,
            payload: &will.payload,
            qos: will.qos,
            retain: will.retain,
            properties: Properties::from(self.will_properties.as_slice()),
        })
    }
}

impl OwnedSubscription {
    pub(crate) fn new(filter: impl Into<String>, qos: QoS) -> Self {
        Self {
            filter: filter.into(),
            qos,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::default(),
        }
    }

    fn borrowed(&self) -> Result<Subscription<'_>, OptionsError> {
        let filter =
            TopicFilter::new(&self.filter).map_err(|_| OptionsError::Topic(self.filter.clone()))?;
        Ok(Subscription {
            filter,
            qos: self.qos,
            no_local: self.no_local,
            retain_as_published: self.retain_as_published,
            retain_handling: self.retain_handling,
        })
    }
}

impl From<Subscription<'_>> for OwnedSubscription {
    fn from(subscription: Subscription<'_>) -> Self {
        Self {
            filter: subscription.filter.as_str().to_owned(),
            qos: subscription.qos,
            no_local: subscription.no_local,
            retain_as_published: subscription.retain_as_published,
            retain_handling: subscription.retain_handling,
        }
    }
}

fn topic_name(topic: &str) -> Result<TopicName<'_>, OptionsError> {
    TopicName::new(topic).map_err(|_| OptionsError::Topic(topic.to_owned()))
}

fn pairs(list: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    list.iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
}

/// Password, payload of the will and user properties are not shown.
impl fmt::Debug for SessionOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("client_id", &self.client_id)
            .field("user_name", &self.user_name.as_ref().map(|_| "(not shown)"))
            .field("password", &self.password.as_ref().map(|_| "(not shown)"))
            .field("will", &self.will)
            .field("subscriptions", &self.subscriptions)
            .field("user_properties", &self.user_properties.len())
            .field(
                "authentication",
                &self.authentication.as_ref().map(|method| method.method()),
            )
            .field("settings", &self.core)
            .finish()
    }
}

impl fmt::Debug for Will {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Will")
            .field("topic", &self.topic)
            .field("payload_len", &self.payload.len())
            .field("qos", &self.qos)
            .field("retain", &self.retain)
            .finish_non_exhaustive()
    }
}
