//! What is known of the building.

use std::collections::{BTreeMap, HashMap};

use mqtt_std::platform::ApplicationMessage;
use mqtt_std::platform::json::RawJson;
use mqtt_std::platform::place_os::{
    ReadError, State, WithRegion, WithoutRegion, Zones, read_metadata, read_state,
};

/// All that the modules report, and the names of zones and systems.
#[derive(Debug, Default)]
pub(crate) struct Building {
    statuses: BTreeMap<Place, Status>,
    names: HashMap<String, String>,
}

/// Where a status belongs, in the order in which they are shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// From the region or the building down; what is missing is left out.
    pub(crate) zones: Vec<String>,
    pub(crate) system: String,
    pub(crate) module: String,
    pub(crate) index: u32,
    pub(crate) key: String,
}

/// The value of a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    /// As JSON.
    pub(crate) value: String,
    /// Milliseconds since 1970 in UTC.
    pub(crate) time_ms: i64,
}

impl Building {
    /// Takes a status, and says what has changed; `None` if the message is none.
    pub(crate) fn take_state<'m>(
        &mut self,
        message: impl ApplicationMessage<'m>,
        has_region: bool,
    ) -> Result<Option<String>, ReadError> {
        let read = if has_region {
            read_state::<WithRegion<_>>(message)?.map(|state| owned(&state))
        } else {
            read_state::<WithoutRegion<_>>(message)?.map(|state| owned(&state))
        };
        Ok(read.map(|(place, status)| self.change(place, status)))
    }

    /// Takes the name of a zone or system; any other message is left alone.
    pub(crate) fn take_metadata<'m>(
        &mut self,
        message: impl ApplicationMessage<'m>,
    ) -> Result<(), ReadError> {
        let Some(metadata) = read_metadata(message)? else {
            return Ok(());
        };
        let id = metadata.topic.id.to_owned();
        let name = metadata
            .model
            .and_then(|model| model.member("name"))
            .and_then(RawJson::string);
        match name {
            Some(name) => self.names.insert(id, name.chars().collect()),
            None => self.names.remove(&id),
        };
        Ok(())
    }

    /// All statuses, those of a system together.
    pub(crate) fn statuses(&self) -> impl Iterator<Item = (&Place, &Status)> {
        self.statuses.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.statuses.len()
    }

    /// Where a system is, in names as far as they are known.
    pub(crate) fn title(&self, place: &Place) -> String {
        let path = place.zones.iter().chain([&place.system]);
        let names: Vec<_> = path.map(|id| self.name(id)).collect();
        names.join(" / ")
    }

    fn name<'a>(&'a self, id: &'a String) -> &'a str {
        self.names.get(id).unwrap_or(id)
    }

    fn change(&mut self, place: Place, status: Option<Status>) -> String {
        let what = format!("{}  {}", self.title(&place), place.status());
        match status {
            Some(status) => {
                let text = format!("{what} = {}", status.value);
                self.statuses.insert(place, status);
                text
            }
            None => {
                self.statuses.remove(&place);
                format!("{what} removed")
            }
        }
    }
}

impl Place {
    /// Module and key: `Display 1 power`.
    pub(crate) fn status(&self) -> String {
        format!("{} {} {}", self.module, self.index, self.key)
    }

    /// Whether both belong to one system in the same zones.
    pub(crate) fn is_beside(&self, other: &Self) -> bool {
        self.zones == other.zones && self.system == other.system
    }
}

fn owned<'m, Z: Zones<Option<&'m str>>>(state: &State<'m, Z>) -> (Place, Option<Status>) {
    let topic = &state.topic;
    let mut zones = Vec::new();
    let visited = topic.zones.try_for_each(&mut |zone| {
        zones.extend(zone.map(str::to_owned));
        Ok(())
    });
    debug_assert!(visited.is_ok(), "the visitor does not fail");
    let place = Place {
        zones,
        system: topic.system.to_owned(),
        module: topic.module.to_owned(),
        index: topic.index,
        key: topic.key.to_owned(),
    };
    let status = state.value.map(|value| Status {
        value: value.json.as_str().to_owned(),
        time_ms: value.time_ms,
    });
    (place, status)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "placeos/zone-o/state/_/zone-b/zone-l/_/sys-1/driver-1/Display/1/power";

    fn take(building: &mut Building, topic: &str, payload: &str) -> Option<String> {
        building
            .take_state((topic, payload.as_bytes()), true)
            .unwrap()
    }

    #[test]
    fn status_comes_changes_and_goes() {
        let mut building = Building::default();
        let text = take(&mut building, TOPIC, r#"{"time":1700000000,"value":true}"#).unwrap();
        assert_eq!(text, "zone-b / zone-l / sys-1  Display 1 power = true");
        take(&mut building, TOPIC, r#"{"time":1700000001,"value":false}"#);
        let values: Vec<_> = building
            .statuses()
            .map(|(_, status)| status.value.as_str())
            .collect();
        assert_eq!(values, ["false"]);
        let text = take(&mut building, TOPIC, "").unwrap();
        assert!(text.ends_with("power removed"), "{text}");
        assert_eq!(building.len(), 0);
    }

    #[test]
    fn names_replace_identifiers_until_they_are_gone() {
        let mut building = Building::default();
        let topic = "placeos/org/metadata/zone-b";
        let name = r#"{"time":1,"value":{"name":"Head office"}}"#;
        building.take_metadata((topic, name.as_bytes())).unwrap();
        let text = take(&mut building, TOPIC, r#"{"time":1,"value":1}"#).unwrap();
        assert!(text.starts_with("Head office / zone-l"), "{text}");
        building
            .take_metadata((topic, &br#"{"time":2,"value":null}"#[..]))
            .unwrap();
        let text = take(&mut building, TOPIC, r#"{"time":3,"value":2}"#).unwrap();
        assert!(text.starts_with("zone-b / zone-l"), "{text}");
    }

    #[test]
    fn topics_of_another_hierarchy_are_errors() {
        let short = "placeos/zone-o/state/zone-b/zone-l/_/sys-1/driver-1/Display/1/power";
        let mut building = Building::default();
        let message = (short, &br#"{"time":1,"value":1}"#[..]);
        assert!(building.take_state(message, true).is_err());
        assert!(building.take_state(message, false).unwrap().is_some());
    }
}
