//! The streams that take the rows of a pipeline: whether they can, and making room in them.

use springhouse_meta::{Origin, PipelineKind};
use springhouse_model::{StreamKey, TenantId};
use springhouse_schema::Schema;

use super::draft::Draft;
use super::execute::new_stream;
use super::{EngineError, Shared};
use crate::{Plan, target};

impl Shared {
    /// Rows must not come back to where they came from.
    pub(super) fn check_flow(
        &self,
        tenant: &TenantId,
        draft: &Draft,
        plan: &Plan,
    ) -> Result<(), EngineError> {
        let is_pipeline = matches!(draft.kind, PipelineKind::Pipeline);
        if let Some(why) = target::reserved(&draft.into).filter(|_| is_pipeline) {
            let why = why.to_owned();
            return Err(EngineError::Target { name: draft.name.clone(), stream: draft.into.clone(), why });
        }
        for source in plan.source_names() {
            if self.roster.reaches(tenant, &draft.into, &source, draft.name.as_str()) {
                let why = target::comes_back(&source);
                let (name, stream) = (draft.name.clone(), draft.into.clone());
                return Err(EngineError::Target { name, stream, why });
            }
        }
        Ok(())
    }

    /// Makes sure that the stream for the rows, and the one for late rows, can take them.
    pub(super) async fn prepare_target(
        &self,
        tenant: &TenantId,
        draft: &Draft,
        plan: &Plan,
    ) -> Result<(), EngineError> {
        let delays = [plan.output_delay_us, plan.late_delay_us()];
        for ((key, schema), delay) in target_streams(tenant, draft, plan)?.into_iter().zip(delays) {
            match self.check_target(&key, draft, &schema)? {
                Target::Missing => {
                    let origin = Origin::Derived { pipeline: draft.name.to_string() };
                    self.streams.create(new_stream(key, origin, schema, delay)).await?;
                }
                Target::Narrow(wider) => drop(self.streams.put_schema(&key, wider).await?),
                Target::Fits => {}
            }
        }
        Ok(())
    }

    /// Whether a stream can take rows of a schema from a pipeline.
    pub(super) fn check_target(
        &self,
        key: &StreamKey,
        draft: &Draft,
        schema: &Schema,
    ) -> Result<Target, EngineError> {
        let refuse =
            |why: String| EngineError::Target { name: draft.name.clone(), stream: key.name.clone(), why };
        if self.tables.entry(&key.tenant, &key.name).is_some() {
            return Err(refuse("it is a table".to_owned()));
        }
        let Some(entry) = self.streams.entry(key) else { return Ok(Target::Missing) };
        match &entry.origin {
            Origin::Derived { pipeline: owner } if *owner != draft.name.to_string() => {
                return Err(refuse(format!("pipeline `{owner}` fills it")));
            }
            Origin::Inferred => return Err(refuse("devices fill it".to_owned())),
            Origin::Derived { .. } | Origin::Declared => {}
        }
        let is_declared = entry.origin == Origin::Declared;
        let wider = target::widened(&entry.schema, is_declared, schema).map_err(refuse)?;
        Ok(match wider.fields.len() > entry.schema.fields.len() {
            true => Target::Narrow(wider),
            false => Target::Fits,
        })
    }
}

/// Whether a stream can take the rows of a pipeline.
pub(super) enum Target {
    Missing,
    /// With room for them, its schema is this.
    Narrow(Schema),
    Fits,
}

/// The stream that takes the rows of a plan and, where a row can be late, the one that takes late rows.
pub(super) fn target_streams(
    tenant: &TenantId,
    draft: &Draft,
    plan: &Plan,
) -> Result<Vec<(StreamKey, Schema)>, EngineError> {
    let mut streams =
        vec![(StreamKey::new(tenant.clone(), draft.into.clone()), plan.output_schema().clone())];
    if plan.judges_lateness {
        let late = StreamKey::new(tenant.clone(), crate::late_stream(&draft.name)?);
        streams.push((late, plan.late_schema().clone()));
    }
    Ok(streams)
}
