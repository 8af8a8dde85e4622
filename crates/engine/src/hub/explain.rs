//! `EXPLAIN PIPELINE`: what it does and where it stands.

use springhouse_model::{StreamName, TenantId};

use super::{EngineError, Outcome, Shared, late_key};
use crate::plan::ExplainedStep;

impl Shared {
    /// A line for each step, from the stream that it reads to the one that it fills, and one for its state.
    pub(super) async fn explain(&self, tenant: &TenantId, name: &StreamName) -> Result<Outcome, EngineError> {
        let entry = self.known(tenant, name).await?;
        let plan = self.planned(&entry).await?;
        let line = |ExplainedStep { step, detail, .. }| format!("{step}\t{detail}");
        let mut lines: Vec<String> = plan.explain().into_iter().map(line).collect();
        lines.push(match plan.judges_lateness {
            true => format!("write\t{}, late rows to {}", entry.into, late_key(&entry)?.name),
            false => format!("write\t{}", entry.into),
        });
        for used in self.used_functions(&entry) {
            let newer = match used.newer {
                Some(newer) => format!("; version {newer} is there: CREATE OR REPLACE takes it"),
                None => String::new(),
            };
            lines.push(format!("function\t{} version {}{newer}", used.name, used.version));
        }
        let status = self.status(tenant);
        if let Some(status) = status.into_iter().find(|status| status.name == entry.name) {
            let watermark = status.watermark.map_or_else(|| "none yet".to_owned(), |at| at.to_string());
            lines.push(format!(
                "{}\twatermark {watermark}; {} bytes of state; {} rows in, {} out, {} late, {} broken; computed for {:.3} s; {} records behind",
                status.state.as_str(),
                status.state_bytes,
                status.rows_in,
                status.rows_out,
                status.late,
                status.broken,
                status.busy.as_secs_f64(),
                status.lag_records,
            ));
        }
        Ok(Outcome::Listing(lines))
    }
}
