//! `springhouse hub`: the hub, until it is asked to end.

use crate::config::{self, HubFlags};
use crate::hub::Hub;
use crate::{logging, runtime};

const LONG: &str = "\
Runs the hub: MQTT gateway, log, pipelines, history, REST API and page, in one process with one data directory. The \
first start prints a one-time link with which the first person sets a name and a password; there is no default one.

By default everything listens on this machine only. --mqtts and --https open it to others with encryption; unencrypted \
listeners for other machines need --plain-ok.

SIGTERM and SIGINT end it in order: what has been accepted is committed and acknowledged, pipelines write their \
snapshots, sessions theirs. kill -9 loses nothing that was acknowledged either; the next start takes a little longer.";

const EXAMPLES: &str = "\
EXAMPLES
  springhouse hub --data /var/lib/springhouse
  springhouse hub --data /var/lib/springhouse --mqtts 0.0.0.0:8883 --https 0.0.0.0:8443
  SPRINGHOUSE_LOG=debug springhouse hub --log-format json 2> hub.log

EXIT CODES
  0 ended in order    1 failed    2 configuration is wrong    3 data directory is in use or newer";

#[derive(Debug, clap::Args)]
#[command(long_about = LONG, after_long_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    flags: HubFlags,
}

pub fn carry_out(args: Args) -> anyhow::Result<()> {
    let settings = config::settings(&args.flags)?;
    logging::start(settings.log.format, &settings.log.level)?;
    runtime::run_hub(settings.threads, async move {
        // From here on a signal ends the hub in order, even while it opens.
        let asked_to_end = runtime::asked_to_end();
        tokio::pin!(asked_to_end);
        let data = settings.data.clone();
        let mut hub = Hub::open(settings).await?;
        hub.print_setup_link(&data).await?;
        let reason = tokio::select! {
            signal = &mut asked_to_end => signal?,
            failure = hub.failed() => return hub.end_failed(failure).await,
        };
        tracing::info!(reason, "ending");
        hub.shut_down().await
    })
}
