//! What the compiler promises of the asynchronous client: its handles and futures may move between threads.

use crate::support::{Client, Delivery, Inbox, Test, link::Net};
use mqtt_core::{
    Message, Publication, QoS,
    client::{Received, Runner, Shared},
    codec::{Properties, ReasonCode},
    session::Options,
};

const fn is_send<T: Send>() {}
const fn is_sync<T: Sync>() {}

fn future_is_send(_: &impl Send) {}

#[test]
fn handles_are_send_and_sync() {
    is_send::<Client>();
    is_sync::<Client>();
    is_send::<Inbox>();
    is_sync::<Inbox>();
    is_send::<Delivery>();
    is_sync::<Delivery>();
    is_send::<Runner<Test>>();
    is_sync::<Runner<Test>>();
    is_send::<Received<'static, Test>>();
    is_sync::<Received<'static, Test>>();
    is_send::<Shared<Test>>();
    is_sync::<Shared<Test>>();
}

#[allow(dead_code, reason = "compiling it is the test")]
fn futures_are_send(
    client: &Client,
    inbox: &mut Inbox,
    delivery: &mut Delivery,
    runner: &mut Runner<Test>,
    net: &mut Net,
) {
    let options = Options::new("dev");
    let message = Message::new("t", b"");
    let mut codes = [ReasonCode::SUCCESS];
    future_is_send(&runner.run(net, &options));
    future_is_send(&client.publish(&message));
    future_is_send(&client.publish_stream(&message, 0, &mut &b""[..]));
    future_is_send(&client.subscribe("t", QoS::AtMostOnce));
    future_is_send(&client.subscribe_all(&[], Properties::NONE, &mut codes));
    future_is_send(&client.unsubscribe("t"));
    future_is_send(&client.unsubscribe_all(&[], Properties::NONE, &mut codes));
    future_is_send(&client.disconnect());
    future_is_send(&client.disconnect_with_will());
    future_is_send(&client.connected());
    future_is_send(&client.state_change(client.state()));
    future_is_send(&delivery.acknowledged());
    future_is_send(&inbox.next());
}

#[allow(dead_code, reason = "as above")]
fn pieces_are_send(message: &mut Received<'_, Test>) {
    future_is_send(&message.chunk());
}

/// Any publication that threads can share.
#[allow(dead_code, reason = "as above")]
fn publications_are_send(client: &Client, publication: &(impl Publication + Sync)) {
    future_is_send(&client.publish(publication));
}
