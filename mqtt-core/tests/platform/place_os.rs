//! PlaceOS: what is read, subscribed and published, against the vectors and the servers' rules.

use crate::support::{Vector, vectors, write, write_into};
use mqtt_core::{
    Message, QoS,
    codec::{EncodeError, TopicFilter},
    platform::{
        json::JsonError,
        place_os::{
            Level, MetadataTopic, OtherZones, PATH, ReadError, SUBPROTOCOL, State, StateFilter,
            StateTopic, Token, TokenError, TokenKind, WithRegion, WithoutRegion, Zones, options,
            read_metadata, read_state, zone_levels,
        },
    },
};
use proptest::prelude::*;
use serde_json::json;

const POWER: &str =
    "placeos/zone-org/state/_/zone-bld/zone-lvl/_/sys-abc/driver-xyz/Display/1/power";

fn all_vectors() -> Vec<Vector> {
    vectors(include_str!("vectors/placeos.json"))
}

fn vector(name: &str) -> Vector {
    all_vectors()
        .into_iter()
        .find(|vector| vector.name() == name)
        .unwrap()
}

fn power() -> StateTopic<'static, WithRegion<Option<&'static str>>> {
    StateTopic {
        scope: "zone-org",
        zones: WithRegion {
            region: None,
            building: Some("zone-bld"),
            level: Some("zone-lvl"),
            area: None,
        },
        system: "sys-abc",
        driver: "driver-xyz",
        module: "Display",
        index: 1,
        key: "power",
    }
}

fn state<'m>(
    topic: &'m str,
    payload: &'m [u8],
) -> Result<Option<State<'m, WithRegion<Option<&'m str>>>>, ReadError> {
    read_state((topic, payload))
}

#[test]
fn every_state_of_the_vectors_is_read_and_can_be_published_again() {
    let mut read = 0;
    for vector in all_vectors() {
        if vector.get("kind") != "publish"
            || !vector.text("topic").contains("/state/")
            || vector.is_malformed()
        {
            continue;
        }
        read += 1;
        let (topic, payload) = (vector.text("topic"), vector.payload());
        let message = (topic, &payload[..]);
        let state = read_state::<WithRegion<_>>(message).unwrap().unwrap();
        let written = match state.value {
            None => {
                assert!(payload.is_empty());
                write(&state.topic.removal()).unwrap()
            }
            Some(value) => {
                let expected: serde_json::Value = serde_json::from_slice(&payload).unwrap();
                assert_eq!(value.time_ms, expected["time"].as_i64().unwrap() * 1000);
                let json: serde_json::Value = serde_json::from_str(value.json.as_str()).unwrap();
                assert_eq!(json, expected["value"]);
                write(&state.topic.value(1_700_000_001, &json)).unwrap()
            }
        };
        assert_eq!(written.topic, topic);
        assert!(written.retain);
    }
    assert_eq!(read, 8);
}

#[test]
fn what_a_bridge_publishes_is_what_the_server_publishes() {
    vector("publisher-state").assert_is(&write(&power().value(1_700_000_000, &true)).unwrap());
    vector("publisher-delete").assert_is(&write(&power().removal()).unwrap());
    let metadata = MetadataTopic::new("zone-lvl");
    let model = json!({"name": "Level 24"});
    vector("publisher-metadata").assert_is(&write(&metadata.model(1_700_000_000, &model)).unwrap());
    vector("publisher-metadata-deleted")
        .assert_is(&write(&metadata.model(1_700_000_000, &())).unwrap());
    let written = write(&power().value(1_700_000_000, &true)).unwrap();
    assert_eq!(written.text(), r#"{"time":1700000000,"value":true}"#);
    assert_eq!(
        write(&power().value(0, &1).at_least_once()).unwrap().qos,
        QoS::AtLeastOnce
    );
    let cleared = write(&metadata.removal()).unwrap();
    assert_eq!(
        (
            cleared.topic.as_str(),
            cleared.payload.len(),
            cleared.retain
        ),
        ("placeos/org/metadata/zone-lvl", 0, true)
    );
}

#[test]
fn each_level_of_the_topic_has_its_place() {
    let read = state(POWER, b"").unwrap().unwrap();
    assert_eq!(read.topic, power());
    assert_eq!(read.value, None);
}

#[test]
fn malformed_vectors_are_refused_with_the_reason() {
    let read = |name| {
        let vector = vector(name);
        assert!(vector.is_malformed());
        let (topic, payload) = (vector.text("topic").to_owned(), vector.payload());
        let message = (topic.as_str(), &payload[..]);
        read_state::<WithRegion<_>>(message).map(|state| state.is_some())
    };
    assert_eq!(
        read("bad-time-string"),
        Err(ReadError::Payload(JsonError::Type))
    );
    assert_eq!(
        read("bad-truncated"),
        Err(ReadError::Payload(JsonError::Syntax))
    );
    assert_eq!(read("bad-short-topic"), Err(ReadError::Levels));
    assert_eq!(read("bad-index"), Err(ReadError::ModuleIndex));
    let malformed = all_vectors()
        .iter()
        .filter(|vector| vector.is_malformed())
        .count();
    assert_eq!(malformed, 4);
}

#[test]
fn a_value_becomes_a_type_of_the_application() {
    let value = |payload: &'static [u8]| state(POWER, payload).unwrap().unwrap().value.unwrap();
    assert_eq!(value(br#"{"time":1,"value":false}"#).to(), Ok(false));
    assert_eq!(
        value(br#"{"value":"hello","time":1,"more":[]}"#).to(),
        Ok("hello")
    );
    assert!(value(br#"{"time":1,"value":null}"#).json.is_null());
    assert_eq!(
        value(br#"{"time":1,"value":1}"#).to::<bool>(),
        Err(JsonError::Type)
    );
}

#[test]
fn seconds_and_milliseconds_are_told_apart() {
    let time_ms = |payload: &'static [u8]| {
        state(POWER, payload)
            .unwrap()
            .unwrap()
            .value
            .unwrap()
            .time_ms
    };
    assert_eq!(
        time_ms(br#"{"time":1700000000,"value":1}"#),
        1_700_000_000_000
    );
    assert_eq!(
        time_ms(br#"{"time":1700000000123,"value":1}"#),
        1_700_000_000_123
    );
}

#[test]
fn a_value_without_its_envelope_is_refused() {
    for payload in [
        "true",
        "[]",
        "{}",
        r#"{"time":1}"#,
        r#"{"value":1}"#,
        r#"{"time":1.5e300,"value":1}"#,
    ] {
        assert_eq!(
            state(POWER, payload.as_bytes()),
            Err(ReadError::Payload(JsonError::Type)),
            "{payload}"
        );
    }
}

#[test]
fn other_topics_are_none_of_our_business() {
    for topic in [
        "",
        "placeos",
        "placeos/org",
        "placeos/org/metadata/x",
        "placeos/org/stateful/x",
        "other/zone-org/state/a/b/c/d/e/f/g/1/h",
    ] {
        assert_eq!(state(topic, b"{}"), Ok(None), "{topic}");
    }
}

#[test]
fn an_empty_level_is_malformed() {
    for topic in [
        "placeos//state/_/b/l/a/s/d/M/1/k",
        "placeos/o/state//b/l/a/s/d/M/1/k",
        "placeos/o/state/_/b/l/a//d/M/1/k",
        "placeos/o/state/_/b/l/a/s/d/M/1/",
        "placeos/o/state/_/b/l/a/s/d/M/1",
    ] {
        assert_eq!(state(topic, b""), Err(ReadError::Levels), "{topic}");
    }
    for index in ["-1", "1.0", "4294967296", "0x1", "+1"] {
        let topic = format!("placeos/o/state/_/b/l/a/s/d/M/{index}/k");
        assert_eq!(state(&topic, b""), Err(ReadError::ModuleIndex), "{topic}");
    }
}

#[test]
fn a_deployment_without_regions_has_a_level_less() {
    let topic = "placeos/org-1/state/bld/lvl/_/sys/drv/Mixer/12/level";
    let message = Message::new(topic, br#"{"time":1,"value":0.5}"#);
    assert_eq!(zone_levels(topic), Some(3));
    assert_eq!(zone_levels(POWER), Some(4));
    assert_eq!(zone_levels("placeos/org/metadata/x"), None);
    let read = read_state::<WithoutRegion<_>>(&message).unwrap().unwrap();
    let zones = WithoutRegion {
        building: Some("bld"),
        level: Some("lvl"),
        area: None,
    };
    assert_eq!((read.topic.zones, read.topic.index), (zones, 12));
    // One level is missing where another hierarchy is expected.
    assert_eq!(
        read_state::<WithRegion<_>>(&message),
        Err(ReadError::Levels)
    );
    let read = read_state::<OtherZones<_, 3>>(&message).unwrap().unwrap();
    assert_eq!(
        read.topic.zones,
        OtherZones([Some("bld"), Some("lvl"), None])
    );
    assert_eq!(write(&read.topic.removal()).unwrap().topic, topic);
}

#[test]
fn names_and_keys_are_free_text() {
    let topic = "placeos/o/state/_/b/l/a/s/d/Bob's Desk/2/a/b";
    let read = state(topic, b"").unwrap().unwrap().topic;
    assert_eq!((read.module, read.key), ("Bob's Desk", "a/b"));
}

#[test]
fn every_filter_of_the_vectors_can_be_built() {
    let mut memory = [0; 128];
    let assert_is = |name: &str, filter: TopicFilter<'_>| {
        assert_eq!(filter, vector(name).text("topic"));
    };
    let building = StateFilter {
        scope: Level::Is("zone-org"),
        ..StateFilter::all(WithRegion {
            building: Level::Is("zone-bld"),
            ..WithRegion::ANY
        })
    };
    assert_is("subscribe-building", building.write(&mut memory).unwrap());
    let connected = StateFilter {
        scope: Level::Is("zone-org"),
        key: Level::Is("connected"),
        ..StateFilter::all(WithRegion::ANY)
    };
    assert_is(
        "subscribe-connected-9",
        connected.write(&mut memory).unwrap(),
    );
    let connected = StateFilter {
        scope: Level::Is("org-1"),
        key: Level::Is("connected"),
        ..StateFilter::all(WithoutRegion::ANY)
    };
    assert_is(
        "subscribe-connected-8",
        connected.write(&mut memory).unwrap(),
    );
}

#[test]
fn each_level_can_be_filtered() {
    let mut memory = [0; 128];
    let all = StateFilter::all(WithRegion::ANY);
    let topic = POWER;
    let filters = [
        ("placeos/+/state/#", all),
        (
            "placeos/+/state/_/#",
            StateFilter {
                zones: WithRegion {
                    region: Level::Missing,
                    ..WithRegion::ANY
                },
                ..all
            },
        ),
        (
            "placeos/+/state/+/+/zone-lvl/#",
            StateFilter {
                zones: WithRegion {
                    level: Level::Is("zone-lvl"),
                    ..WithRegion::ANY
                },
                ..all
            },
        ),
        (
            "placeos/+/state/+/+/+/_/#",
            StateFilter {
                zones: WithRegion {
                    area: Level::Missing,
                    ..WithRegion::ANY
                },
                ..all
            },
        ),
        (
            "placeos/+/state/+/+/+/+/sys-abc/#",
            StateFilter {
                system: Level::Is("sys-abc"),
                ..all
            },
        ),
        (
            "placeos/+/state/+/+/+/+/+/driver-xyz/#",
            StateFilter {
                driver: Level::Is("driver-xyz"),
                ..all
            },
        ),
        (
            "placeos/+/state/+/+/+/+/+/+/Display/#",
            StateFilter {
                module: Level::Is("Display"),
                ..all
            },
        ),
        (
            "placeos/+/state/+/+/+/+/+/+/+/1/#",
            StateFilter {
                index: Some(1),
                ..all
            },
        ),
        (
            "placeos/+/state/+/+/+/+/+/+/+/+/power",
            StateFilter {
                key: Level::Is("power"),
                ..all
            },
        ),
    ];
    for (expected, filter) in filters {
        let written = filter.write(&mut memory).unwrap();
        assert_eq!(written, expected);
        assert!(written.matches(topic), "{expected}");
        assert!(TopicFilter::new(expected).is_ok());
    }
    let other = StateFilter {
        zones: OtherZones([Level::Is("a"), Level::Any]),
        key: Level::Is("k"),
        ..StateFilter::all(OtherZones::ANY)
    };
    assert_eq!(
        other.write(&mut memory).unwrap(),
        "placeos/+/state/a/+/+/+/+/+/k"
    );
    assert!(
        TopicFilter::new(MetadataTopic::FILTER)
            .unwrap()
            .matches("placeos/org/metadata/zone-lvl")
    );
}

#[test]
fn levels_that_would_be_something_else_are_refused() {
    let mut memory = [0; 128];
    for level in ["", "a/b", "+", "#", "a+", "\0"] {
        let filter = StateFilter {
            system: Level::Is(level),
            ..StateFilter::all(WithRegion::ANY)
        };
        assert_eq!(
            filter.write(&mut memory).err(),
            Some(EncodeError::InvalidValue),
            "{level:?}"
        );
        let topic = StateTopic {
            system: level,
            ..power()
        };
        assert_eq!(
            write(&topic.removal()),
            Err(EncodeError::InvalidValue),
            "{level:?}"
        );
        assert_eq!(
            write(&MetadataTopic::new(level).removal()),
            Err(EncodeError::InvalidValue),
            "{level:?}"
        );
    }
    let missing = StateFilter {
        module: Level::Missing,
        ..StateFilter::all(WithRegion::ANY)
    };
    assert_eq!(
        missing.write(&mut memory).err(),
        Some(EncodeError::InvalidValue)
    );
    let mut topic = power();
    topic.zones.area = Some("_");
    assert_eq!(write(&topic.removal()), Err(EncodeError::InvalidValue));
}

#[test]
fn a_buffer_too_small_asks_for_more_room() {
    let filter = StateFilter {
        key: Level::Is("power"),
        ..StateFilter::all(WithRegion::ANY)
    };
    let len = filter.write(&mut [0; 128]).unwrap().len();
    for room in 0..len {
        assert_eq!(
            filter.write(&mut vec![0; room]).err(),
            Some(EncodeError::NoRoom)
        );
    }
    assert!(filter.write(&mut vec![0; len]).is_ok());
    let topic = power();
    let value = topic.value(1_700_000_000, &true);
    for room in 0..write(&value).unwrap().payload.len() {
        assert_eq!(write_into(&value, room), Err(EncodeError::NoRoom));
    }
}

#[test]
fn metadata_is_read_wrapped_bare_and_deleted() {
    let topic = "placeos/org/metadata/zone-lvl";
    let read = |payload: &'static str| {
        let message = (topic, payload.as_bytes());
        read_metadata(message).map(|metadata| {
            let metadata = metadata.unwrap();
            assert_eq!(metadata.topic, MetadataTopic::new("zone-lvl"));
            (
                metadata.time_ms,
                metadata.model.map(|model| model.as_str().to_owned()),
            )
        })
    };
    let model = r#"{"name":"Level 24"}"#;
    assert_eq!(
        read(r#"{"time":1700000000,"value":{"name":"Level 24"}}"#),
        Ok((Some(1_700_000_000_000), Some(model.into())))
    );
    assert_eq!(
        read(r#"{"name":"Level 24"}"#),
        Ok((None, Some(model.into())))
    );
    assert_eq!(
        read(r#"{"time":1700000000,"value":null}"#),
        Ok((Some(1_700_000_000_000), None))
    );
    assert_eq!(read(""), Ok((None, None)));
    for bad in ["1", "[]", r#"{"time":1,"value":2}"#] {
        assert_eq!(read(bad), Err(ReadError::Payload(JsonError::Type)), "{bad}");
    }
    assert_eq!(read("{"), Err(ReadError::Payload(JsonError::Syntax)));
    for topic in [
        "placeos/org/metadata/",
        "placeos//metadata/x",
        "placeos/org/metadata/x/y",
        "placeos/org/state/x",
    ] {
        assert_eq!(read_metadata((topic, &b"{}"[..])), Ok(None), "{topic}");
    }
}

#[test]
fn every_metadata_vector_is_read() {
    let metadata = all_vectors()
        .into_iter()
        .filter(|vector| vector.text("topic").contains("/metadata/"));
    let models: Vec<_> = metadata
        .map(|vector| {
            let (topic, payload) = (vector.text("topic").to_owned(), vector.payload());
            let message = (topic.as_str(), &payload[..]);
            let read = read_metadata(message).unwrap().unwrap();
            (vector.name().to_owned(), read.model.is_some())
        })
        .collect();
    assert_eq!(
        models,
        [
            ("publisher-metadata".into(), true),
            ("publisher-metadata-deleted".into(), false)
        ]
    );
}

#[test]
fn the_token_is_user_name_and_password() {
    let vector = vector("connect-jwt");
    let connect = vector.get("connect");
    let token = Token::new("hhhh.pppp.ssss").unwrap();
    assert_eq!(token.kind(), TokenKind::Jwt);
    let options = options("dashboard", token);
    assert_eq!(connect["username"], options.user_name.unwrap());
    assert_eq!(
        connect["password"].as_str().unwrap().as_bytes(),
        options.password.unwrap()
    );
    assert_eq!(connect["clean"], options.clean_session);
    assert_eq!(connect["websocket_path"], PATH);
    assert_eq!(connect["subprotocol"], SUBPROTOCOL);
}

#[test]
fn a_text_with_another_number_of_dots_is_no_token() {
    assert_eq!(
        Token::new("abc.def").map(Token::kind),
        Ok(TokenKind::ApiKey)
    );
    for text in ["", "abc", "a.b.c.d", ".", "..", "a.", ".b", "a..c", "a.b."] {
        assert_eq!(Token::new(text).err(), Some(TokenError), "{text}");
    }
    assert_eq!(
        Token::new(&("a.".to_owned() + &"b".repeat(65_534))).err(),
        Some(TokenError)
    );
}

#[test]
fn a_token_is_not_printed() {
    assert_eq!(
        format!("{:?}", Token::new("secret.key").unwrap()),
        "Token(ApiKey)"
    );
}

fn level() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9' .-]{1,6}"
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        names in prop::array::uniform5(level()),
        zones in prop::array::uniform4(prop::option::of(level())),
        index: u32,
    ) {
        let [scope, system, driver, module, key] = &names;
        let zones = WithRegion::from_levels(&mut {
            let mut zones = zones.iter();
            move || zones.next().map(Option::as_deref)
        }).unwrap();
        let topic = StateTopic { scope, zones, system, driver, module, index, key };
        let written = write(&topic.value(7, &"x")).unwrap();
        let message = (written.topic.as_str(), &written.payload[..]);
        let read = read_state::<WithRegion<_>>(message).unwrap().unwrap();
        prop_assert_eq!(read.topic, topic);
        prop_assert_eq!(read.value.unwrap().time_ms, 7000);
    }

    #[test]
    fn no_message_breaks_the_reader(topic in "(placeos/)?[a-z/_0-9]{0,30}(/state/|/metadata/)?[a-z/_0-9]{0,40}|.*", payload: Vec<u8>, json in "[\\[\\]{}:,\"0-9a-z ]{0,40}") {
        for payload in [&payload[..], json.as_bytes(), format!(r#"{{"time":1,"value":{json}}}"#).as_bytes()] {
            let message = (topic.as_str(), payload);
            let _ = read_state::<WithRegion<_>>(message);
            let _ = read_state::<WithoutRegion<_>>(message);
            let _ = read_state::<OtherZones<_, 0>>(message);
            let _ = read_metadata(message);
        }
        let _ = zone_levels(&topic);
    }
}
