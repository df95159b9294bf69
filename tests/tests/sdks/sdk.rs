//! The other side: an official SDK that is connected to a recorder.

use std::net::Ipv4Addr;

use mqtt_core::codec::Publish;
use mqtt_tests::peer::Peer;
use mqtt_tests::recorder::{BARRIER, Downlink, Recorder};
use serde_json::{Value, json};

use crate::interpreter::Interpreter;

/// An SDK, and the recorder of its connection.
#[derive(Debug)]
pub(crate) struct Sdk {
    peer: Peer,
    recorder: Option<Recorder>,
    interpreter: Interpreter,
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "actions are written where they are asked for"
)]
impl Sdk {
    /// Starts the interpreter of a platform; it does nothing yet.
    pub(crate) fn start(platform: &str) -> Self {
        let peer = Peer::new();
        let server = (Ipv4Addr::LOCALHOST, peer.port()).into();
        Self {
            peer,
            recorder: None,
            interpreter: Interpreter::start(platform, server, Some(BARRIER)),
        }
    }

    /// Does an action that connects; what was sent until it was done, and what it returned.
    pub(crate) fn connects(
        &mut self,
        action: Value,
        script: impl FnMut(&Publish<'_>) -> Vec<Downlink> + 'static,
    ) -> (Vec<Value>, Value) {
        self.begins(action);
        let recorder = self.accepts();
        recorder.answers(script);
        let records = recorder.until_barrier();
        (records, self.done())
    }

    /// Does an action; what was sent, and what it returned.
    pub(crate) fn does(&mut self, action: Value) -> (Vec<Value>, Value) {
        self.begins(action);
        let records = self.recorder().until_barrier();
        (records, self.done())
    }

    /// Does an action; what was sent.
    pub(crate) fn sends(&mut self, action: Value) -> Vec<Value> {
        self.does(action).0
    }

    /// Receives a message of the server; what the SDK makes of it.
    pub(crate) fn receives(&mut self, downlink: &Downlink) -> Value {
        self.recorder().sends(downlink);
        self.recorder().until(|_| true);
        self.next_delivered()
    }

    /// Begins an action.
    pub(crate) fn begins(&mut self, action: Value) {
        self.interpreter.begins(action);
    }

    /// Takes its next connection.
    pub(crate) fn accepts(&mut self) -> &mut Recorder {
        let recorder = Recorder::accept(&self.peer);
        self.recorder.insert(recorder)
    }

    /// The recorder of its connection.
    pub(crate) fn recorder(&mut self) -> &mut Recorder {
        self.recorder.as_mut().expect("a connection")
    }

    /// Loses its connection, and makes another; what was sent for that.
    pub(crate) fn reconnects(&mut self) -> Vec<Value> {
        self.recorder = None;
        self.accepts();
        let reconnected = self.next_delivered();
        assert_eq!(reconnected[0], "reconnect");
        self.sends(json!(["nothing"]))
    }

    /// Waits for the end of the action; what it returned.
    pub(crate) fn done(&mut self) -> Value {
        self.interpreter.done()
    }

    /// What a callback of the SDK got next: the name of the callback, and the value.
    pub(crate) fn next_delivered(&mut self) -> Value {
        self.interpreter.next_delivered()
    }

    /// Whether it neither sends nor says anything for a while.
    pub(crate) fn is_silent(&mut self) -> bool {
        self.interpreter.is_silent()
    }

    /// Whether no callback was called.
    pub(crate) fn has_delivered_nothing(&self) -> bool {
        self.interpreter.has_delivered_nothing()
    }
}
