//! Our side: the session of `mqtt-core` on a TCP connection to the recorder.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};

use mqtt_core::codec::{Properties, Publish, ReasonCode, Subscription};
use mqtt_core::platform::ApplicationMessage;
use mqtt_core::session::{Event, Options, Slot};
use mqtt_core::{Instant, Message, Publication, ReceiveBuffer, Session};
use mqtt_tests::peer::{LIMIT, Peer};
use mqtt_tests::recorder::{BARRIER, Downlink, Recorder};
use serde_json::Value;

/// No time passes.
pub(crate) const NOW: Instant = Instant::from_millis(0);

const BUFFER: usize = 64 * 1024;

/// A device with our helpers, and its recorder.
#[derive(Debug)]
pub(crate) struct Ours {
    pub(crate) recorder: Recorder,
    stream: TcpStream,
    session: OurSession,
    receive: ReceiveBuffer<Vec<u8>>,
    /// Messages that came while something else was waited for.
    received: VecDeque<Received>,
}

/// A message as it was received.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Received {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
}

impl<'m> ApplicationMessage<'m> for &'m Received {
    fn topic_and_payload(self) -> (&'m [u8], &'m [u8]) {
        (self.topic.as_bytes(), &self.payload)
    }
}

impl Ours {
    /// Connects and subscribes; what was sent for that.
    pub(crate) fn connect(options: &Options<'_>) -> (Self, Vec<Value>) {
        let peer = Peer::new();
        let mut session =
            Session::new(vec![0; BUFFER], vec![Slot::FREE; 64], options).expect("options that fit");
        let mut receive = ReceiveBuffer::new(vec![0; BUFFER]);
        receive.reset(options);
        session.connect(options, NOW).expect("options that fit");
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, peer.port())).expect("a connection");
        stream.set_read_timeout(Some(LIMIT)).expect("an option");
        transmit(&mut session, &stream);
        let mut ours = Self {
            recorder: Recorder::accept(&peer),
            stream,
            session,
            receive,
            received: VecDeque::new(),
        };
        let records = ours.connected();
        (ours, records)
    }

    /// Loses the connection, and makes another; what was sent for that.
    pub(crate) fn reconnects(&mut self, options: &Options<'_>) -> Vec<Value> {
        self.session.link_lost(true);
        (self.recorder, self.stream) = link(&mut self.session, &mut self.receive, options);
        self.connected()
    }

    /// Publishes; what was sent.
    pub(crate) fn sends(&mut self, publications: &[&dyn Publication]) -> Vec<Value> {
        for publication in publications {
            self.publishes(*publication);
        }
        let records = self.barrier();
        while !self.session.is_idle() {
            let received = self.reads();
            self.received.extend(received);
            // The recorder takes what was answered.
            self.barrier();
        }
        records
    }

    /// Subscribes; what was sent.
    pub(crate) fn subscribes(&mut self, subscriptions: &[Subscription<'_>]) -> Vec<Value> {
        let subscribed = self
            .session
            .subscribe(subscriptions, Properties::NONE, false);
        subscribed.expect("filters that fit");
        self.sends(&[])
    }

    /// Receives a message of the server.
    pub(crate) fn receives(&mut self, downlink: &Downlink) -> Received {
        self.recorder.sends(downlink);
        let received = self.next_message();
        self.recorder.until(|_| true);
        received
    }

    /// Reads until there is a message.
    pub(crate) fn next_message(&mut self) -> Received {
        if let Some(received) = self.received.pop_front() {
            return received;
        }
        loop {
            if let Some(received) = self.reads() {
                return received;
            }
        }
    }

    /// Takes leave; what was sent.
    pub(crate) fn disconnects(mut self) -> Vec<Value> {
        self.session.disconnect(ReasonCode::NORMAL_DISCONNECTION);
        transmit(&mut self.session, &self.stream);
        drop(self.stream);
        self.recorder.until_closed()
    }

    fn connected(&mut self) -> Vec<Value> {
        while !self.session.is_connected() {
            self.reads();
        }
        self.sends(&[])
    }

    fn barrier(&mut self) -> Vec<Value> {
        self.publishes(&Message::new(BARRIER, b""));
        self.recorder.until_barrier()
    }

    fn publishes(&mut self, publication: &dyn Publication) {
        self.session
            .publish(publication, false, NOW)
            .expect("a publication that the helper takes");
        transmit(&mut self.session, &self.stream);
    }

    /// Handles the next packet, after a wait for bytes if none has come; the message that it is.
    fn reads(&mut self) -> Option<Received> {
        let Some(received) = self.receive.next().expect("packets") else {
            let len = self.stream.read(self.receive.space()).expect("bytes");
            assert_ne!(len, 0, "the recorder closes");
            self.receive.filled(len);
            return None;
        };
        let event = self.session.handle(received, NOW).expect("no error");
        let message = if let Event::Message(incoming) = event {
            let message = owned(&incoming.publish);
            if let Some(token) = incoming.token {
                self.session.acknowledge(token, ReasonCode::SUCCESS);
            }
            Some(message)
        } else {
            None
        };
        transmit(&mut self.session, &self.stream);
        message
    }
}

type OurSession = Session<Vec<u8>, Vec<Slot>>;

fn link(
    session: &mut OurSession,
    receive: &mut ReceiveBuffer<Vec<u8>>,
    options: &Options<'_>,
) -> (Recorder, TcpStream) {
    let peer = Peer::new();
    receive.reset(options);
    session.connect(options, NOW).expect("options that fit");
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, peer.port())).expect("a connection");
    stream.set_read_timeout(Some(LIMIT)).expect("an option");
    transmit(session, &stream);
    (Recorder::accept(&peer), stream)
}

fn owned(publish: &Publish<'_>) -> Received {
    Received {
        topic: publish.topic.as_str().to_owned(),
        payload: publish.payload.to_vec(),
    }
}

fn transmit(session: &mut OurSession, mut stream: &TcpStream) {
    let mut out = vec![0; BUFFER];
    loop {
        let len = session.transmit(&mut out, NOW);
        if len == 0 {
            return;
        }
        stream.write_all(&out[..len]).expect("sent");
    }
}
