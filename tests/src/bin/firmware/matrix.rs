//! Which scenarios run on which image.

use mqtt_std::Version::{self, V3_1_1, V5};

use crate::Arguments;
use crate::case::{Case, Image, Scenario, Transport};

/// The long ones first, so that the last minute is not one of waiting for a single run.
const SCENARIOS: [Scenario; 16] = [
    Scenario::Uart,
    Scenario::Thingsboard,
    Scenario::Bulk,
    Scenario::Cuts,
    Scenario::Restart,
    Scenario::Tasks,
    Scenario::Large,
    Scenario::Basics,
    Scenario::Silence,
    Scenario::WrongPassword,
    Scenario::WrongCa,
    Scenario::WrongName,
    Scenario::Expired,
    Scenario::NotAnAuthority,
    Scenario::Tls12,
    Scenario::ClosedPort,
];

/// All cases that were asked for.
pub(crate) fn cases(arguments: &Arguments) -> Vec<Case> {
    let mut cases = Vec::new();
    for scenario in SCENARIOS {
        for image in &arguments.images {
            for version in versions(image, scenario, arguments) {
                let case = Case {
                    image: image.clone(),
                    scenario,
                    version,
                };
                cases.push(case);
            }
        }
    }
    cases
}

/// The versions in which a scenario runs on an image.
///
/// The usual choice: the basics in both versions over every transport; everything else over plain TCP and TLS in one
/// version, which is the other one on the other transport and changes from target to target, so that each scenario
/// meets each version. What only TLS can refuse runs over TLS alone.
fn versions(image: &Image, scenario: Scenario, arguments: &Arguments) -> Vec<Version> {
    let transport = image.transport;
    if (scenario == Scenario::Uart) != image.is_rp2040()
        || (scenario == Scenario::Thingsboard) != image.is_thingsboard()
    {
        return Vec::new();
    }
    if image.is_rp2040() || image.is_thingsboard() {
        // They have one job.
        return vec![V3_1_1];
    }
    if arguments.scenario.is_some_and(|only| only != scenario)
        || (scenario.is_about_certificates() && !transport.is_tls())
    {
        return Vec::new();
    }
    // Who asks for something gets it, whether it is usual or not.
    let asked = arguments
        .version
        .map(|version| if version == 5 { V5 } else { V3_1_1 });
    let usual = match (scenario, transport) {
        (Scenario::Basics, _) => vec![V3_1_1, V5],
        (_, Transport::Plain | Transport::Tls) => {
            let odd = image.target.starts_with("thumbv7m");
            vec![if odd == transport.is_tls() {
                V3_1_1
            } else {
                V5
            }]
        }
        (_, Transport::Ws | Transport::Wss) => Vec::new(),
    };
    let everything = arguments.all || arguments.scenario.is_some();
    match asked {
        Some(version) if everything || !usual.is_empty() => vec![version],
        Some(_) => Vec::new(),
        None if arguments.all => vec![V3_1_1, V5],
        None if usual.is_empty() && everything => vec![V3_1_1],
        None => usual,
    }
}
