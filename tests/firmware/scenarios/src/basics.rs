//! Credentials, will, every QoS both ways, a reply while the command is held, an orderly end and one without.

use mqtt_embassy::mqtt_core::client::Connect;
use mqtt_embassy::mqtt_core::codec::{Properties, TopicName, Will};
use mqtt_embassy::{Client, Inbox, Message, QoS};

use crate::Status;
use crate::device::{Device, acknowledged, deliver, next, publish, ready, subscribe};

const QUALITIES: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

pub(crate) async fn run(mut device: Device<'_, impl Connect>) -> Result<(), Status> {
    let mut options = device.options();
    options.will = Some(Will {
        topic: TopicName::new("fw/up/will").map_err(|_| Status::Options)?,
        payload: b"gone",
        qos: QoS::AtLeastOnce,
        retain: false,
        properties: Properties::NONE,
    });
    device.link(&options, converse).await?;
    defmt::info!("the link ends without DISCONNECT now");
    device
        .link_that_breaks(&options, async |client, _| {
            deliver(client, &Message::new("fw/up/leaving", b"").at_least_once()).await
        })
        .await
}

async fn converse(client: &Client, inbox: &mut Inbox) -> Result<(), Status> {
    subscribe(client, "fw/down/command").await?;
    for (qos, payload) in QUALITIES.into_iter().zip([b"0", b"1", b"2"]) {
        let message = Message::new("fw/up/reading", payload).qos(qos);
        deliver(client, &message).await?;
    }
    ready(client).await?;
    for qos in QUALITIES {
        let mut reply = {
            let command = next(inbox).await?;
            if command.topic().as_str() != "fw/down/command" || command.qos() != qos {
                return Err(Status::WrongMessage);
            }
            let reply = Message::new("fw/up/reply", command.payload()).qos(qos);
            publish(client, &reply).await?
        };
        acknowledged(&mut reply).await?;
    }
    let unsubscribed = client.unsubscribe("fw/down/command").await;
    unsubscribed.map_err(|_| Status::NotSubscribed)
}
