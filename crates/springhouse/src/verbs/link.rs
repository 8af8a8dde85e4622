//! `springhouse link`: a way in without a password.

use std::path::{Path, PathBuf};
use std::time::Duration;

use springhouse_meta::LinkPurpose;
use springhouse_model::TenantId;

use super::token::{duration, from_now, open_meta};
use crate::client::URL_DEFAULT;
use crate::failure::Failure;
use crate::{config, hub, runtime};

const LONG: &str = "\
Prints a link that opens the page once: the set-up link while the hub has no person, otherwise one that signs a person \
in, for somebody who forgot his password. Works beside a running hub; whoever may read the data directory may do this.";

#[derive(Debug, clap::Args)]
#[command(long_about = LONG)]
pub struct Args {
    /// Data directory of the hub [default: springhouse-data]
    #[arg(long, env = "SPRINGHOUSE_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Who to sign in; may be left out while there is only one person
    #[arg(long)]
    person: Option<String>,
    /// How long the link is good
    #[arg(long, default_value = "1h", value_name = "TIME", value_parser = duration)]
    expires: Duration,
    /// Address under which the page is opened [default: where the hub listens]
    #[arg(long, env = "SPRINGHOUSE_URL", value_name = "URL")]
    url: Option<String>,
}

pub fn carry_out(args: Args) -> anyhow::Result<()> {
    let data = args.data.clone().unwrap_or_else(|| PathBuf::from(config::DATA_DEFAULT));
    runtime::run_client(print_link(&data, &args))
}

async fn print_link(data: &Path, args: &Args) -> anyhow::Result<()> {
    let meta = open_meta(data).await?;
    let tenant = TenantId::main();
    let persons = meta.persons(&tenant).await?;
    let chosen = match &args.person {
        Some(name) => persons.iter().find(|person| person.name == *name),
        None if persons.len() == 1 => persons.first(),
        None => None,
    };
    let purpose = match chosen {
        Some(person) => LinkPurpose::SignIn { person: person.id.clone() },
        None if persons.is_empty() => LinkPurpose::Setup,
        None => {
            let names: Vec<&str> = persons.iter().map(|person| person.name.as_str()).collect();
            return Err(Failure::Usage(format!(
                "who is to sign in? hint: --person with one of {}",
                names.join(", ")
            ))
            .into());
        }
    };
    let secret = meta.create_link(&tenant, purpose, from_now(args.expires)).await?;
    let url = args.url.clone().or_else(|| hub::page(data));
    println!("{}", welcome(url.as_deref().unwrap_or(URL_DEFAULT), secret.expose()));
    Ok(())
}

/// The address that redeems a link.
pub fn welcome(url: &str, secret: &str) -> String {
    format!("{}/welcome?link={secret}", url.trim_end_matches('/'))
}
