//! What an operator does: devices, calls, attributes, packages, faults.

use std::time::Duration;

use mqtt_core::codec::QoS;
use serde_json::{Value, json};

use super::{
    Credentials, Device, Hub, ThingsBoard,
    ota::{self, Fault, Package},
};

pub(super) const HELP: &str = "\
device | gateway <name> <token>        let it in; thermometer A1_TEST_TOKEN and gateway GATEWAY_TOKEN are known
basic <name> <client id> <user name> <password>   `-` for what is not set
rpc | rpc-oneway <name> <method> [<params>]
shared <name> <object>                 set shared attributes
delete <name> <key>,<key>              delete them
fw | sw <name> <title> <version> <size or file> [<algorithm> [wrong]]   assign a package
fw | sw <name>                         take it back
lose | duplicate | empty | corrupt | shorten | close-at <chunk> [<times>]
reply <method> <value>                 what the rule chain answers to calls of devices
limit <count>:<seconds>                messages for each link from now on
raw <name> <topic> <payload>
child-rpc <gateway> <child> <id> <method> [<params>]
child-shared <gateway> <child> <data>
provisioning takes provision-key and provision-secret
";

impl ThingsBoard {
    /// Does what a line says.
    pub(super) fn obey(&mut self, hub: &mut Hub, order: &str) -> Result<String, String> {
        let (verb, rest) = order.split_once(' ').unwrap_or((order, ""));
        let (name, rest) = rest.trim().split_once(' ').unwrap_or((rest.trim(), ""));
        let rest = rest.trim();
        match verb {
            "device" | "gateway" | "basic" => {
                self.add_device(verb, name, rest);
                Ok(String::new())
            }
            "rpc" | "rpc-oneway" => {
                let (method, params) = rest.split_once(' ').unwrap_or((rest, "{}"));
                let call = json!({"method": method, "params": value(params)?});
                self.start_call(hub, name, &call, verb == "rpc")
            }
            "shared" => self.share(hub, name, rest),
            "delete" => {
                let keys: Vec<&str> = rest.split(',').collect();
                let device = self.devices.get_mut(name).ok_or("no such device")?;
                device.shared.retain(|key, _| !keys.contains(&key.as_str()));
                self.update(hub, name, &json!({"deleted": keys}));
                Ok(String::new())
            }
            "fw" | "sw" => {
                let package = package(rest)?;
                self.assign(hub, name, verb == "sw", package)
            }
            "reply" => {
                self.rpc_replies.insert(name.to_owned(), value(rest)?);
                Ok(String::new())
            }
            "limit" => self.limit(name),
            "raw" => {
                let (topic, payload) = rest.split_once(' ').unwrap_or((rest, ""));
                let to = self.link_of(name).ok_or("it is not connected")?;
                hub.send(to, topic, payload.as_bytes(), QoS::AtLeastOnce, false);
                Ok(String::new())
            }
            "child-rpc" | "child-shared" => self.command_child(hub, verb, name, rest),
            _ => self.order_fault(verb, name, rest),
        }
    }

    fn add_device(&mut self, verb: &str, name: &str, rest: &str) {
        let mut words = rest
            .split_whitespace()
            .map(|word| (word != "-").then(|| word.to_owned()));
        let mut next = || words.next().flatten();
        let credentials = if verb == "basic" {
            Credentials::Basic(next(), next(), next())
        } else {
            Credentials::Token(rest.to_owned())
        };
        let device = Device {
            credentials,
            is_gateway: verb == "gateway",
            ..Device::default()
        };
        self.devices.insert(name.to_owned(), device);
    }

    fn share(&mut self, hub: &mut Hub, name: &str, values: &str) -> Result<String, String> {
        let Value::Object(values) = value(values)? else {
            return Err("shared <name> <object>".into());
        };
        let device = self.devices.get_mut(name).ok_or("no such device")?;
        device.shared.extend(values.clone());
        self.update(hub, name, &Value::Object(values));
        Ok(String::new())
    }

    fn limit(&mut self, rate: &str) -> Result<String, String> {
        let parse = || {
            let (count, seconds) = rate.split_once(':')?;
            Some((count.parse().ok()?, seconds.parse().ok()?))
        };
        let (count, seconds) = parse().ok_or("limit <count>:<seconds>")?;
        self.limits = Some((count, Duration::from_secs(seconds)));
        Ok(String::new())
    }

    fn order_fault(&mut self, verb: &str, chunk: &str, times: &str) -> Result<String, String> {
        let fault = match verb {
            "lose" => Fault::Lose,
            "duplicate" => Fault::Duplicate,
            "empty" => Fault::Empty,
            "corrupt" => Fault::Corrupt,
            "shorten" => Fault::Shorten,
            "close-at" => Fault::Close,
            _ => return Err("see help".into()),
        };
        let chunk = chunk
            .parse()
            .map_err(|_| format!("{verb} <chunk> [<times>]"))?;
        self.faults.order(fault, chunk, times.parse().unwrap_or(1));
        Ok(String::new())
    }

    fn assign(
        &mut self,
        hub: &mut Hub,
        name: &str,
        software: bool,
        package: Option<Package>,
    ) -> Result<String, String> {
        let kind = if software { "sw" } else { "fw" };
        let device = self.devices.get_mut(name).ok_or("no such device")?;
        device
            .shared
            .retain(|key, _| !ota::is_package_key(key, kind));
        let stale = ota::stale_keys(kind, package.is_some());
        let attributes = package.as_ref().map(|package| package.attributes(kind));
        device.shared.extend(attributes.clone().unwrap_or_default());
        *(if software {
            &mut device.software
        } else {
            &mut device.firmware
        }) = package;
        self.update(hub, name, &json!({"deleted": stale}));
        if let Some(attributes) = attributes {
            self.update(hub, name, &Value::Object(attributes));
        }
        Ok(String::new())
    }

    fn start_call(
        &mut self,
        hub: &mut Hub,
        name: &str,
        call: &Value,
        two_way: bool,
    ) -> Result<String, String> {
        let id = self.last_rpc;
        self.last_rpc += 1;
        let device = self.devices.get_mut(name).ok_or("no such device")?;
        if two_way {
            device.calls.insert(id, call.clone());
        }
        let is_sent = self
            .link_of(name)
            .is_some_and(|link| self.call(hub, link, id, call));
        if is_sent || two_way {
            Ok(id.to_string())
        } else {
            Err("it has not subscribed to calls".into())
        }
    }
}

fn value(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// `<title> <version> <size or file> [<algorithm> [wrong]]`; nothing at all takes the package back.
fn package(text: &str) -> Result<Option<Package>, String> {
    let mut words = text.split_whitespace();
    let Some(title) = words.next() else {
        return Ok(None);
    };
    let (Some(version), Some(source)) = (words.next(), words.next()) else {
        return Err("version and size are missing".into());
    };
    let algorithm = words.next().unwrap_or("SHA256");
    let package = Package::new(title, version, algorithm, image(source)?);
    let mut package = package.ok_or("unknown algorithm")?;
    if words.next() == Some("wrong") {
        package.falsify();
    }
    Ok(Some(package))
}

/// A file, or so many bytes that follow a pattern.
fn image(source: &str) -> Result<Vec<u8>, String> {
    match source.parse::<u32>() {
        Ok(len) => Ok((0..len)
            .map(|at| (at ^ at >> 8 ^ at >> 16).to_le_bytes()[0])
            .collect()),
        Err(_) => std::fs::read(source).map_err(|error| format!("{source}: {error}")),
    }
}
