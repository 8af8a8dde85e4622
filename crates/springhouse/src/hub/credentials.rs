//! Cuts off who is still connected with a token or a certificate that is good for nothing any more: one that has expired, or that
//! another process than the hub has revoked (`springhouse token revoke --data`). What is revoked through the API is cut off there.

use std::sync::Arc;

use springhouse_api::{BELIEVED_FOR, CERTIFICATE_CREDENTIAL};
use springhouse_identity::Revoked;
use springhouse_meta::{Meta, MetaError};
use springhouse_mqtt::Gateway;
use tokio::time::MissedTickBehavior;

/// Looks again and again, for ever.
pub async fn watch(meta: Arc<dyn Meta>, gateway: Gateway, revoked: Option<Arc<Revoked>>) {
    let mut clock = tokio::time::interval(BELIEVED_FOR);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        if let Err(error) = look(meta.as_ref(), &gateway, revoked.as_deref()).await {
            tracing::warn!(%error, "cannot look up which tokens and certificates are valid; asked again");
        }
    }
}

async fn look(meta: &dyn Meta, gateway: &Gateway, revoked: Option<&Revoked>) -> Result<(), MetaError> {
    if let Some(revoked) = revoked {
        load(meta, revoked).await?;
    }
    // Asked first: a token that is made and used in between is not among them.
    let mut lapsed = gateway.credentials();
    if lapsed.is_empty() {
        return Ok(());
    }
    let mut valid = meta.valid_tokens().await?;
    let serials = lapsed.iter().filter_map(|credential| credential.strip_prefix(CERTIFICATE_CREDENTIAL));
    let serials: Vec<String> = serials.map(str::to_owned).collect();
    let certificates = meta.valid_certificates(&serials).await?;
    valid.extend(certificates.into_iter().map(|serial| format!("{CERTIFICATE_CREDENTIAL}{serial}")));
    lapsed.retain(|credential| !valid.contains(credential));
    let has_lapsed = |credential: &String| lapsed.contains(credential);
    let cut = gateway.disconnect(|who| who.credential.as_ref().is_some_and(has_lapsed));
    if cut > 0 {
        tracing::info!(
            connections = cut,
            "disconnected clients whose tokens or certificates were revoked or have expired"
        );
    }
    Ok(())
}

/// Tells the handshakes which certificates are revoked.
pub async fn load(meta: &dyn Meta, revoked: &Revoked) -> Result<(), MetaError> {
    let serials = meta.revoked_certificates().await?;
    revoked.add(serials.iter().filter_map(|serial| serial.parse().ok()));
    Ok(())
}
