//! A device with a durable outbox, to be killed: `outbox PORT FILE FIRST` publishes the numbers from FIRST on, and prints each
//! when it was accepted. `outbox PORT FILE` delivers what is there, and ends.

use std::{error::Error, io::Write as _};

use mqtt_std::{Message, Options, OutboxFile, QoS, Reconnect, Version};

/// Small enough to be full at times.
const CAPACITY: u64 = 4_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = || arguments.next().ok_or("PORT FILE [FIRST]");
    let port = argument()?.parse()?;
    let store = OutboxFile::open(argument()?, CAPACITY)?;
    let first = argument().ok();
    let hasty = Reconnect {
        initial_ms: 20,
        max_ms: 20,
        ..Reconnect::new()
    };
    let options = Options::new("127.0.0.1")
        .port(port)
        .version(Version::V5)
        .reconnect(hasty);
    let (client, _inbox, mut runner) = mqtt_std::new(options)?;
    let running = tokio::spawn(async move { runner.run().await });
    let outbox = mqtt_std::outbox(&client, store, 200);
    let lost = |message: &Message<'_>, loss| panic!("{}: {loss}", message.topic);
    let Some(first) = first else {
        Box::pin(outbox.flush(|_, _| Ok(()), lost)).await?;
        client.disconnect().await;
        return Ok(running.await??);
    };
    tokio::select! {
        end = outbox.run(|_, _| Ok(()), lost) => Err(end)?,
        end = publish(&outbox, first.parse()?) => end,
    }
}

async fn publish(outbox: &mqtt_std::Outbox, first: u32) -> Result<(), Box<dyn Error>> {
    let mut stdout = std::io::stdout();
    for number in first.. {
        let qos = if number % 3 == 0 {
            QoS::ExactlyOnce
        } else {
            QoS::AtLeastOnce
        };
        let payload = number.to_string();
        let message = Message::new("number", payload.as_bytes()).qos(qos);
        Box::pin(outbox.publish(&message)).await?;
        writeln!(stdout, "{number}")?;
    }
    Ok(())
}
