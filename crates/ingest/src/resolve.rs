//! From a topic to the device and stream that it names, and what is done when they are not known yet.

use std::sync::Arc;

use springhouse_meta::{Approval, DEFAULT_IDLE_US, DEFAULT_WATERMARK_DELAY_US, NewDevice, NewStream, Origin};
use springhouse_model::{DeviceId, SiteId, StreamKey, StreamName};
use springhouse_schema::{Reason, Rejection, Schema};

use crate::door::{Shared, Visit};
use crate::message::{Message, Outcome, Refusal};
use crate::registry::{Device, Stream};
use crate::route::{Matched, stream_name};
use crate::shard::Target;
use crate::{Admission, IngestError};

pub(crate) enum Resolved {
    /// `by_topic`: the topic alone leads there, whoever sends.
    Target {
        target: Target,
        by_topic: bool,
    },
    Outcome(Outcome),
    Learn(Learn),
    Held(Place, Rejection),
}

/// What has to be registered before a message can be decoded.
pub(crate) enum Learn {
    Device(DeviceId),
    Stream(StreamName, Schema),
    /// The stream's schema does not have what the message brings; this is the version that was tried.
    Growth(Arc<Stream>, u32),
}

/// Where a held message would have gone, as far as that is known.
#[derive(Default)]
pub(crate) struct Place {
    pub device: Option<DeviceId>,
    pub site: Option<SiteId>,
    pub stream: Option<StreamName>,
}

impl Place {
    pub fn of(stream: &Stream, device: &Device) -> Place {
        Place { device: Some(device.id.clone()), site: device.site(), stream: Some(stream.key.name.clone()) }
    }
}

impl Shared {
    /// Finds the device and the stream of a message whose topic the shard has not seen.
    pub(crate) fn resolve(&self, visit: &Visit<'_>, message: &Message) -> Resolved {
        let mut routes = self.options.routes.iter().chain([&self.standard]);
        let Some(matched) = routes.find_map(|route| route.matches(&message.topic)) else {
            return Resolved::Outcome(Outcome::NotAStream);
        };
        if !visit.replay && !visit.who.may_publish(&message.topic) {
            return Resolved::Outcome(Outcome::Refused(Refusal::Topic));
        }
        let (stream, device) = match names(visit, message, &matched) {
            Ok(names) => names,
            Err((place, rejection)) => return Resolved::Held(place, rejection),
        };
        if !visit.replay && !visit.who.may_speak_for(&device) {
            return Resolved::Outcome(Outcome::Refused(Refusal::Device));
        }
        let known_stream = self.registry.stream(&visit.who.tenant, stream.as_str());
        let known_device = self.registry.device_named(&visit.who.tenant, device.as_str());
        let by_topic = matched.device.is_some() || matched.fixed_device.is_some();
        let unknown = match (known_stream, known_device) {
            (Some(stream), Some(device)) => {
                return Resolved::Target { target: Target { stream, device }, by_topic };
            }
            (None, _) => self.unknown_stream(visit, &stream, &message.payload),
            (Some(_), None) => self.unknown_device(visit, &device),
        };
        match unknown {
            Ok(learn) => Resolved::Learn(learn),
            Err(rejection) => {
                Resolved::Held(Place { device: Some(device), site: None, stream: Some(stream) }, rejection)
            }
        }
    }

    fn unknown_stream(
        &self,
        visit: &Visit<'_>,
        name: &StreamName,
        payload: &[u8],
    ) -> Result<Learn, Rejection> {
        let refuse = |detail: String| Err(Rejection::new(Reason::UnknownStream, detail));
        if self.registry.is_table(&visit.who.tenant, name) {
            return refuse(format!("`{name}` is a table, which messages do not fill"));
        }
        if self.options.admission == Admission::Refuse {
            return refuse(format!("`{name}` is not registered"));
        }
        let (streams, _) = self.registry.counts(&visit.who.tenant);
        if streams >= self.options.streams_max {
            return refuse(format!("`{name}` would be one more than {} streams", self.options.streams_max));
        }
        let bytes_max = self.options.limits.payload_bytes_max;
        if payload.len() > bytes_max {
            let detail = format!("{} bytes, at most {bytes_max} are allowed", payload.len());
            return Err(Rejection::new(Reason::TooLarge, detail));
        }
        Ok(Learn::Stream(name.clone(), Schema::infer(payload)?))
    }

    fn unknown_device(&self, visit: &Visit<'_>, id: &DeviceId) -> Result<Learn, Rejection> {
        let refuse = |detail: String| Err(Rejection::new(Reason::UnknownDevice, detail));
        // Whoever has a device's own credentials was registered by the owner.
        if self.options.admission == Admission::Refuse && visit.who.own_device() != Some(id) {
            return refuse(format!("`{id}` is not registered"));
        }
        let (_, devices) = self.registry.counts(&visit.who.tenant);
        if devices >= self.options.devices_max {
            return refuse(format!("`{id}` would be one more than {} devices", self.options.devices_max));
        }
        Ok(Learn::Device(id.clone()))
    }

    /// Registers what a message showed, in meta first.
    pub(crate) async fn learn(
        &self,
        visit: &Visit<'_>,
        learn: Learn,
        payload: &[u8],
    ) -> Result<(), IngestError> {
        let who = visit.who;
        let admitted = match self.options.admission {
            Admission::Auto => Approval::Approved,
            Admission::Approve | Admission::Refuse => Approval::Pending,
        };
        match learn {
            Learn::Device(id) => {
                let state = if who.own_device() == Some(&id) { Approval::Approved } else { admitted };
                let site = who.site.clone();
                self.registry
                    .register_device(NewDevice { tenant: who.tenant.clone(), id, site, state })
                    .await?;
            }
            Learn::Stream(name, schema) => {
                let stream = NewStream {
                    key: StreamKey::new(who.tenant.clone(), name),
                    state: admitted,
                    origin: Origin::Inferred,
                    schema,
                    watermark_delay_us: DEFAULT_WATERMARK_DELAY_US,
                    idle_us: Some(DEFAULT_IDLE_US),
                    retention_us: None,
                    sql: None,
                };
                self.registry.create(stream).await?;
            }
            Learn::Growth(stream, version) => self.registry.grow(&stream, version, payload).await?,
        }
        Ok(())
    }
}

/// The names that the topic spells, completed by what gateway and sender say.
fn names(
    visit: &Visit<'_>,
    message: &Message,
    matched: &Matched<'_>,
) -> Result<(StreamName, DeviceId), (Place, Rejection)> {
    let bad = |place, detail: String| (place, Rejection::new(Reason::BadName, detail));
    let stream = stream_name(matched.stream).map_err(|error| bad(Place::default(), error.to_string()))?;
    let place = || Place { stream: Some(stream.clone()), ..Place::default() };
    let device = match matched.device {
        Some(level) => {
            level.parse().map_err(|error: springhouse_model::NameError| bad(place(), error.to_string()))?
        }
        None => {
            let known = matched.fixed_device.or(message.device.as_ref()).or(visit.who.own_device());
            let missing = || bad(place(), "the topic names no device, and the sender is none".to_owned());
            known.cloned().ok_or_else(missing)?
        }
    };
    Ok((stream, device))
}
