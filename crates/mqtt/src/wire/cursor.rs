//! Reading the primitive types of MQTT (MQTT 5 §1.5) out of one packet, without copying.

use bytes::Bytes;
use bytestring::ByteString;

use crate::reason::Fault;

/// A position in the body of a packet. Slices share the memory of the body.
pub struct Cursor<'a> {
    body: &'a Bytes,
    at: usize,
    end: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(body: &'a Bytes) -> Cursor<'a> {
        Cursor { body, at: 0, end: body.len() }
    }

    pub fn position(&self) -> usize {
        self.at
    }

    pub fn is_empty(&self) -> bool {
        self.at == self.end
    }

    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        if self.end - self.at < count {
            return Err(Fault::malformed("packet ends too early"));
        }
        let slice = &self.body[self.at..self.at + count];
        self.at += count;
        Ok(slice)
    }

    pub fn u8(&mut self) -> Result<u8, Fault> {
        Ok(self.take(1)?[0])
    }

    pub fn u16(&mut self) -> Result<u16, Fault> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    pub fn u32(&mut self) -> Result<u32, Fault> {
        let bytes = self.take(4)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// A packet identifier; zero is not one (§2.2.1).
    pub fn packet_id(&mut self) -> Result<u16, Fault> {
        match self.u16()? {
            0 => Err(Fault::protocol("packet identifier is zero")),
            id => Ok(id),
        }
    }

    pub fn variable_int(&mut self) -> Result<u32, Fault> {
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21] {
            let byte = self.u8()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Fault::malformed("variable byte integer is longer than 4 bytes"))
    }

    pub fn binary(&mut self) -> Result<Bytes, Fault> {
        let length = usize::from(self.u16()?);
        let start = self.at;
        self.take(length)?;
        Ok(self.body.slice(start..start + length))
    }

    /// A UTF-8 string without U+0000 (§1.5.4).
    pub fn text(&mut self) -> Result<ByteString, Fault> {
        let bytes = self.binary()?;
        if bytes.contains(&0) {
            return Err(Fault::malformed("string contains U+0000"));
        }
        ByteString::try_from(bytes).map_err(|_| Fault::malformed("string is not UTF-8"))
    }

    /// The properties that follow: a cursor over them, and the position of the first.
    pub fn properties(&mut self) -> Result<Cursor<'a>, Fault> {
        let length = self.variable_int()? as usize;
        let at = self.at;
        self.take(length)?;
        Ok(Cursor { body: self.body, at, end: at + length })
    }

    pub fn rest(&mut self) -> Bytes {
        let rest = self.body.slice(self.at..self.end);
        self.at = self.end;
        rest
    }
}
