//! The client on a genuine RP2040 image: the HAL's interrupts, its time driver and its buffered UART.
//!
//! Whatever is behind the UART hands the bytes to a broker. The job is done on one link: connect, subscribe, publish at
//! each QoS, receive a command, publish the reply while the command is held, keep the idle link alive, disconnect. The
//! image sends the command itself, so that it comes from the broker without a third party.
#![no_std]
#![no_main]

mod uart;
mod verdict;

use embassy_executor::Spawner;
use embassy_rp::{
    bind_interrupts,
    peripherals::UART0,
    uart::{BufferedInterruptHandler, BufferedUart, Config},
};
use embassy_time::{Duration, Timer};
use mqtt_embassy::{
    Client, Inbox, LinkEnd, LinkState, Message, Options, QoS, Reconnect, Runner, Storage,
};
use static_cell::ConstStaticCell;

use crate::{uart::UartConnector, verdict::Failure};

const READING: &str = "rp2040/reading";
const COMMAND: &str = "rp2040/command";
const REPLY: &str = "rp2040/reply";

const OPTIONS: Options<'static> = {
    let mut options = Options::new("rp2040");
    // Short, for the time driver to have something to do within the job.
    options.keep_alive_s = 1;
    options.ping_timeout_ms = 500;
    options.connack_timeout_ms = 5_000;
    // There is one connection behind the UART.
    options.reconnect = Reconnect::never();
    options
};

/// Long enough for a PINGREQ and the time in which its answer is due.
const IDLE: Duration = Duration::from_millis(2_000);

bind_interrupts!(struct Interrupts {
    UART0_IRQ => BufferedInterruptHandler<UART0>;
});

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    static STORAGE: ConstStaticCell<Storage<512, 1024>> = ConstStaticCell::new(Storage::new());
    static TRANSMIT: ConstStaticCell<[u8; 64]> = ConstStaticCell::new([0; 64]);
    static RECEIVE: ConstStaticCell<[u8; 64]> = ConstStaticCell::new([0; 64]);
    let peripherals = embassy_rp::init(embassy_rp::config::Config::default());
    let uart = BufferedUart::new(
        peripherals.UART0,
        peripherals.PIN_0,
        peripherals.PIN_1,
        Interrupts,
        TRANSMIT.take(),
        RECEIVE.take(),
        Config::default(),
    );
    verdict::exit(match mqtt_embassy::new(STORAGE.take(), &OPTIONS) {
        Ok((client, inbox, runner)) => {
            let link = run_link(runner, UartConnector::new(uart));
            spawner.spawn(link.expect("the task is started once"));
            job(&client, inbox).await
        }
        Err(_) => Err(Failure::Options),
    })
}

#[embassy_executor::task]
async fn run_link(mut runner: Runner, mut connector: UartConnector) {
    let end = runner.run(&mut connector, &OPTIONS).await;
    defmt::info!("link ended: {}", end);
}

async fn job(client: &Client, mut inbox: Inbox) -> Result<(), Failure> {
    client.connected().await.map_err(Failure::Connect)?;
    defmt::info!("connected");
    let granted = client.subscribe(COMMAND, QoS::ExactlyOnce).await;
    if granted != Ok(QoS::ExactlyOnce) {
        return Err(Failure::Subscribe);
    }
    let reading = Message::new(READING, b"21.5");
    for message in [reading, reading.at_least_once(), reading.exactly_once()] {
        publish(client, &message).await?;
    }
    defmt::info!("published at each QoS");
    answer_command(client, &mut inbox).await?;
    defmt::info!("command answered");
    Timer::after(IDLE).await;
    if client.state()
        != (LinkState::Connected {
            session_present: false,
        })
    {
        return Err(Failure::KeepAlive);
    }
    defmt::info!("kept alive");
    client.disconnect().await;
    match client.state() {
        LinkState::Stopped(LinkEnd::Disconnected) => Ok(()),
        _ => Err(Failure::Disconnect),
    }
}

async fn answer_command(client: &Client, inbox: &mut Inbox) -> Result<(), Failure> {
    let command = Message::new(COMMAND, b"blink").exactly_once();
    // Not waited for yet: the broker may send the command before its last acknowledgement, and nothing is read behind
    // a message that nobody takes.
    let mut sent = client.publish(&command).await.map_err(Failure::Publish)?;
    let command = inbox.next().await.map_err(|_| Failure::Receive)?;
    if command.topic().as_str() != COMMAND || command.payload() != b"blink" {
        return Err(Failure::Command);
    }
    let reply = Message::new(REPLY, command.payload()).at_least_once();
    let mut replied = client.publish(&reply).await.map_err(Failure::Publish)?;
    drop(command);
    sent.acknowledged().await.map_err(Failure::Delivery)?;
    replied.acknowledged().await.map_err(Failure::Delivery)?;
    Ok(())
}

/// Publishes, and waits for what the QoS promises.
async fn publish(client: &Client, message: &Message<'_>) -> Result<(), Failure> {
    let mut delivery = client.publish(message).await.map_err(Failure::Publish)?;
    delivery.acknowledged().await.map_err(Failure::Delivery)?;
    Ok(())
}
