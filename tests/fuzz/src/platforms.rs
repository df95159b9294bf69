//! Messages of the platforms to their parsers: ThingsBoard, Losant, IBM Watson IoT and `PlaceOS`.
//!
//! What has to hold: what was read is what `serde_json` finds in the payload; what can be written is written back the same;
//! secrets are not shown; and a managed device answers each request once, with JSON and a code, whatever came before.

use mqtt_core::{
    Instant, Publication,
    codec::Writer,
    platform::{
        json::{JsonStr, RawJson},
        losant::{self, Date, NmeaSentence},
        place_os::{self, OtherZones, StateTopic, WithRegion, WithoutRegion, Zones},
        thingsboard::{self, AttributeUpdate, SeenRequests, Topics, gateway, provisioning, update},
        watson_iot::{
            self, Notification, Status,
            management::{
                Action, ActionKind, DownloadFailure, FirmwareState, ManagedDevice, Profile,
                Refusal, Response, Target, UpdateFailure, UpdateStatus,
            },
        },
    },
};
use serde_json::Value;

/// Topics and payloads in turn, with U+0000 between them.
pub fn run(input: &[u8]) {
    let mut record = [0; 100];
    let mut device = managed(&mut record);
    let mut parts = input.split(|byte| *byte == 0);
    let mut now = Instant::from_millis(u32::MAX - 100_000);
    for _ in 0..MOST_MESSAGES {
        let (Some(topic), payload) = (parts.next(), parts.next()) else {
            break;
        };
        let (Ok(topic), payload) = (std::str::from_utf8(topic), payload.unwrap_or_default()) else {
            continue;
        };
        read(topic, payload);
        now = now.plus(u32::try_from(payload.len()).unwrap() * 400);
        manage(&mut device, topic, payload, now);
    }
}

const MOST_MESSAGES: usize = 16;

fn read(topic: &str, payload: &[u8]) {
    let message = (topic, payload);
    let value = serde_json::from_slice::<Value>(payload).ok();
    losant(message, value.as_ref());
    thingsboard(message, value.as_ref());
    behind_gateway(message, value.as_ref());
    place_os(message, value.as_ref());
    watson_iot(message);
    texts(payload);
}

/// As it lies in the message, and as `serde_json` finds it.
fn same(json: RawJson<'_>, value: &Value) {
    let read = serde_json::from_slice::<Value>(json.as_bytes());
    assert_eq!(read.ok().as_ref(), Some(value));
}

fn same_text(text: JsonStr<'_>, value: &Value) {
    assert_eq!(Some(&*text.to_string()), value.as_str());
}

/// A member that may be missing.
fn same_member(json: Option<RawJson<'_>>, value: &Value, name: &str) {
    assert_eq!(json.is_some(), value.get(name).is_some(), "{name}");
    if let (Some(json), Some(value)) = (json, value.get(name)) {
        same(json, value);
    }
}

fn losant(message: (&str, &[u8]), value: Option<&Value>) {
    let result = losant::read_command(message);
    if let (Ok(Some((id, command))), Some(value)) = (&result, value) {
        assert_eq!(message.0, format!("losant/{id}/command"));
        same_text(command.name, &value["name"]);
        same_member(command.raw_payload(), value, "payload");
        let _ = command.time();
        // A device's own identifier is checked for its length too.
        if let Ok(device) = losant::Device::new(id) {
            let own = device.command(message).expect("it was read").expect("ours");
            assert!(own.name == command.name);
        }
    }
    if result.is_err() {
        let is_command = value.is_some_and(|value| value["name"].is_string());
        assert!(!is_command || RawJson::parse(message.1).is_err());
    }
}

fn thingsboard(message: (&str, &[u8]), value: Option<&Value>) {
    for topics in [Topics::V1, Topics::V2] {
        let device = thingsboard::Device::new().topics(topics);
        let request = device.rpc_request(message);
        if let (Ok(Some(request)), Some(value)) = (request, value) {
            assert!(message.0.ends_with(&request.id.to_string()));
            same_text(request.method, &value["method"]);
            if value.get("params").is_some() {
                same(request.params, &value["params"]);
            }
            let _ = gateway::Notice::of(&request);
            let mut seen = SeenRequests::<2>::new();
            let _ = seen.note(&request);
        }
        let response = device.rpc_response(message);
        if let (Ok(Some(response)), Some(value)) = (response, value) {
            same(response.value, value);
            let is_timeout = value.get("error").is_some_and(|error| error == "timeout");
            assert_eq!(response.is_timeout(), is_timeout);
            if let Ok(limits) = response.session_limits() {
                assert!(value.get("rateLimits").is_some());
                limit(&limits.rates);
                limits.gateway_rates.iter().for_each(limit);
            }
        }
        let changed = device.attribute_update(message);
        if let (Ok(Some(changed)), Some(value)) = (changed, value) {
            attributes(&changed, value);
        }
        let found = device.attribute_response(message);
        if let (Ok(Some(found)), Some(value)) = (found, value) {
            assert!(message.0.ends_with(&found.id.to_string()));
            same_member(found.client, value, "client");
            same_member(found.shared, value, "shared");
        }
    }
    if let (Ok(Some(provisioned)), Some(value)) = (provisioning::response(message), value) {
        let shown = format!("{provisioned:?}");
        let secret = value["credentialsValue"].as_str().unwrap_or_default();
        let is_word = "AccessToken Basic X509 Refused".contains(secret);
        assert!(
            secret.len() < 6 || is_word || !shown.contains(secret),
            "{shown}"
        );
    }
    if let Some(name) = mqtt_core::codec::TopicName::new(message.0)
        .ok()
        .and_then(update::ChunkName::of)
    {
        assert!(message.0.contains("/response/"), "{name:?}");
    }
    if let Ok(json) = RawJson::parse(message.1) {
        for package in [update::Package::Firmware, update::Package::Software] {
            let _ = update::Offer::read(package, json);
        }
    }
}

fn limit(rates: &thingsboard::Rates<'_>) {
    let Ok(mut limiter) = thingsboard::RateLimiter::new(rates) else {
        return;
    };
    let mut now = Instant::from_millis(u32::MAX - 500);
    for _ in 0..20 {
        if let Err(later) = limiter.try_send(thingsboard::Traffic::Other, now) {
            assert!(
                later.has_reached(now) && later != now,
                "never allowed again"
            );
            now = later;
        }
    }
}

fn attributes(changed: &AttributeUpdate<'_>, value: &Value) {
    match changed {
        AttributeUpdate::Changed(changed) => same(*changed, value),
        AttributeUpdate::Deleted(keys) => {
            let names = value["deleted"].as_array().expect("an array");
            assert_eq!(keys.iter().count(), names.len());
            for (key, name) in keys.iter().zip(names) {
                same_text(key, name);
                assert!(keys.contains(name.as_str().expect("a name")));
            }
        }
    }
}

fn behind_gateway(message: (&str, &[u8]), value: Option<&Value>) {
    let changed = gateway::attribute_update(message);
    let found = gateway::attribute_response(message);
    let request = gateway::rpc_request(message);
    let gone = gateway::disconnected(message);
    let Some(value) = value else {
        return;
    };
    if let Ok(Some(changed)) = changed {
        same_text(changed.device, &value["device"]);
        attributes(&changed.content, &value["data"]);
    }
    if let Ok(Some(found)) = found {
        same_text(found.device, &value["device"]);
        assert_eq!(Some(u64::from(found.content.id)), value["id"].as_u64());
        match found.content.found {
            gateway::Found::Nothing => assert!(value.get("value").is_none()),
            gateway::Found::Value(json) => same(json, &value["value"]),
            gateway::Found::Values(json) => same(json, &value["values"]),
        }
    }
    if let Ok(Some(request)) = request {
        same_text(request.device, &value["device"]);
        same_text(request.content.method, &value["data"]["method"]);
    }
    if let Ok(Some(gone)) = gone {
        same_text(gone.device, &value["device"]);
    }
}

fn place_os(message: (&str, &[u8]), value: Option<&Value>) {
    state::<WithRegion<Option<&str>>>(message, value);
    state::<WithoutRegion<Option<&str>>>(message, value);
    state::<OtherZones<Option<&str>, 0>>(message, value);
    let _ = place_os::zone_levels(message.0);
    if let Ok(Some(metadata)) = place_os::read_metadata(message) {
        assert_eq!(
            topic_of(&metadata.topic.removal()).as_deref(),
            legal(message.0)
        );
        let is_bare = value.is_some_and(|value| value.get("value").is_none());
        if let (Some(model), Some(value), true) = (metadata.model, value, is_bare) {
            same(model, value);
        }
    }
}

fn state<'m, Z: Zones<Option<&'m str>>>(message: (&'m str, &'m [u8]), value: Option<&Value>) {
    let Ok(Some(state)) = place_os::read_state::<Z>(message) else {
        return;
    };
    if let (Some(read), Some(value)) = (state.value, value) {
        same(read.json, &value["value"]);
        let time = value["time"].as_i64().expect("a number");
        assert!(read.time_ms == time || read.time_ms == time * 1000);
    }
    let index = state.topic.index;
    if let Some(written) = topic_of(&StateTopic::removal(&state.topic)) {
        let index = index.to_string();
        let mut levels = message.0.split('/').zip(written.split('/'));
        assert_eq!(message.0.split('/').count(), written.split('/').count());
        // Zeros before the index are left out.
        let is_index = |level: &str| level.trim_start_matches('0') == index.trim_start_matches('0');
        assert!(
            levels.all(|(read, written)| read == written || (is_index(read) && written == index))
        );
    }
}

/// `None` if the topic cannot be written.
fn topic_of(publication: &impl Publication) -> Option<String> {
    let mut buffer = [0; 4096];
    let mut writer = Writer::new(&mut buffer);
    publication.write_topic(&mut writer).ok()?;
    let len = writer.len();
    Some(
        std::str::from_utf8(&buffer[..len])
            .expect("UTF-8")
            .to_owned(),
    )
}

/// `None` if a topic could not come.
fn legal(topic: &str) -> Option<&str> {
    (topic.len() < 4096 && !topic.contains(['+', '#'])).then_some(topic)
}

fn watson_iot(message: (&str, &[u8])) {
    let device = watson_iot::Device::new("abcdef", "t", "d").expect("good names");
    if let Some(command) = device.command(message) {
        let topic = format!("iot-2/cmd/{}/fmt/{}", command.name, command.format);
        assert_eq!(topic, message.0);
        assert_eq!(command.payload, message.1);
    }
    let gateway = watson_iot::Gateway::new("abcdef", "t", "d").expect("good names");
    if let Ok(Some(watson_iot::ToGateway::Command(id, command))) = gateway.message(message) {
        let (kind, id) = (id.type_id(), id.device_id());
        let (name, format) = (command.name, command.format);
        let topic = format!("iot-2/type/{kind}/id/{id}/cmd/{name}/fmt/{format}");
        assert_eq!(topic, message.0);
    }
    let application = watson_iot::Application::new("abcdef", "a").expect("good names");
    let _ = application.message(message);
    let _ = Status::parse(message.1);
    let _ = Notification::parse(message.1);
}

/// Texts that are read outside of JSON.
fn texts(payload: &[u8]) {
    let Ok(text) = std::str::from_utf8(payload) else {
        return;
    };
    if let Some(Date(millis)) = Date::from_iso(text) {
        assert_eq!(Date::from_iso(&iso(millis)), Some(Date(millis)), "{text}");
    }
    if NmeaSentence::new(text).is_some() {
        assert!(text.starts_with('$') && text.contains('*'));
    }
}

/// A date, day by day from 1970 on.
fn iso(millis: i64) -> String {
    const DAY: i64 = 86_400_000;
    let mut days = millis.div_euclid(DAY);
    let rest = millis.rem_euclid(DAY);
    let mut year = 1970;
    let len_of_year = |year: i64| {
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        365 + i64::from(is_leap)
    };
    while days < 0 {
        year -= 1;
        days += len_of_year(year);
    }
    while days >= len_of_year(year) {
        days -= len_of_year(year);
        year += 1;
    }
    let february = len_of_year(year) - 337;
    let mut month = 1;
    for len in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < len {
            break;
        }
        days -= len;
        month += 1;
    }
    let (hours, minutes) = (rest / 3_600_000, rest / 60_000 % 60);
    let (seconds, millis) = (rest / 1000 % 60, rest % 1000);
    let day = days + 1;
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{millis:03}Z")
}

const PROFILE: Profile<'static> = {
    let mut profile = Profile::new();
    profile.lifetime_s = 3_600;
    profile.device_actions = true;
    profile.firmware_actions = true;
    profile.bundles = &["b"];
    profile.observable = &["location"];
    profile
};

fn managed(record: &mut [u8]) -> ManagedDevice<'_> {
    ManagedDevice::new(Target::Own, &PROFILE, record, 1).expect("a good profile")
}

fn manage(device: &mut ManagedDevice<'_>, topic: &str, payload: &[u8], now: Instant) {
    while device.tick(now).is_some() {}
    let deadline = device.next_deadline();
    assert!(deadline.is_none_or(|deadline| !now.has_reached(deadline)));
    match device.handle((topic, payload), now) {
        Ok(Some(Action::Requested(requested))) => {
            let before = device.firmware().state;
            let response = device.accept(requested);
            check_response(&response);
            assert_eq!(response.code().0, 202);
            if requested.kind == ActionKind::FirmwareDownload {
                assert_eq!(before, FirmwareState::Idle);
            }
        }
        Ok(Some(Action::Observe(observe))) => check_response(&device.observe(&observe, &[])),
        Ok(Some(Action::Update(attributes, response))) => {
            assert!(attributes.iter().count() <= payload.len());
            response.iter().for_each(check_response);
        }
        Ok(Some(Action::Cancelled(_, response))) => check_response(&response),
        Ok(Some(Action::Refused(refusal, response))) => {
            check_response(&response);
            assert_eq!(refusal == Refusal::Repeated, response.code().is_success());
        }
        Ok(Some(_) | None) | Err(_) => {}
    }
    goes_on(device, payload.len(), now);
}

/// The device does what is next, and publishes what is due.
fn goes_on(device: &mut ManagedDevice<'_>, choice: usize, now: Instant) {
    match choice % 5 {
        0 => drop(device.download_finished()),
        1 => drop(device.download_failed(DownloadFailure::ConnectionLost)),
        2 => drop(device.update_finished()),
        3 => drop(device.update_failed(UpdateFailure::UnsupportedImage)),
        _ => {}
    }
    for _ in 0..2 {
        if let Some(publication) = device.next_publication() {
            let payload = payload_of(&publication);
            RawJson::parse(&payload).expect("what is published is JSON");
            device.published(&publication, now);
        }
    }
    assert!(device.next_publication().is_none(), "it talks without end");
    let firmware = device.firmware();
    let installs = firmware.update_status == UpdateStatus::InProgress;
    assert!(!installs || firmware.state == FirmwareState::Downloaded);
    let saved = device.unsaved().map(<[u8]>::to_vec);
    if let Some(saved) = saved {
        let mut record = [0; 100];
        let mut restarted = managed(&mut record);
        assert!(restarted.restore(&saved).is_ok());
        assert_eq!(restarted.firmware(), device.firmware());
        device.saved();
    }
}

/// A response is JSON with a code and the name of a request.
fn check_response(response: &Response<'_>) {
    assert_eq!(topic_of(response).as_deref(), Some("iotdevice-1/response"));
    let payload = payload_of(response);
    let json = RawJson::parse(&payload).expect("a response is JSON");
    let code = json.member("rc").and_then(RawJson::integer::<u16>);
    assert_eq!(code, Some(response.code().0));
    let name = json.member("reqId").expect("the name of the request");
    assert!(name.string().is_some() || name.number().is_some());
}

fn payload_of(publication: &impl Publication) -> Vec<u8> {
    let mut payload = vec![0; 70_000];
    let mut writer = Writer::new(&mut payload);
    publication
        .write_payload(&mut writer)
        .expect("there is room");
    let len = writer.len();
    payload.truncate(len);
    payload
}
