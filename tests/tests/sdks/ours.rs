//! Our side: the session of `mqtt-core` on a TCP connection to the recorder.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};

use mqtt_core::codec::{Publish, ReasonCode};
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
    session: Session<Vec<u8>, Vec<Slot>>,
    receive: ReceiveBuffer<Vec<u8>>,
}

/// A message as it was received.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Received {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
}

impl ApplicationMessage for Received {
    fn topic(&self) -> &[u8] {
        self.topic.as_bytes()
    }

    fn payload(&self) -> &[u8] {
        &self.payload
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
        };
        while !ours.session.is_connected() {
            ours.reads();
        }
        let records = ours.sends(&[]);
        (ours, records)
    }

    /// Publishes; what was sent.
    pub(crate) fn sends(&mut self, publications: &[&dyn Publication]) -> Vec<Value> {
        for publication in publications {
            self.publishes(*publication);
        }
        self.publishes(&Message::new(BARRIER, b""));
        let records = self.recorder.until_barrier();
        while !self.session.is_idle() {
            self.reads();
        }
        records
    }

    /// Receives a message of the server.
    pub(crate) fn receives(&mut self, downlink: &Downlink) -> Received {
        self.recorder.sends(downlink);
        let received = self.next_message();
        self.recorder.until_answered(0);
        received
    }

    /// Reads until there is a message.
    pub(crate) fn next_message(&mut self) -> Received {
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

fn owned(publish: &Publish<'_>) -> Received {
    Received {
        topic: publish.topic.as_str().to_owned(),
        payload: publish.payload.to_vec(),
    }
}

fn transmit(session: &mut Session<Vec<u8>, Vec<Slot>>, mut stream: &TcpStream) {
    let mut out = vec![0; BUFFER];
    loop {
        let len = session.transmit(&mut out, NOW);
        if len == 0 {
            return;
        }
        stream.write_all(&out[..len]).expect("sent");
    }
}
