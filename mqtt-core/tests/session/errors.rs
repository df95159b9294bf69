//! What a log says of an error, and what a program can decide by it.

use mqtt_core::{
    codec::{DecodeError, EncodeError, Fault, ReasonCode, TopicError},
    session::{DeliveryError, Event, ProtocolError, PublishError, RestoreError, SessionError},
};

#[test]
fn a_link_that_ends_says_why_in_words() {
    let not_authorized = ReasonCode::NOT_AUTHORIZED;
    let texts = [
        (
            SessionError::from(DecodeError::QoS),
            "server sent a bad packet: both QoS bits set",
        ),
        (
            ProtocolError::UnexpectedPacket.into(),
            "server broke the protocol: packet out of place",
        ),
        (
            SessionError::Refused(not_authorized),
            "refused: not authorized",
        ),
        (
            SessionError::ServerDisconnect(ReasonCode::SESSION_TAKEN_OVER),
            "server disconnected: session taken over",
        ),
        (SessionError::ConnAckTimeout, "no answer to CONNECT"),
        (SessionError::PingTimeout, "no answer to PINGREQ"),
        (SessionError::AckTimeout, "no acknowledgement in time"),
        (SessionError::WriteTimeout, "link takes no more bytes"),
    ];
    for (error, text) in texts {
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn a_refusal_of_3_1_1_is_told_in_the_words_of_3_1_1() {
    let texts = [
        "refused: unacceptable protocol version",
        "refused: identifier rejected",
        "refused: server unavailable",
        "refused: bad user name or password",
        "refused: not authorized",
    ];
    for (code, text) in (1..).zip(texts) {
        let error = SessionError::Refused(ReasonCode::new(code));
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn a_call_that_is_refused_says_why_in_words() {
    let texts = [
        (PublishError::Full, "no room in the transmit buffer"),
        (PublishError::Topic(TopicError::Wildcard), "wildcard"),
        (
            PublishError::Encode(EncodeError::PropertyTwice),
            "property given twice",
        ),
        (PublishError::NotConnected, "not connected"),
    ];
    for (error, text) in texts {
        assert!(error.to_string().contains(text), "{error}");
    }
    assert_eq!(RestoreError::InUse.to_string(), "session is in use");
}

#[test]
fn a_message_that_did_not_arrive_says_why_in_words() {
    let rejected = DeliveryError::Rejected(ReasonCode::QUOTA_EXCEEDED);
    assert_eq!(rejected.to_string(), "rejected: quota exceeded");
    let expired = DeliveryError::Expired.to_string();
    assert_eq!(expired, "expired before it could be sent");
}

#[test]
fn an_error_says_whether_the_peer_broke_the_standard() {
    let faults = [
        (
            SessionError::Decode(DecodeError::String),
            Some(Fault::Malformed),
        ),
        (
            SessionError::Decode(DecodeError::TopicEmpty),
            Some(Fault::ProtocolError),
        ),
        (
            SessionError::Protocol(ProtocolError::SessionPresent),
            Some(Fault::ProtocolError),
        ),
        (SessionError::PingTimeout, None),
        (SessionError::Refused(ReasonCode::MALFORMED_PACKET), None),
    ];
    for (error, fault) in faults {
        assert_eq!(error.fault(), fault, "{error}");
    }
}

#[test]
fn a_limit_of_the_server_is_named_by_the_code_that_the_server_would_have_sent() {
    let limits = [
        (PublishError::QoSNotSupported, 0x9b),
        (PublishError::RetainNotSupported, 0x9a),
        (PublishError::PacketTooLarge, 0x95),
        (PublishError::WildcardsNotSupported, 0xa2),
        (PublishError::SharedSubscriptionsNotSupported, 0x9e),
        (PublishError::SubscriptionIdentifiersNotSupported, 0xa1),
    ];
    for (error, code) in limits {
        assert_eq!(error.server_limit(), Some(ReasonCode::new(code)), "{error}");
    }
    for error in [PublishError::Full, PublishError::TooLarge] {
        assert_eq!(error.server_limit(), None, "{error}");
    }
}

#[test]
fn a_printed_event_says_what_it_is() {
    let (bytes, last) = (&b"x"[..], true);
    let piece = format!("{:?}", Event::Piece { bytes, last });
    assert_eq!(piece, "Piece { bytes: [120], last: true }");
    assert_eq!(format!("{:?}", Event::None), "None");
}
