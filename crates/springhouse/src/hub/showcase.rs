//! What a demo adds to a hub: streams with their types, ready-made pipelines, an alert, tokens for its homes, and
//! somebody to be signed in as.

use std::time::Duration;

use anyhow::Context;
use springhouse_engine::statement;
use springhouse_meta::{LinkPurpose, NewPerson, NewToken};
use springhouse_model::{Sensitive, TenantId};
use springhouse_policy::Scope;

use super::Hub;
use crate::verbs::token::from_now;

/// Streams, pipelines and an alert over the simulated homes.
const STATEMENTS: &str = include_str!("showcase.sql");
const PERSON: &str = "demo";
const TOKEN_NAME: &str = "simulated home";

/// Creates what is not there yet.
pub async fn set_up(hub: &Hub) -> anyhow::Result<()> {
    let tenant = TenantId::main();
    for statement in statement::parse(STATEMENTS)? {
        hub.engine()
            .execute(&tenant, &statement)
            .await
            .with_context(|| format!("cannot {}", statement.verb()))?;
    }
    Ok(())
}

/// A token for each site; those of earlier starts end.
pub async fn site_tokens(hub: &Hub, homes: u32) -> anyhow::Result<Vec<String>> {
    let (meta, tenant) = (hub.meta(), TenantId::main());
    for old in meta.tokens(&tenant).await? {
        if old.name == TOKEN_NAME {
            meta.revoke_token(&tenant, &old.id).await?;
        }
    }
    let mut tokens = Vec::new();
    for number in 1..=homes {
        let site = format!("home-{number:02}").parse().context("cannot name a home")?;
        let token = NewToken {
            tenant: tenant.clone(),
            site: Some(site),
            name: TOKEN_NAME.to_owned(),
            scopes: vec![Scope::Ingest],
            device: None,
            expires_at: None,
        };
        let (_, text) = meta.create_token(token).await?;
        tokens.push(text.expose().clone());
    }
    Ok(tokens)
}

/// The secret of a link that signs in the person of the demo, who is made with a password that nobody knows.
pub async fn sign_in_secret(hub: &Hub) -> anyhow::Result<String> {
    let (meta, tenant) = (hub.meta(), TenantId::main());
    let known = meta.persons(&tenant).await?.into_iter().next();
    let person = match known {
        Some(person) => person,
        None => {
            let password = random_password()?;
            let new = NewPerson {
                tenant: tenant.clone(),
                name: PERSON.into(),
                scopes: vec![Scope::Admin],
                password,
            };
            meta.create_person(new).await?
        }
    };
    let purpose = LinkPurpose::SignIn { person: person.id };
    let secret = meta.create_link(&tenant, purpose, from_now(Duration::from_secs(12 * 3_600))).await?;
    Ok(secret.expose().clone())
}

fn random_password() -> anyhow::Result<Sensitive<String>> {
    let mut bytes = [0_u8; 24];
    getrandom::fill(&mut bytes).context("cannot draw a password")?;
    Ok(Sensitive::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
}
