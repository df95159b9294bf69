//! The topics behind the server's topic aliases (MQTT 5 §3.3.2.3.4), kept at the end of the receive buffer.

use crate::{
    codec::TopicName,
    session::{Options, ProtocolError},
};

/// Entries are an alias and a length of two bytes each, and the topic.
#[derive(Debug, Default)]
pub(super) struct Aliases {
    maximum: u16,
    /// Where the topics begin in the buffer.
    limit: Option<usize>,
    /// Bytes in use.
    used: usize,
}

impl Aliases {
    pub(super) fn new(options: &Options<'_>, buffer_len: usize) -> Self {
        let maximum = if options.version.is_v5() {
            options.v5.topic_alias_maximum
        } else {
            0
        };
        let quarter = buffer_len / 4;
        Self {
            maximum,
            limit: (maximum != 0).then(|| buffer_len.saturating_sub(quarter)),
            used: 0,
        }
    }

    /// End of the part of the buffer that is for packets.
    pub(super) fn limit(&self) -> usize {
        self.limit.unwrap_or(usize::MAX)
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
        if alias > self.maximum {
            return Err(ProtocolError::TopicAlias);
        }
        if topic.is_empty() {
            return self.find(alias, memory).ok_or(ProtocolError::TopicAlias);
        }
        self.remember(alias, topic.as_bytes(), memory)
            .ok_or(ProtocolError::TopicAliasMemory)?;
        Ok(topic)
    }

    pub(super) fn find<'b>(&self, alias: u16, memory: &'b [u8]) -> Option<TopicName<'b>> {
        let (at, len) = self.locate(alias, memory)?;
        let from = at.checked_add(4)?;
        let topic = memory.get(from..from.checked_add(len)?)?;
        Some(TopicName::from_checked(topic))
    }

    fn remember(&mut self, alias: u16, topic: &[u8], memory: &mut [u8]) -> Option<()> {
        if let Some((at, len)) = self.locate(alias, memory) {
            let next = at.checked_add(4)?.checked_add(len)?;
            memory.get_mut(..self.used)?.copy_within(next.., at);
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
