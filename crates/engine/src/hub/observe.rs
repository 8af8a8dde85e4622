//! The numbers of the pipelines in `/metrics`.

use metrics::{counter, gauge};

use super::{Engine, PipelineStatus};

impl Engine {
    /// Hands the numbers of all pipelines to the recorder of metrics. Done when they are asked for: with thousands of small
    /// rules, doing it for each record took longer than the rules.
    pub fn observe(&self) {
        self.shared.roster.all(self.shared.log.end()).iter().for_each(PipelineStatus::observe);
    }
}

impl PipelineStatus {
    fn observe(&self) {
        let name = || self.name.clone();
        let rows = |direction: &'static str| counter!("springhouse_pipeline_rows_total", "pipeline" => name(), "direction" => direction);
        rows("in").absolute(self.rows_in);
        rows("out").absolute(self.rows_out);
        counter!("springhouse_pipeline_late_total", "pipeline" => name()).absolute(self.late);
        counter!("springhouse_pipeline_broken_total", "pipeline" => name()).absolute(self.broken);
        gauge!("springhouse_pipeline_lag_records", "pipeline" => name()).set(self.lag_records as f64);
        gauge!("springhouse_pipeline_state_bytes", "pipeline" => name()).set(self.state_bytes as f64);
        counter!("springhouse_pipeline_snapshot_bytes_total", "pipeline" => name())
            .absolute(self.snapshot_bytes);
        gauge!("springhouse_pipeline_busy_seconds", "pipeline" => name()).set(self.busy.as_secs_f64());
        if let Some(watermark) = self.watermark {
            gauge!("springhouse_pipeline_watermark_seconds", "pipeline" => name())
                .set(watermark.micros() as f64 / 1e6);
        }
    }
}
