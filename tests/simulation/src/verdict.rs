//! What must hold, and what was found.

use std::fmt;

/// What a user relies on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// A QoS 1 message arrives, in both directions.
    AtLeastOnce,
    /// A QoS 2 message arrives once while the broker keeps the session.
    ExactlyOnce,
    /// What the durable outbox accepted arrives, or is reported lost, over any number of losses of power.
    Durable,
    /// Nothing arrives that was not accepted, or not as it was accepted.
    Content,
    /// Messages of one topic and QoS come in the order in which they were accepted.
    Order,
    /// An outcome that the client reports is true.
    Outcome,
    /// DUP is set on repetitions and nowhere else; nothing is repeated on one link.
    Repetition,
    /// A packet identifier in use is not used for something else, and each becomes free again.
    Identifier,
    /// Limits that the server announced are kept, and those of the options.
    Limits,
    /// Packets come when the standard allows them.
    Sequence,
    /// A message is acknowledged after the application had it, in the order of the messages.
    Acknowledgement,
    /// The subscriptions of the options are there.
    Subscriptions,
    /// The will is what the options say, and a goodbye does with it what the application wants.
    Will,
    /// The client answers as its method says, and does not stay with a server that cannot prove itself.
    Authentication,
    /// The client is never silent for longer than it promised.
    KeepAlive,
    /// What waits for the peer gives up at its deadline, neither before nor after.
    Deadline,
    /// Once the link is good, everything is done within bounded time.
    Progress,
    /// All memory is free again when nothing is left to do.
    Memory,
    /// The client never accuses a server that did nothing wrong.
    Blame,
    /// The code does not panic.
    NoPanic,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AtLeastOnce => "QoS 1 at least once",
            Self::ExactlyOnce => "QoS 2 exactly once",
            Self::Durable => "durable outbox",
            Self::Content => "nothing invented",
            Self::Order => "order of messages",
            Self::Outcome => "true outcomes",
            Self::Repetition => "DUP and repetition",
            Self::Identifier => "packet identifiers",
            Self::Limits => "limits kept",
            Self::Sequence => "sequence of packets",
            Self::Acknowledgement => "acknowledged after delivery",
            Self::Subscriptions => "subscriptions renewed",
            Self::Will => "will",
            Self::Authentication => "authentication",
            Self::KeepAlive => "keep-alive kept",
            Self::Deadline => "deadlines kept",
            Self::Progress => "progress",
            Self::Memory => "no leak",
            Self::Blame => "no false accusation",
            Self::NoPanic => "no panic",
        })
    }
}

/// A rule that did not hold.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which one.
    pub rule: Rule,
    /// What was seen.
    pub text: String,
    /// Virtual milliseconds since the beginning.
    pub at: u64,
}

/// What happened in one or many lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// Lives.
    pub seeds: u64,
    /// Virtual time in milliseconds, jumps of the clock left out.
    pub virtual_ms: u64,
    /// Links that were made.
    pub links: u64,
    /// Messages accepted from the application.
    pub published: u64,
    /// Messages that the broker took over, repetitions left out.
    pub arrived: u64,
    /// Messages given to the application.
    pub received: u64,
    /// Links broken by the network, or by the broker without a word.
    pub cuts: u64,
    /// Futures dropped before they were ready.
    pub drops: u64,
    /// Devices switched off and on.
    pub reboots: u64,
    /// Messages that a durable outbox accepted.
    pub entrusted: u64,
    /// Copies of a session that were saved, and taken over after a reboot.
    pub saved: u64,
    /// See [`saved`](Self::saved).
    pub restored: u64,
    /// Wills that the broker published.
    pub wills: u64,
    /// Steps of extended authentication.
    pub steps: u64,
    /// Jumps of the clock.
    pub jumps: u64,
    /// Sessions that the broker forgot or that ended.
    pub sessions: u64,
}

impl Summary {
    /// Adds what happened in others.
    pub fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.virtual_ms += other.virtual_ms;
        self.links += other.links;
        self.published += other.published;
        self.arrived += other.arrived;
        self.received += other.received;
        self.cuts += other.cuts;
        self.drops += other.drops;
        self.reboots += other.reboots;
        self.entrusted += other.entrusted;
        self.saved += other.saved;
        self.restored += other.restored;
        self.wills += other.wills;
        self.steps += other.steps;
        self.jumps += other.jumps;
        self.sessions += other.sessions;
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = self.virtual_ms / 3_600_000;
        writeln!(f, "seeds               {:>14}", self.seeds)?;
        writeln!(f, "virtual time        {hours:>12} h")?;
        writeln!(f, "links               {:>14}", self.links)?;
        writeln!(f, "messages accepted   {:>14}", self.published)?;
        writeln!(f, "messages arrived    {:>14}", self.arrived)?;
        writeln!(f, "messages received   {:>14}", self.received)?;
        writeln!(f, "links cut           {:>14}", self.cuts)?;
        writeln!(f, "futures dropped     {:>14}", self.drops)?;
        writeln!(f, "reboots             {:>14}", self.reboots)?;
        writeln!(f, "durable messages    {:>14}", self.entrusted)?;
        writeln!(f, "sessions saved      {:>14}", self.saved)?;
        writeln!(f, "sessions restored   {:>14}", self.restored)?;
        writeln!(f, "wills published     {:>14}", self.wills)?;
        writeln!(f, "authentications     {:>14}", self.steps)?;
        writeln!(f, "jumps of the clock  {:>14}", self.jumps)?;
        write!(f, "sessions begun      {:>14}", self.sessions)
    }
}
