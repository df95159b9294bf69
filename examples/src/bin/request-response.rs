//! Request and response of MQTT 5: the request names a topic for its answer, and data by which the two are matched.
//!
//! Both sides are in this program. They share nothing but the broker, which may be one in this program too.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use examples::broker::EmbeddedBroker;
use examples::ending;
use examples::link;
use mqtt_std::{
    Client, Inbox, Message, Options, Properties, Property, QoS, Received, TopicName, Version,
};
use tokio::time::timeout;

/// Asks for squares and answers them, by request and response of MQTT 5.
#[derive(Debug, Parser)]
#[command(name = "request-response")]
struct Arguments {
    /// The URL of the broker; without it one is started inside this program.
    #[arg(
        long,
        env = "MQTT_URL",
        hide_env_values = true,
        help = "Broker, one that speaks MQTT 5; without it one is started in this program"
    )]
    url: Option<String>,
    /// Numbers to square
    #[arg(default_values_t = [2, 3, 12], allow_negative_numbers = true)]
    numbers: Vec<i32>,
}

const REQUEST_TOPIC: &str = "example/square/request";
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    ending::run(run(Arguments::parse()))
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let url = match arguments.url {
        Some(url) => url,
        None => EmbeddedBroker::start().await?.url(),
    };
    let options = Options::from_url(&url)?.version(Version::V5);
    let (responder, mut requests, responder_link) = link::connect(&options).await?;
    responder.subscribe(REQUEST_TOPIC, QoS::AtLeastOnce).await?;
    let (requester, mut responses, requester_link) = link::connect(&options).await?;
    tokio::select! {
        asked = ask_all(&requester, &mut responses, &arguments.numbers) => asked?,
        failed = answer_all(&responder, &mut requests) => failed?,
    }
    requester_link.close().await;
    responder_link.close().await;
    Ok(())
}

/// The requester: has a topic of its own for the answers.
async fn ask_all(client: &Client, inbox: &mut Inbox, numbers: &[i32]) -> anyhow::Result<()> {
    let topic = format!("example/square/response/{}", std::process::id());
    client.subscribe(&topic, QoS::AtLeastOnce).await?;
    for (id, number) in (1_u32..).zip(numbers) {
        let id = id.to_be_bytes();
        ask(client, &topic, &id, *number).await?;
        let answer = timeout(PATIENCE, answer_to(&id, inbox)).await;
        println!(
            "{number} squared is {}",
            answer.context("no answer in time")??
        );
    }
    Ok(())
}

async fn ask(client: &Client, topic: &str, id: &[u8], number: i32) -> anyhow::Result<()> {
    let properties = [
        Property::ResponseTopic(TopicName::new(topic)?),
        Property::CorrelationData(id),
    ];
    let number = number.to_string();
    let request = Message::new(REQUEST_TOPIC, number.as_bytes())
        .at_least_once()
        .properties(Properties::from(&properties));
    drop(client.publish(&request).await?);
    Ok(())
}

async fn answer_to(id: &[u8], inbox: &mut Inbox) -> anyhow::Result<String> {
    loop {
        let response = inbox.next().await?;
        // An answer to an earlier request, for which nobody waits any more, is not ours.
        if response.properties().correlation_data() == Some(id) {
            return Ok(String::from_utf8_lossy(response.payload()).into_owned());
        }
    }
}

/// The responder: answers where each request wants it.
async fn answer_all(client: &Client, inbox: &mut Inbox) -> anyhow::Result<()> {
    loop {
        let request = inbox.next().await?;
        answer(client, &request)?;
    }
}

fn answer(client: &Client, request: &Received<'_>) -> anyhow::Result<()> {
    let properties = request.properties();
    let Some(topic) = properties.response_topic() else {
        return Ok(());
    };
    let correlation = properties.correlation_data().map(Property::CorrelationData);
    let text = square(request.payload());
    let response = Message::new(topic.as_str(), text.as_bytes())
        .at_least_once()
        .properties(Properties::from(correlation.as_slice()));
    // Not `publish`: it would wait for room, and we hold a message until we have answered it.
    drop(client.try_publish(&response)?);
    Ok(())
}

fn square(number: &[u8]) -> String {
    let number = std::str::from_utf8(number)
        .ok()
        .and_then(|text| text.parse::<i32>().ok());
    number.map_or_else(
        || "no number".to_owned(),
        |number| i64::from(number).pow(2).to_string(),
    )
}
