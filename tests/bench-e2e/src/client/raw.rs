//! Packets encoded beforehand, one write for many of them.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{Task, WINDOW};
use crate::broker::write_repeated;
use crate::packets::{CONNACK, CONNECT, DISCONNECT, Inbox, publish, subscribe};

const PUBACK_LEN: usize = 4;

/// Returns the round trips of [`Task::RoundTrip`].
pub(crate) fn run(task: Task, port: u16, count: u32) -> Result<Vec<Duration>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    stream.write_all(CONNECT)?;
    let mut connack = [0; CONNACK.len()];
    stream.read_exact(&mut connack)?;
    ensure!(connack == CONNACK, "refused");
    let mut round_trips = Vec::new();
    match task {
        Task::AtMostOnce => write_repeated(&mut stream, &publish(None), count)?,
        Task::AtLeastOnce => at_least_once(&mut stream, count)?,
        Task::RoundTrip => round_trips = measure_round_trips(&mut stream, count)?,
        Task::Receive => receive(&mut stream, count)?,
    }
    stream.write_all(DISCONNECT)?;
    Ok(round_trips)
}

fn at_least_once(stream: &mut TcpStream, count: u32) -> Result<()> {
    let window: Vec<u8> = (1..=WINDOW).flat_map(|id| publish(Some(id))).collect();
    let mut acknowledgements = [0; PUBACK_LEN * WINDOW as usize];
    ensure!(
        count.is_multiple_of(u32::from(WINDOW)),
        "whole windows only"
    );
    for _ in 0..count / u32::from(WINDOW) {
        stream.write_all(&window)?;
        stream.read_exact(&mut acknowledgements)?;
    }
    Ok(())
}

fn measure_round_trips(stream: &mut TcpStream, count: u32) -> Result<Vec<Duration>> {
    let packet = publish(Some(1));
    let mut acknowledgement = [0; PUBACK_LEN];
    let mut one = || {
        let start = Instant::now();
        stream.write_all(&packet)?;
        stream.read_exact(&mut acknowledgement)?;
        Ok(start.elapsed())
    };
    (0..count).map(|_| one()).collect()
}

fn receive(stream: &mut TcpStream, count: u32) -> Result<()> {
    stream.write_all(&subscribe())?;
    let mut inbox = Inbox::new();
    let mut received = 0;
    while received < count {
        let len = stream.read(inbox.room())?;
        ensure!(len > 0, "closed after {received} messages");
        inbox.filled(len);
        while let Some((first, _)) = inbox.next() {
            received += u32::from(first == 0x30);
        }
    }
    Ok(())
}
