//! Devices that ask for their credentials.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Credentials, Device, Hub, LinkId, ThingsBoard, Verdict, json as payloads, malformed};

impl ThingsBoard {
    /// Answers a device that asks for credentials.
    pub(super) fn provision(&mut self, hub: &mut Hub, link: LinkId, payload: &[u8]) -> Verdict {
        let Some(request) = payloads::object(payload) else {
            return malformed();
        };
        let text = |name: &str| request.get(name).and_then(Value::as_str);
        let (Some(key), Some(secret)) = (text("provisionDeviceKey"), text("provisionDeviceSecret"))
        else {
            return Verdict::Close("no key or secret".into());
        };
        let kind = text("credentialsType").unwrap_or("ACCESS_TOKEN");
        let is_null = request.values().any(Value::is_null);
        if is_null || !["ACCESS_TOKEN", "MQTT_BASIC", "X509_CERTIFICATE"].contains(&kind) {
            return Verdict::AcknowledgeAndClose("null or unknown credentials".into());
        }
        let name = text("deviceName").map_or_else(
            || format!("device-{}", self.devices.len()),
            |name| name.trim().to_owned(),
        );
        let response = if (key, secret) != (&*self.provision_key, &*self.provision_secret) {
            json!({"errorMsg": "Provision data was not found!", "status": "NOT_FOUND"})
        } else if name.is_empty() || self.devices.contains_key(&name) {
            json!({"errorMsg": "Failed to provision device!", "status": "FAILURE"})
        } else {
            let owned = |name: &str| text(name).map(str::to_owned);
            let basic = (owned("clientId"), owned("username"), owned("password"));
            let (credentials, kind, value) = match kind {
                "MQTT_BASIC" if basic != (None, None, None) => {
                    let value =
                        json!({"clientId": basic.0, "userName": basic.1, "password": basic.2});
                    (Credentials::Basic(basic.0, basic.1, basic.2), kind, value)
                }
                "X509_CERTIFICATE" if text("hash").is_some() => {
                    (Credentials::default(), kind, json!(text("hash")))
                }
                // Without the members of its type, a device gets a token whatever it asked for.
                _ => {
                    let token =
                        text("token").map_or_else(|| format!("token-of-{name}"), str::to_owned);
                    (
                        Credentials::Token(token.clone()),
                        "ACCESS_TOKEN",
                        json!(token),
                    )
                }
            };
            let is_gateway = request.get("gateway") == Some(&Value::Bool(true));
            self.devices.insert(
                name,
                Device {
                    credentials,
                    is_gateway,
                    ..Device::default()
                },
            );
            json!({"credentialsValue": value, "credentialsType": kind, "status": "SUCCESS"})
        };
        if let Some(link) = self.links.get_mut(&link) {
            link.ends = Some(Instant::now() + Duration::from_mins(1));
        }
        Self::send(
            hub,
            link,
            "/provision/response",
            "/provision/response",
            response.to_string().as_bytes(),
        );
        Verdict::PubAck
    }
}
