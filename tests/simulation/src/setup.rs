//! What a life starts from: the options of the device, the character of the broker and of the network.

use mqtt_core::{
    QoS, Version,
    codec::{Properties, Property, Subscription, TopicFilter, TopicName, Will},
    session::{Options, OutboxPolicy, Oversize, Reconnect},
};

use crate::{riddle::RIDDLE, tape::Tape};

/// What the application is subscribed to on every link.
pub(crate) const FILTER: &str = "d/#";

static SUBSCRIPTIONS: [Subscription<'static>; 1] = [match TopicFilter::new(FILTER) {
    Ok(filter) => Subscription::new(filter, QoS::ExactlyOnce),
    Err(_) => panic!("a good filter"),
}];

const WILL_TOPIC: TopicName<'static> = match TopicName::new("w/device") {
    Ok(topic) => topic,
    Err(_) => panic!("a good topic"),
};

/// Seconds after which the broker publishes a will, and the property that says so.
static WILL_DELAYS: [(u32, [Property<'static>; 1]); 2] = [
    (1, [Property::WillDelayInterval(1)]),
    (5, [Property::WillDelayInterval(5)]),
];

/// What the client takes to remember one topic of the broker's, at most.
const ALIAS_LEN: usize = 16;

/// What the broker remembers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Memory {
    /// Sessions, as the standard wants.
    Keeps,
    /// Nothing, and says so.
    Never,
    /// Nothing, and says the opposite (3.1.1 only).
    Pretends,
}

/// What the device keeps over a loss of power.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Storage {
    Nothing,
    /// Messages, in an outbox.
    Outbox,
    /// The session.
    Session,
}

#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent of each other")]
pub(crate) struct Setup {
    pub(crate) version: Version,
    pub(crate) policy: OutboxPolicy,
    pub(crate) aliases: bool,
    /// Topic aliases that the broker may use.
    pub(crate) alias_maximum: u16,
    pub(crate) authenticates: bool,
    /// What the client's clock shows at first.
    pub(crate) start_ms: u32,
    pub(crate) rx: usize,
    pub(crate) tx: usize,
    pub(crate) wire: usize,
    pub(crate) slots: usize,
    pub(crate) options: Wishes,
    pub(crate) broker: Broker,
    pub(crate) network: Network,
    pub(crate) flash: Flash,
    /// A future is dropped at one poll in so many; 0 for never.
    pub(crate) drop_one_in: u32,
    pub(crate) publishers: u32,
    /// The application drops its inbox at some time.
    pub(crate) deaf: bool,
    /// Things that the publishers do, in each life between two boots.
    pub(crate) operations: u32,
    /// Messages for the device.
    pub(crate) downlinks: u32,
    /// Things that happen to the world, and within which time.
    pub(crate) events: u32,
    pub(crate) chaos_ms: u32,
}

/// The options that vary.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent of each other")]
pub(crate) struct Wishes {
    pub(crate) clean_session: bool,
    pub(crate) subscribed: bool,
    pub(crate) session_expiry_s: u32,
    pub(crate) keep_alive_s: u16,
    pub(crate) max_in_flight: u16,
    pub(crate) receive_maximum: u16,
    pub(crate) oversize: Oversize,
    pub(crate) redeliver_exactly_once: bool,
    pub(crate) poison_after: u8,
    pub(crate) connect_timeout_ms: u32,
    pub(crate) connack_timeout_ms: u32,
    pub(crate) ping_timeout_ms: u32,
    pub(crate) ack_timeout_ms: u32,
    pub(crate) longest_pause_ms: u32,
    pub(crate) will: Option<WillWish>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct WillWish {
    qos: QoS,
    retain: bool,
    delay_s: u32,
}

#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent of each other")]
pub(crate) struct Broker {
    pub(crate) memory: Memory,
    /// Limits announced in CONNACK (MQTT 5).
    pub(crate) receive_maximum: Option<u16>,
    pub(crate) maximum_packet_size: Option<u32>,
    pub(crate) maximum_qos: QoS,
    pub(crate) retain_available: bool,
    pub(crate) keep_alive_s: Option<u16>,
    pub(crate) topic_aliases: u16,
    /// Answers may overtake each other.
    pub(crate) reorders: bool,
    /// Only what was sent on this connection counts against the receive maximum [MQTT-3.3.4-9]. Exchanges of earlier
    /// ones take slots as well, so there are many.
    pub(crate) counts_anew: bool,
    /// A message of QoS 2 is passed on when PUBREL comes, not before.
    pub(crate) late_release: bool,
    /// One message or request in so many is refused; 0 for none.
    pub(crate) refuse_one_in: u32,
    /// One CONNECT in so many is refused for the moment.
    pub(crate) busy_one_in: u32,
    /// Longest time until an answer.
    pub(crate) answer_ms: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Network {
    /// One link in so many breaks after some bytes.
    pub(crate) cut_one_in: u32,
    /// One link in so many goes silent after some bytes.
    pub(crate) half_open_one_in: u32,
    /// Bytes that pass before that, at most.
    pub(crate) bytes_before: u32,
    /// One connect in so many fails or hangs.
    pub(crate) fail_one_in: u32,
    /// Bytes of one read or write at most.
    pub(crate) piece: usize,
    /// One read or write in so many is pending for no reason.
    pub(crate) lazy_one_in: u32,
    /// One read or write in so many waits for a while, and how long.
    pub(crate) stall_one_in: u32,
    pub(crate) stall_ms: u32,
    /// Longest time from the device to the broker.
    pub(crate) latency_ms: u32,
    /// Bytes on the way to the broker, at most.
    pub(crate) window: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Flash {
    pub(crate) storage: Storage,
    /// What the outbox does when it is full, and how many messages it holds.
    pub(crate) policy: OutboxPolicy,
    pub(crate) room: usize,
    /// Power is lost at one moment of its operations in so many.
    pub(crate) cut_one_in: u32,
    /// One operation in so many fails.
    pub(crate) fail_one_in: u32,
}

impl Setup {
    pub(crate) fn draw(tape: &Tape) -> Self {
        let version = tape.pick(&[Version::V3_1_1, Version::V5]);
        let is_v5 = version == Version::V5;
        let options = Wishes::draw(tape);
        let aliases = is_v5 && tape.one_in(3);
        let inbound = usize::from(options.receive_maximum);
        let slots = inbound + 8 + tape.below(24) as usize;
        let broker = Broker::draw(tape, is_v5, &options);
        let rx = 96 + tape.below(200) as usize;
        // A quarter of the receive buffer has room for so many topics.
        let most_aliases = (rx / 4 / ALIAS_LEN).min(5) as u32;
        Self {
            version,
            policy: tape.pick(&[
                OutboxPolicy::Wait,
                OutboxPolicy::Wait,
                OutboxPolicy::Reject,
                OutboxPolicy::DropOldest,
                OutboxPolicy::KeepLatest,
            ]),
            aliases,
            alias_maximum: if aliases {
                tape.up_to(most_aliases) as u16
            } else {
                0
            },
            authenticates: is_v5 && tape.one_in(4),
            start_ms: tape.pick(&[0, u32::MAX - 2_000, u32::MAX - 70_000, u32::MAX / 2 - 3_000]),
            rx,
            tx: 360 + tape.below(800) as usize,
            wire: tape.pick(&[128, 16, 23, 64, 512]),
            slots: if broker.counts_anew { 150 } else { slots },
            flash: Flash::draw(tape, &options),
            broker,
            options,
            network: Network::draw(tape),
            drop_one_in: tape.pick(&[0, 60, 20, 7]),
            publishers: 1 + tape.below(3),
            deaf: tape.one_in(20),
            operations: 2 + tape.below(16),
            downlinks: tape.below(10),
            events: tape.below(6),
            chaos_ms: tape.pick(&[300, 3_000, 20_000, 90_000]),
        }
    }

    /// The options of the device; `session_known` after a reboot.
    pub(crate) fn options(&self, session_known: bool) -> Options<'static> {
        let wishes = &self.options;
        let mut options = Options::new("device");
        options.version = self.version;
        options.clean_session = wishes.clean_session;
        options.keep_alive_s = wishes.keep_alive_s;
        if wishes.subscribed {
            options.subscriptions = &SUBSCRIPTIONS;
        }
        options.will = self.will();
        options.always_resubscribe = self.broker.memory == Memory::Pretends;
        options.session_known = session_known;
        options.max_in_flight = wishes.max_in_flight;
        options.receive_maximum = wishes.receive_maximum;
        options.oversize = wishes.oversize;
        options.redeliver_exactly_once = wishes.redeliver_exactly_once;
        options.poison_after = wishes.poison_after;
        options.connect_timeout_ms = wishes.connect_timeout_ms;
        options.connack_timeout_ms = wishes.connack_timeout_ms;
        options.ping_timeout_ms = wishes.ping_timeout_ms;
        options.ack_timeout_ms = wishes.ack_timeout_ms;
        options.reconnect = Reconnect {
            initial_ms: 200,
            max_ms: wishes.longest_pause_ms,
            ..Reconnect::new()
        };
        options.v5.session_expiry_s = wishes.session_expiry_s;
        if self.aliases {
            options.v5.topic_alias_memory = 24;
            options.v5.topic_alias_maximum = self.alias_maximum;
        }
        if self.authenticates {
            options.v5.authentication = Some(&RIDDLE);
        }
        options
    }

    /// The will of the device, within the limits of the broker.
    pub(crate) fn will(&self) -> Option<Will<'static>> {
        let wish = self.options.will?;
        let delay = WILL_DELAYS
            .iter()
            .find(|known| known.0 == self.will_delay_s());
        Some(Will {
            topic: WILL_TOPIC,
            payload: b"gone, and did not say so",
            qos: wish.qos.min(self.broker.maximum_qos),
            retain: wish.retain && self.broker.retain_available,
            properties: delay.map_or(Properties::NONE, |(_, delay)| Properties::from(delay)),
        })
    }

    fn will_delay_s(&self) -> u32 {
        let delay_s = self.options.will.map_or(0, |wish| wish.delay_s);
        if self.version.is_v5() { delay_s } else { 0 }
    }

    /// A broker that forgets and does not say so cannot do QoS 2, and those that exist refuse it.
    pub(crate) fn highest_qos(&self) -> QoS {
        match self.broker.memory {
            Memory::Pretends => QoS::AtLeastOnce,
            _ => QoS::ExactlyOnce,
        }
    }

    /// At which QoS messages may be entrusted to the outbox.
    ///
    /// A 3.1.1 server that keeps the session of a device which does not takes new messages at QoS 2 for repetitions.
    pub(crate) fn durable_qos(&self) -> [QoS; 2] {
        let forgets = self.version.is_v5() || self.options.clean_session;
        let highest = if forgets {
            self.highest_qos()
        } else {
            QoS::AtLeastOnce
        };
        [QoS::AtLeastOnce, highest]
    }

    pub(crate) fn has_outbox(&self) -> bool {
        self.flash.storage == Storage::Outbox
    }

    pub(crate) fn keeps_session(&self) -> bool {
        self.flash.storage == Storage::Session
    }

    /// Within which time everything is done once nothing disturbs it any more.
    pub(crate) fn patience_ms(&self) -> u64 {
        let wishes = &self.options;
        let keep_alive = u64::from(
            wishes
                .keep_alive_s
                .max(self.broker.keep_alive_s.unwrap_or(0)),
        );
        let times = [
            wishes.connect_timeout_ms,
            wishes.connack_timeout_ms,
            wishes.ping_timeout_ms,
            // A write and then an answer may be awaited in vain.
            wishes.ack_timeout_ms,
            wishes.ack_timeout_ms,
            wishes.longest_pause_ms,
            wishes.longest_pause_ms,
        ];
        keep_alive * 2_000 + times.map(u64::from).iter().sum::<u64>() + 120_000
    }
}

impl Wishes {
    fn draw(tape: &Tape) -> Self {
        let clean_session = tape.one_in(3);
        Self {
            clean_session,
            subscribed: !tape.one_in(8),
            session_expiry_s: if clean_session {
                0
            } else {
                tape.pick(&[3_600_000, 3_600_000, 5, 0])
            },
            keep_alive_s: tape.pick(&[10, 1, 3, 60, 0]),
            max_in_flight: tape.pick(&[20, 1, 2, 5]),
            receive_maximum: tape.pick(&[8, 1, 2, 4]),
            oversize: tape.pick(&[Oversize::Skip, Oversize::Stream]),
            redeliver_exactly_once: tape.one_in(4),
            poison_after: tape.pick(&[0, 10, 2]),
            connect_timeout_ms: tape.pick(&[30_000, 4_000]),
            connack_timeout_ms: tape.pick(&[30_000, 3_000]),
            ping_timeout_ms: tape.pick(&[10_000, 700, 2_500]),
            ack_timeout_ms: tape.pick(&[120_000, 4_000, 15_000, 0]),
            longest_pause_ms: tape.pick(&[60_000, 1_000, 5_000]),
            will: tape.one_in(2).then(|| WillWish {
                qos: tape.pick(&[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce]),
                retain: tape.one_in(3),
                delay_s: tape.pick(&[0, 1, 5]),
            }),
        }
    }
}

impl Broker {
    fn draw(tape: &Tape, is_v5: bool, options: &Wishes) -> Self {
        let memories = [
            Memory::Keeps,
            Memory::Keeps,
            Memory::Keeps,
            Memory::Never,
            Memory::Pretends,
        ];
        let mut memory = tape.pick(&memories);
        if memory == Memory::Pretends && (is_v5 || options.clean_session) {
            memory = Memory::Keeps;
        }
        let mut broker = Self {
            memory,
            receive_maximum: tape.pick(&[None, Some(1), Some(2), Some(5)]),
            maximum_packet_size: tape.pick(&[None, None, None, Some(40), Some(80)]),
            maximum_qos: tape.pick(&[
                QoS::ExactlyOnce,
                QoS::ExactlyOnce,
                QoS::ExactlyOnce,
                QoS::AtLeastOnce,
                QoS::AtMostOnce,
            ]),
            retain_available: !tape.one_in(5),
            keep_alive_s: tape.pick(&[None, None, None, Some(2), Some(20)]),
            topic_aliases: tape.pick(&[0, 1, 2, 10]),
            reorders: tape.one_in(2),
            counts_anew: tape.one_in(2),
            late_release: tape.one_in(2),
            refuse_one_in: tape.pick(&[0, 0, 10, 3]),
            busy_one_in: tape.pick(&[0, 0, 5]),
            answer_ms: tape.pick(&[0, 0, 20, 400, 6_000]),
        };
        if !is_v5 {
            broker.receive_maximum = None;
            broker.maximum_packet_size = None;
            broker.maximum_qos = QoS::ExactlyOnce;
            broker.retain_available = true;
            broker.keep_alive_s = None;
            broker.topic_aliases = 0;
            broker.counts_anew = false;
        }
        broker
    }
}

impl Flash {
    fn draw(tape: &Tape, options: &Wishes) -> Self {
        let mut storage = tape.pick(&[
            Storage::Nothing,
            Storage::Nothing,
            Storage::Outbox,
            Storage::Session,
        ]);
        if storage == Storage::Session && options.clean_session {
            storage = Storage::Outbox;
        }
        Self {
            storage,
            policy: tape.pick(&[
                OutboxPolicy::Wait,
                OutboxPolicy::Wait,
                OutboxPolicy::Reject,
                OutboxPolicy::DropOldest,
                OutboxPolicy::KeepLatest,
            ]),
            room: 1 + tape.below(12) as usize,
            cut_one_in: tape.pick(&[0, 60, 15]),
            fail_one_in: tape.pick(&[0, 0, 25]),
        }
    }
}

impl Network {
    fn draw(tape: &Tape) -> Self {
        Self {
            cut_one_in: tape.pick(&[0, 4, 2, 1]),
            half_open_one_in: tape.pick(&[0, 0, 6, 3]),
            bytes_before: tape.pick(&[400, 150, 1_500]),
            fail_one_in: tape.pick(&[0, 0, 5, 2]),
            piece: tape.pick(&[usize::MAX, usize::MAX, 1, 5, 40]),
            lazy_one_in: tape.pick(&[0, 0, 8, 2]),
            stall_one_in: tape.pick(&[0, 0, 30, 8]),
            stall_ms: tape.pick(&[50, 1_000, 20_000]),
            latency_ms: tape.pick(&[0, 0, 8, 60, 1_500]),
            window: tape.pick(&[usize::MAX, usize::MAX, 20, 150]),
        }
    }
}
