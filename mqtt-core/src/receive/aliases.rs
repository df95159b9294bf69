//! The topics behind the server's topic aliases (MQTT 5 §3.3.2.3.4), kept at the end of the receive buffer.

use crate::{
    bytes::move_down,
    codec::TopicName,
    session::{Options, ProtocolError},
};

/// Entries are an alias and a length of two bytes each, and the topic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aliases {
    /// How topics are found and kept; `None` while aliases are not enabled. A program that does not enable them
    /// does not contain the code.
    ops: Option<Ops>,
    maximum: u16,
    /// Where the topics begin in the buffer.
    limit: usize,
    /// Bytes in use.
    used: usize,
}

#[derive(Clone, Copy, Debug)]
struct Ops {
    resolve: for<'b> fn(
        &mut Aliases,
        TopicName<'b>,
        u16,
        &'b mut [u8],
    ) -> Result<TopicName<'b>, ProtocolError>,
    #[cfg(feature = "client")]
    find: for<'b> fn(&Aliases, u16, &'b [u8]) -> Option<TopicName<'b>>,
}

impl Aliases {
    pub(super) const OFF: Self = Self {
        ops: None,
        maximum: 0,
        limit: 0,
        used: 0,
    };

    pub(super) fn enable(&mut self) {
        self.ops = Some(Ops {
            resolve: Self::resolve_enabled,
            #[cfg(feature = "client")]
            find: Self::find_enabled,
        });
    }

    /// Forgets all topics.
    pub(super) fn reset(&mut self, options: &Options<'_>, buffer_len: usize) {
        self.used = 0;
        self.maximum = 0;
        self.limit = 0;
        if options.version.is_v5() && self.ops.is_some() && options.v5.topic_alias_maximum != 0 {
            self.maximum = options.v5.topic_alias_maximum;
            self.limit = buffer_len.wrapping_sub(buffer_len / 4);
        }
    }

    /// End of the part of the buffer that is for packets.
    pub(super) fn limit(&self) -> usize {
        if self.limit == 0 {
            usize::MAX
        } else {
            self.limit
        }
    }

    /// The topic that is meant, after remembering or recalling it.
    pub(super) fn resolve<'b>(
        &mut self,
        topic: TopicName<'b>,
        alias: Option<u16>,
        memory: &'b mut [u8],
    ) -> Result<TopicName<'b>, ProtocolError> {
        let Some(alias) = alias else {
            return Ok(topic);
        };
        match self.ops {
            Some(ops) if alias <= self.maximum => (ops.resolve)(self, topic, alias, memory),
            _ => Err(ProtocolError::TopicAlias),
        }
    }

    /// The topic behind an alias that was resolved before.
    #[cfg(feature = "client")]
    pub(super) fn find<'b>(&self, alias: u16, memory: &'b [u8]) -> Option<TopicName<'b>> {
        (self.ops?.find)(self, alias, memory)
    }

    fn resolve_enabled<'b>(
        &mut self,
        topic: TopicName<'b>,
        alias: u16,
        memory: &'b mut [u8],
    ) -> Result<TopicName<'b>, ProtocolError> {
        if topic.is_empty() {
            return self
                .find_enabled(alias, memory)
                .ok_or(ProtocolError::TopicAlias);
        }
        self.remember(alias, topic.as_bytes(), memory)
            .ok_or(ProtocolError::TopicAliasMemory)?;
        Ok(topic)
    }

    fn find_enabled<'b>(&self, alias: u16, memory: &'b [u8]) -> Option<TopicName<'b>> {
        let (at, len) = self.locate(alias, memory)?;
        let from = at.checked_add(4)?;
        let topic = memory.get(from..from.checked_add(len)?)?;
        Some(TopicName::from_checked(topic))
    }

    fn remember(&mut self, alias: u16, topic: &[u8], memory: &mut [u8]) -> Option<()> {
        if let Some((at, len)) = self.locate(alias, memory) {
            let next = at.checked_add(4)?.checked_add(len)?;
            move_down(memory, next, self.used.checked_sub(next)?, at);
            self.used = self.used.checked_sub(next.checked_sub(at)?)?;
        }
        let mut entry = crate::codec::Writer::new(memory.get_mut(self.used..)?);
        entry.u16(alias).ok()?;
        entry.binary(topic).ok()?;
        self.used = self.used.checked_add(entry.len())?;
        Some(())
    }

    /// Where the entry of `alias` is, and how long its topic.
    fn locate(&self, alias: u16, memory: &[u8]) -> Option<(usize, usize)> {
        let mut at: usize = 0;
        loop {
            let entry = memory.get(..self.used)?.get(at..)?;
            let ([a, b, c, d], _) = entry.split_first_chunk()?;
            let len = usize::from(u16::from_be_bytes([*c, *d]));
            if u16::from_be_bytes([*a, *b]) == alias {
                return Some((at, len));
            }
            at = at.checked_add(4)?.checked_add(len)?;
        }
    }
}
