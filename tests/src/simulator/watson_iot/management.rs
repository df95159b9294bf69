//! The device management protocol, as the service speaks it.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::{Hub, LinkId, WatsonIot, now, send_subscribed};

/// The shortest lifetime of a managed device, in seconds.
const MIN_LIFETIME: i64 = 3600;

/// A step of an update.
pub(super) enum Step {
    Request(&'static str, Value),
    /// Until the device notifies this state of its firmware.
    AwaitState(i64),
}

impl WatsonIot {
    /// A request, notification or response of a managed device.
    pub(super) fn manage(
        &mut self,
        hub: &mut Hub,
        link: LinkId,
        of: &(String, String),
        through: &str,
        rest: &str,
        payload: &[u8],
    ) {
        let message: Value = serde_json::from_slice(payload).unwrap_or(Value::Null);
        let request_id = message["reqId"].as_str().map(str::to_owned);
        if rest == "response" {
            return self.take_response(hub, of, request_id.as_deref(), &message);
        }
        let code = if message.is_object() {
            self.judge(of, rest, &message["d"])
        } else {
            400
        };
        hub.note(format!("{rest} of {}/{}: {code}", of.0, of.1));
        if let Some(request_id) = request_id {
            let response = json!({"rc": code, "reqId": request_id}).to_string();
            let topic = format!("iotdm-1/{through}response");
            send_subscribed(hub, link, &topic, response.as_bytes());
        }
        if rest == "notify" && code == 200 {
            self.take_notification(hub, of, &message["d"]);
        }
    }

    /// The response code of a request.
    fn judge(&mut self, of: &(String, String), rest: &str, d: &Value) -> u16 {
        if rest == "mgmt/manage" {
            let lifetime = d["lifetime"].as_i64().unwrap_or(0);
            if lifetime != 0 && lifetime < MIN_LIFETIME {
                return 400;
            }
            self.managed.insert(of.clone());
            return 200;
        }
        if !self.managed.contains(of) {
            return 404;
        }
        let is_legal = match rest {
            "mgmt/unmanage" => {
                self.managed.remove(of);
                true
            }
            "device/update/location" => d["longitude"].is_number() && d["latitude"].is_number(),
            "add/diag/errorCodes" => d["errorCode"].is_i64(),
            "add/diag/log" => {
                d["message"].is_string()
                    && d["timestamp"].is_string()
                    && matches!(d["severity"].as_i64(), None | Some(0..=2))
            }
            "clear/diag/errorCodes" | "clear/diag/log" => true,
            "notify" => d["fields"].is_array(),
            _ => false,
        };
        if is_legal { 200 } else { 400 }
    }

    fn take_response(
        &mut self,
        hub: &mut Hub,
        of: &(String, String),
        request_id: Option<&str>,
        message: &Value,
    ) {
        let known = request_id.and_then(|id| self.pending.remove(id));
        hub.note(format!(
            "response of {}/{} to {}: {message}",
            of.0,
            of.1,
            request_id.unwrap_or("nothing")
        ));
        if known.is_none() {
            return;
        }
        if message["rc"].as_i64().is_none_or(|code| code >= 400) {
            self.plans.remove(of);
        }
        self.go_on(hub, of);
    }

    fn take_notification(&mut self, hub: &mut Hub, of: &(String, String), d: &Value) {
        let fields = d["fields"].as_array().cloned().unwrap_or_default();
        let firmware = fields
            .iter()
            .find(|field| field["field"] == "mgmt.firmware");
        let Some(state) = firmware.and_then(|field| field["value"]["state"].as_i64()) else {
            return;
        };
        hub.note(format!("firmware state of {}/{}: {state}", of.0, of.1));
        let plan = self.plans.entry(of.clone()).or_default();
        if matches!(plan.front(), Some(Step::AwaitState(awaited)) if *awaited == state) {
            plan.pop_front();
            self.go_on(hub, of);
        }
    }

    /// The next step of an update.
    pub(super) fn go_on(&mut self, hub: &mut Hub, of: &(String, String)) {
        let Some(plan) = self.plans.get_mut(of) else {
            return;
        };
        if let Some(Step::Request(..)) = plan.front()
            && let Some(Step::Request(topic, d)) = plan.pop_front()
        {
            let _ = self.request(hub, of, topic, Some(&d));
        }
    }

    /// Asks something of a device.
    pub(super) fn request(
        &mut self,
        hub: &mut Hub,
        of: &(String, String),
        topic: &str,
        d: Option<&Value>,
    ) -> Result<String, String> {
        let (link, through) = self.link_of(of).ok_or("it is not connected")?;
        self.requests += 1;
        let request_id = format!("r-{}", self.requests);
        self.pending.insert(request_id.clone(), of.clone());
        let message = match d {
            Some(d) => json!({"reqId": request_id, "d": d}),
            None => json!({"reqId": request_id}),
        };
        let topic = format!("iotdm-1/{through}{topic}");
        if send_subscribed(hub, link, &topic, message.to_string().as_bytes()) {
            Ok(request_id)
        } else {
            Err("it has not subscribed to that".into())
        }
    }

    /// An update as the service leads it: details, download, update.
    pub(super) fn plan(uri: &str, version: &str) -> VecDeque<Step> {
        let observed = || json!({"fields": [{"field": "mgmt.firmware"}]});
        let details = json!({"fields": [{"field": "mgmt.firmware", "value": {
            "version": version, "name": "image", "uri": uri, "verifier": "", "state": 0, "updateStatus": 0,
            "updatedDateTime": now()
        }}]});
        VecDeque::from([
            Step::Request("device/update", details),
            Step::Request("observe", observed()),
            Step::Request("mgmt/initiate/firmware/download", json!({})),
            Step::AwaitState(2),
            Step::Request("cancel", observed()),
            Step::Request("observe", observed()),
            Step::Request("mgmt/initiate/firmware/update", json!({})),
            Step::AwaitState(0),
            Step::Request("cancel", observed()),
        ])
    }
}
