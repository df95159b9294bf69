//! Objects, written member by member.

use serde::Serialize;

use crate::{
    codec::{EncodeError, Writer},
    json::write_json,
};

/// Writes a JSON object, member by member.
pub(crate) struct ObjectWriter<'w, 'b> {
    writer: &'w mut Writer<'b>,
    is_empty: bool,
}

impl<'w, 'b> ObjectWriter<'w, 'b> {
    /// Begins the object.
    pub(crate) fn new(writer: &'w mut Writer<'b>) -> Result<Self, EncodeError> {
        writer.u8(b'{')?;
        Ok(Self {
            writer,
            is_empty: true,
        })
    }

    /// Writes a name; the value is to be written to what is returned.
    pub(crate) fn name(&mut self, name: &str) -> Result<&mut Writer<'b>, EncodeError> {
        if !core::mem::take(&mut self.is_empty) {
            self.writer.u8(b',')?;
        }
        write_json(self.writer, name)?;
        self.writer.u8(b':')?;
        Ok(self.writer)
    }

    /// Writes a member.
    pub(crate) fn member<T: Serialize + ?Sized>(
        &mut self,
        name: &str,
        value: &T,
    ) -> Result<(), EncodeError> {
        write_json(self.name(name)?, value)
    }

    /// Writes a member whose value is a string, if there is one.
    pub(crate) fn text(&mut self, name: &str, value: Option<&str>) -> Result<(), EncodeError> {
        value.map_or(Ok(()), |value| self.member(name, value))
    }

    /// Ends the object.
    pub(crate) fn end(self) -> Result<(), EncodeError> {
        self.writer.u8(b'}')
    }
}
