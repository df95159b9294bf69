//! What the host asks for.

use mqtt_embassy::Version;

use crate::Status;

/// What a run is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scenario {
    /// Credentials, will, every QoS both ways, replies while a message is held.
    Basics,
    /// Thousands of messages both ways.
    Bulk,
    /// Payloads much larger than the buffers.
    Large,
    /// The link is cut again and again.
    Cuts,
    /// The broker is killed and comes back.
    Restart,
    /// Several tasks at once, futures dropped at random.
    Tasks,
    /// No link can be made: which refusal is it?
    Refused,
}

/// The arguments of a run.
#[derive(Clone, Copy, Debug)]
pub struct Arguments {
    /// `scenario=`, see [`Scenario`].
    pub scenario: Scenario,
    /// `version=3` (the default) or `version=5`.
    pub version: Version,
    /// `seed=` of everything that is random and not secret. Default: 1.
    pub seed: u32,
    /// `count=` of messages, where a scenario asks for one. Default: 100.
    pub count: u32,
    /// `password=` of the user `device`, in the scenarios that have one.
    pub password: &'static str,
}

impl Arguments {
    /// Looks the arguments up by name.
    ///
    /// # Errors
    ///
    /// [`Status::Arguments`].
    pub fn read(argument: impl Fn(&str) -> Option<&'static str>) -> Result<Self, Status> {
        let number = |name: &str, default: u32| match argument(name) {
            Some(text) => text.parse().map_err(|_| Status::Arguments),
            None => Ok(default),
        };
        Ok(Self {
            scenario: scenario(argument("scenario").unwrap_or_default())?,
            version: match argument("version") {
                None | Some("3") => Version::V3_1_1,
                Some("5") => Version::V5,
                Some(_) => return Err(Status::Arguments),
            },
            seed: number("seed", 1)?,
            count: number("count", 100)?,
            password: argument("password").unwrap_or_default(),
        })
    }
}

fn scenario(name: &str) -> Result<Scenario, Status> {
    Ok(match name {
        "basics" => Scenario::Basics,
        "bulk" => Scenario::Bulk,
        "large" => Scenario::Large,
        "cuts" => Scenario::Cuts,
        "restart" => Scenario::Restart,
        "tasks" => Scenario::Tasks,
        "refused" => Scenario::Refused,
        _ => return Err(Status::Arguments),
    })
}
