//! The values in memory, and how a batch of rows changes them.

use std::sync::Arc;

use ahash::AHashMap;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampMicrosecondType};
use springhouse_meta::StreamEntry;
use springhouse_model::{DeviceId, StreamKey, Timestamp};
use springhouse_schema::{DEVICE_COLUMN, TS_COLUMN, is_system_column};

/// A value without its column.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Arc<str>),
    Time(i64),
}

impl Value {
    fn at(column: &dyn Array, row: usize) -> Option<Value> {
        match column.data_type() {
            DataType::Boolean => Some(Value::Bool(column.as_boolean().value(row))),
            DataType::Int64 => Some(Value::Int(column.as_primitive::<Int64Type>().value(row))),
            DataType::Float64 => Some(Value::Float(column.as_primitive::<Float64Type>().value(row))),
            DataType::Utf8 => Some(Value::Text(column.as_string::<i32>().value(row).into())),
            DataType::Timestamp(_, _) => {
                Some(Value::Time(column.as_primitive::<TimestampMicrosecondType>().value(row)))
            }
            _ => None,
        }
    }

    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Value::Bool(value) => (*value).into(),
            Value::Int(value) => (*value).into(),
            Value::Float(value) => (*value).into(),
            Value::Text(value) => value.as_ref().into(),
            Value::Time(micros) => Timestamp(*micros).to_string().into(),
        }
    }

    /// JSON has no times; the schema tells.
    pub fn from_json(json: serde_json::Value, is_time: bool) -> Option<Value> {
        match json {
            serde_json::Value::Bool(value) => Some(Value::Bool(value)),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(value) => Some(Value::Int(value)),
                None => number.as_f64().map(Value::Float),
            },
            serde_json::Value::String(text) => match is_time {
                true => Timestamp::parse_rfc3339(&text).map(|time| Value::Time(time.micros())),
                false => Some(Value::Text(text.into())),
            },
            _ => None,
        }
    }
}

/// A value with its event time and the record that brought it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cell {
    pub value: Value,
    pub ts: i64,
    pub offset: u64,
}

/// A cell that meta does not have yet.
#[derive(Clone, Debug)]
pub(super) struct Changed {
    pub stream: u32,
    pub device: DeviceId,
    pub property: Arc<str>,
    pub cell: Cell,
}

/// The last values of a device in one stream, by the place of the property.
#[derive(Default)]
struct Cells {
    cells: Vec<Option<Cell>>,
    /// Whether meta lacks the cell at this place.
    changed: Vec<bool>,
    /// One of them is; the device is in [`Values::changed`].
    is_listed: bool,
}

impl Cells {
    fn put(&mut self, place: usize, cell: Cell) {
        self.grow(place + 1);
        self.cells[place] = Some(cell);
    }

    fn grow(&mut self, places: usize) {
        if self.cells.len() < places {
            self.cells.resize(places, None);
            self.changed.resize(places, false);
        }
    }
}

struct StreamValues {
    key: StreamKey,
    /// Names by place in the rows of cells; grows with the schema.
    properties: Vec<Arc<str>>,
    devices: AHashMap<DeviceId, Cells>,
}

impl StreamValues {
    fn of<'a>(streams: &'a mut AHashMap<u32, StreamValues>, stream: &StreamEntry) -> &'a mut StreamValues {
        let empty =
            || StreamValues { key: stream.key.clone(), properties: Vec::new(), devices: AHashMap::new() };
        streams.entry(stream.id).or_insert_with(empty)
    }

    fn place(&mut self, property: &str) -> usize {
        match self.properties.iter().position(|name| &**name == property) {
            Some(place) => place,
            None => {
                self.properties.push(property.into());
                self.properties.len() - 1
            }
        }
    }
}

/// Last values of all streams.
#[derive(Default)]
pub(super) struct Values {
    streams: AHashMap<u32, StreamValues>,
    /// Streams and devices with cells that meta lacks, each once.
    changed: Vec<(u32, DeviceId)>,
    /// Records before this are folded in.
    pub next: u64,
    /// And before this, in meta.
    pub written: u64,
}

impl Values {
    /// No values; the next record to read is `next`.
    pub fn starting_at(next: u64) -> Values {
        Values { next, ..Values::default() }
    }

    /// Takes over what meta had; a value that could not be read is as good as none.
    pub fn put_loaded(
        &mut self,
        stream: &StreamEntry,
        device: DeviceId,
        property: &str,
        (value, ts, offset): (Option<Value>, i64, u64),
    ) {
        let values = StreamValues::of(&mut self.streams, stream);
        let place = values.place(property);
        if let Some(value) = value {
            values.devices.entry(device).or_default().put(place, Cell { value, ts, offset });
        }
    }

    /// Folds the rows of a record in. Of two values the later event counts, of two of the
    /// same time the later row.
    pub fn fold(&mut self, stream: &StreamEntry, batch: &RecordBatch, offset: u64) {
        let newest = Newest::of(batch);
        let Values { streams, changed, .. } = self;
        let values = StreamValues::of(streams, stream);
        let places: Vec<usize> = newest.columns.iter().map(|(_, name)| values.place(name)).collect();
        for (number, name) in newest.devices.iter().enumerate() {
            if !values.devices.contains_key(*name) {
                let Ok(device) = name.parse::<DeviceId>() else { continue };
                values.devices.insert(device, Cells::default());
            }
            let Some(device) = values.devices.get_mut(*name) else { continue };
            device.grow(values.properties.len());
            let mut has_changed = false;
            for (nth, (column, _)) in newest.columns.iter().enumerate() {
                let Some((ts, row)) = newest.rows[number * newest.columns.len() + nth] else { continue };
                let place = places[nth];
                let cell = &mut device.cells[place];
                let is_later = cell.as_ref().is_none_or(|cell| (ts, offset) >= (cell.ts, cell.offset));
                if let Some(value) = is_later.then(|| Value::at(batch.column(*column), row)).flatten() {
                    *cell = Some(Cell { value, ts, offset });
                    device.changed[place] = true;
                    has_changed = true;
                }
            }
            if has_changed && !std::mem::replace(&mut device.is_listed, true) {
                changed.extend(name.parse().map(|device| (stream.id, device)));
            }
        }
    }

    /// Forgets the streams that are gone; returns what they were called.
    pub fn forget_streams(&mut self, is_gone: impl Fn(u32) -> bool) -> Vec<StreamKey> {
        self.changed.retain(|(stream, _)| !is_gone(*stream));
        self.streams.extract_if(|stream, _| is_gone(*stream)).map(|(_, values)| values.key).collect()
    }

    /// Calls `see` with each cell of a stream, of one device or of all.
    pub fn visit(&self, stream: u32, only: Option<&DeviceId>, mut see: impl FnMut(&DeviceId, &str, &Cell)) {
        let Some(values) = self.streams.get(&stream) else { return };
        let mut see_device = |device: &DeviceId, cells: &[Option<Cell>]| {
            for (name, cell) in values.properties.iter().zip(cells) {
                if let Some(cell) = cell {
                    see(device, name, cell);
                }
            }
        };
        match only {
            Some(device) => {
                if let Some((device, cells)) = values.devices.get_key_value(device) {
                    see_device(device, &cells.cells);
                }
            }
            None => values.devices.iter().for_each(|(device, cells)| see_device(device, &cells.cells)),
        }
    }

    /// What changed since the last call.
    pub fn take_changed(&mut self) -> Vec<Changed> {
        let mut taken = Vec::new();
        for (stream, device) in std::mem::take(&mut self.changed) {
            let Some(values) = self.streams.get_mut(&stream) else { continue };
            let Some(cells) = values.devices.get_mut(&device) else { continue };
            cells.is_listed = false;
            let places = values.properties.iter().zip(&cells.cells).zip(&mut cells.changed);
            for ((property, cell), changed) in places {
                if let (true, Some(cell)) = (std::mem::take(changed), cell) {
                    let (property, device) = (Arc::clone(property), device.clone());
                    taken.push(Changed { stream, device, property, cell: cell.clone() });
                }
            }
        }
        taken
    }

    /// After a failed write: they are still to be written, in their state of then.
    pub fn put_back(&mut self, changed: Vec<Changed>) {
        for Changed { stream, device, property, .. } in changed {
            let Some(values) = self.streams.get_mut(&stream) else { continue };
            let place = values.place(&property);
            let Some(cells) = values.devices.get_mut(&device) else { continue };
            cells.grow(place + 1);
            cells.changed[place] = true;
            if !std::mem::replace(&mut cells.is_listed, true) {
                self.changed.push((stream, device));
            }
        }
    }
}

/// The newest value of every device and column within one batch, so that the map is touched once for each.
struct Newest<'a> {
    devices: Vec<&'a str>,
    /// Number and name of the property columns.
    columns: Vec<(usize, &'a str)>,
    /// By device, then column: event time and row.
    rows: Vec<Option<(i64, usize)>>,
}

impl<'a> Newest<'a> {
    fn of(batch: &'a RecordBatch) -> Newest<'a> {
        let fields = batch.schema_ref().fields();
        let columns: Vec<(usize, &str)> = fields
            .iter()
            .enumerate()
            .map(|(number, field)| (number, field.name().as_str()))
            .filter(|(_, name)| !is_system_column(name))
            .collect();
        let mut newest = Newest { devices: Vec::new(), columns, rows: Vec::new() };
        let (Some(names), Some(times)) =
            (batch.column_by_name(DEVICE_COLUMN), batch.column_by_name(TS_COLUMN))
        else {
            return newest;
        };
        let (names, times) = (names.as_string::<i32>(), times.as_primitive::<TimestampMicrosecondType>());
        let mut numbers: AHashMap<&str, usize> = AHashMap::new();
        for row in (0..batch.num_rows()).filter(|row| names.is_valid(*row)) {
            let name = names.value(row);
            let number = *numbers.entry(name).or_insert_with(|| {
                newest.devices.push(name);
                newest.rows.resize(newest.devices.len() * newest.columns.len(), None);
                newest.devices.len() - 1
            });
            let ts = times.value(row);
            for (nth, (column, _)) in newest.columns.iter().enumerate() {
                let best = &mut newest.rows[number * newest.columns.len() + nth];
                if batch.column(*column).is_valid(row) && best.is_none_or(|(best, _)| ts >= best) {
                    *best = Some((ts, row));
                }
            }
        }
        newest
    }
}
