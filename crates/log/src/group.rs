//! A commit group in a segment file: what one write and one fdatasync make durable, whole or not at all.
//!
//! ```text
//! header   magic "SGRP" · records u32 · body bytes u32 · CRC32C of the body u32
//! 40 bytes offset of the first record u64 · time of the commit i64 · 0 u32 · CRC32C of salt and header u32
//! body     records, one after the other, then zeros up to a multiple of 8:
//!   record kind u8 · has producer u8 · spans u16 · stream u32 · schema version u32 · payload bytes u32
//!          [producer id u64 · seq u64] · spans × (partition u8 · base u64 · rows u32) · payload
//! ```
//! All numbers are little-endian. The salt is drawn anew each time a segment file is put to use and is part of no
//! group: neither the bytes that an earlier use left behind nor a payload that imitates a group pass for one.

use bytes::Bytes;
use springhouse_model::Timestamp;

use crate::bytes_in::Fields;
use crate::{Kind, Offset, Producer, Record, Span};

pub(crate) const HEADER_BYTES: usize = 40;
pub(crate) const MAGIC: [u8; 4] = *b"SGRP";
/// Groups begin at multiples of this.
pub(crate) const ALIGN_BYTES: usize = 8;
/// Above what a commit collects plus the largest append; a header that claims more is not one.
pub(crate) const BODY_BYTES_MAX: u32 = 64 << 20;

/// The fixed part of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub records: u32,
    pub body_bytes: u32,
    body_crc: u32,
    pub base: u64,
    pub appended_at: Timestamp,
}

impl Header {
    /// The header at the start of `bytes`, if there is one that belongs to this use of the segment.
    pub(crate) fn parse(bytes: &[u8], salt: u64) -> Option<Header> {
        let bytes = bytes.get(..HEADER_BYTES)?;
        let mut fields = Fields(bytes);
        if fields.take(MAGIC.len())? != MAGIC {
            return None;
        }
        let header = Header {
            records: fields.u32()?,
            body_bytes: fields.u32()?,
            body_crc: fields.u32()?,
            base: fields.u64()?,
            appended_at: Timestamp(fields.i64()?),
        };
        fields.u32()?;
        let is_sound = fields.u32()? == header_crc(&bytes[..HEADER_BYTES - 4], salt)
            && header.records > 0
            && header.body_bytes <= BODY_BYTES_MAX;
        is_sound.then_some(header)
    }

    /// Bytes of the whole group in the file.
    pub(crate) fn group_bytes(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.body_bytes)
    }

    /// One past the last record of the group.
    pub(crate) fn end(&self) -> u64 {
        self.base.saturating_add(u64::from(self.records))
    }

    pub(crate) fn matches(&self, body: &[u8]) -> bool {
        body.len() == self.body_bytes as usize && crc32c::crc32c(body) == self.body_crc
    }
}

fn header_crc(header: &[u8], salt: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&salt.to_le_bytes()), header)
}

/// A group being written. The buffer is used again for the next one.
#[derive(Default)]
pub(crate) struct GroupBuilder {
    bytes: Vec<u8>,
    records: u32,
}

impl GroupBuilder {
    /// More than this is given back after a large group.
    const CAPACITY_KEPT_BYTES: usize = 1 << 20;

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(Self::CAPACITY_KEPT_BYTES);
        self.bytes.resize(HEADER_BYTES, 0);
        self.records = 0;
    }

    pub(crate) fn push(&mut self, record: &Record) {
        let bytes = &mut self.bytes;
        bytes.extend_from_slice(&[record.kind as u8, u8::from(record.producer.is_some())]);
        bytes.extend_from_slice(&(record.spans.len() as u16).to_le_bytes());
        bytes.extend_from_slice(&record.stream.to_le_bytes());
        bytes.extend_from_slice(&record.schema_version.to_le_bytes());
        bytes.extend_from_slice(&(record.payload.len() as u32).to_le_bytes());
        if let Some(producer) = record.producer {
            bytes.extend_from_slice(&producer.id.to_le_bytes());
            bytes.extend_from_slice(&producer.seq.to_le_bytes());
        }
        for span in &record.spans {
            bytes.push(span.partition);
            bytes.extend_from_slice(&span.base.to_le_bytes());
            bytes.extend_from_slice(&span.rows.to_le_bytes());
        }
        bytes.extend_from_slice(&record.payload);
        self.records += 1;
    }

    /// Takes any bytes for one record: how the fuzzer makes groups with sound checksums.
    pub(crate) fn push_raw(&mut self, record: &[u8]) {
        self.bytes.extend_from_slice(record);
        self.records += 1;
    }

    /// Pads the group and returns its length.
    pub(crate) fn close(&mut self) -> u64 {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGN_BYTES), 0);
        self.bytes.len() as u64
    }

    /// The whole group, sealed for the segment with this salt.
    pub(crate) fn seal(&mut self, base: u64, appended_at: Timestamp, salt: u64) -> &[u8] {
        let (header, body) = self.bytes.split_at_mut(HEADER_BYTES);
        header[0..4].copy_from_slice(&MAGIC);
        header[4..8].copy_from_slice(&self.records.to_le_bytes());
        header[8..12].copy_from_slice(&(body.len() as u32).to_le_bytes());
        header[12..16].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
        header[16..24].copy_from_slice(&base.to_le_bytes());
        header[24..32].copy_from_slice(&appended_at.micros().to_le_bytes());
        header[32..36].fill(0);
        let crc = header_crc(&header[..HEADER_BYTES - 4], salt);
        header[36..40].copy_from_slice(&crc.to_le_bytes());
        &self.bytes
    }
}

/// The records of a group whose body matches its header; `None` if they cannot be read all the same. Payloads share
/// the body's memory.
pub(crate) fn records(header: &Header, body: &Bytes) -> Option<Vec<Record>> {
    let mut fields = Fields(body);
    let mut records = Vec::new();
    for offset in header.base..header.end() {
        records.push(record(&mut fields, Offset(offset), header.appended_at, body)?);
    }
    (fields.0.len() < ALIGN_BYTES).then_some(records)
}

fn record(fields: &mut Fields<'_>, offset: Offset, appended_at: Timestamp, body: &Bytes) -> Option<Record> {
    let kind = Kind::from_number(fields.u8()?)?;
    let has_producer = fields.u8()? != 0;
    let span_count = fields.u16()?;
    let (stream, schema_version, payload_bytes) = (fields.u32()?, fields.u32()?, fields.u32()?);
    let producer = if has_producer { Some(Producer { id: fields.u64()?, seq: fields.u64()? }) } else { None };
    let mut spans = Vec::with_capacity(usize::from(span_count));
    for _ in 0..span_count {
        spans.push(Span { partition: fields.u8()?, base: fields.u64()?, rows: fields.u32()? });
    }
    let payload = body.slice_ref(fields.take(payload_bytes as usize)?);
    Some(Record {
        offset,
        kind,
        stream,
        schema_version,
        spans,
        producer,
        appended_at,
        payload,
        batch: Default::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(offset: u64, payload: &'static [u8]) -> Record {
        Record {
            offset: Offset(offset),
            kind: Kind::Readings,
            stream: 7,
            schema_version: 2,
            spans: vec![Span { partition: 3, base: 40, rows: 2 }, Span { partition: 63, base: 0, rows: 1 }],
            producer: Some(Producer { id: 9, seq: 11 }),
            appended_at: Timestamp(5),
            payload: Bytes::from_static(payload),
            batch: Default::default(),
        }
    }

    fn sealed(salt: u64) -> Vec<u8> {
        let mut group = GroupBuilder::default();
        group.clear();
        group.push(&sample(100, b"first"));
        group.push(&sample(101, b""));
        group.close();
        group.seal(100, Timestamp(5), salt).to_vec()
    }

    #[test]
    fn a_group_comes_back() {
        let bytes = sealed(1);
        let header = Header::parse(&bytes, 1).unwrap();
        assert_eq!((header.base, header.end(), header.group_bytes()), (100, 102, bytes.len() as u64));
        let body = Bytes::copy_from_slice(&bytes[HEADER_BYTES..]);
        assert!(header.matches(&body));
        let records = records(&header, &body).unwrap();
        for (record, expected) in records.iter().zip([sample(100, b"first"), sample(101, b"")]) {
            assert_eq!(format!("{record:?}"), format!("{expected:?}"));
        }
    }

    #[test]
    fn a_group_of_another_use_of_the_segment_is_none() {
        assert_eq!(Header::parse(&sealed(1), 2), None);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let good = sealed(1);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let passes = Header::parse(&bad, 1).is_some_and(|header| header.matches(&bad[HEADER_BYTES..]));
            assert!(!passes, "bit {bit}");
        }
    }
}
