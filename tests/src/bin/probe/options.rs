//! From a `connect` command to the options of the client.

use mqtt_std::{Options, Reconnect};

use crate::authentication::Fixed;
use crate::command::{Connect, Oversize, Version};

/// The options that the command asks for; the defaults of the client for the rest.
pub(crate) fn options(host: &str, port: u16, connect: Connect) -> Options {
    let mut options = Options::new(host).port(port);
    if !connect.reconnect {
        options = options.reconnect(Reconnect::never());
    }
    for filter in connect.subscriptions {
        options = options.subscribe(filter.filter, filter.qos.0);
    }
    if let Some(method) = connect.authentication_method {
        let data = connect.authentication_data_hex.unwrap_or_default().0;
        options = options.authentication(Fixed { method, data });
    }
    let version = connect.version.map(Version::code);
    let oversize = connect.oversize.map(|oversize| match oversize {
        Oversize::Skip => mqtt_std::Oversize::Skip,
        Oversize::Stream => mqtt_std::Oversize::Stream,
    });
    Setter(options)
        .set(version, Options::version)
        .set(connect.client_id, Options::client_id)
        .set(connect.clean, Options::clean_session)
        .set(connect.keep_alive_s, Options::keep_alive_s)
        .set(connect.username, Options::user_name)
        .set(connect.password_hex, |options, password| {
            options.password(password.0)
        })
        .set(connect.will, |options, will| {
            options.will(will.topic, will.payload_hex.0, will.qos.0, will.retain)
        })
        .set(connect.rx_buffer, Options::rx_buffer)
        .set(connect.tx_buffer, Options::tx_buffer)
        .set(oversize, Options::oversize)
        .set(connect.session_expiry_s, Options::session_expiry_s)
        .set(connect.receive_maximum, Options::receive_maximum)
        .set(connect.maximum_packet_size, Options::maximum_packet_size)
        .set(connect.topic_alias_maximum, Options::topic_alias_maximum)
        .set(connect.request_problem_information, |options, request| {
            options.request_problem_information(request != 0)
        })
        .0
}

/// Sets what there is.
struct Setter(Options);

impl Setter {
    fn set<T>(self, value: Option<T>, set: impl FnOnce(Options, T) -> Options) -> Self {
        match value {
            Some(value) => Self(set(self.0, value)),
            None => self,
        }
    }
}
