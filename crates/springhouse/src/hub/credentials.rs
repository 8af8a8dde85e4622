//! Cuts off who is still connected with a token that is good for nothing any more: one that has expired, or that another
//! process than the hub has revoked (`springhouse token revoke --data`). What is revoked through the API is cut off there.

use std::sync::Arc;

use springhouse_api::BELIEVED_FOR;
use springhouse_meta::Meta;
use springhouse_mqtt::Gateway;
use tokio::time::MissedTickBehavior;

/// Looks again and again, for ever.
pub async fn watch(meta: Arc<dyn Meta>, gateway: Gateway) {
    let mut clock = tokio::time::interval(BELIEVED_FOR);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        // Asked first: a token that is made and used in between is not among them.
        let mut lapsed = gateway.credentials();
        if lapsed.is_empty() {
            continue;
        }
        match meta.valid_tokens().await {
            Ok(valid) => lapsed.retain(|credential| !valid.contains(credential)),
            Err(error) => {
                tracing::warn!(%error, "cannot look up which tokens are valid; asked again");
                continue;
            }
        }
        let has_lapsed = |credential: &String| lapsed.contains(credential);
        let cut = gateway.disconnect(|who| who.credential.as_ref().is_some_and(has_lapsed));
        if cut > 0 {
            tracing::info!(
                connections = cut,
                "disconnected clients whose tokens were revoked or have expired"
            );
        }
    }
}
