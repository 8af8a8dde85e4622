//! Tokens, persons, sessions and links.

use std::sync::Arc;

use springhouse_model::{DeviceId, ManualClock, Sensitive, TenantId};
use springhouse_policy::Scope;

use super::{HOUR_US, START, tenant};
use crate::{LinkPurpose, Meta, MetaError, NewCertificate, NewPerson, NewToken, Result};

fn password(text: &str) -> Sensitive<String> {
    Sensitive::new(text.to_owned())
}

fn new_person(name: &str) -> NewPerson {
    NewPerson {
        tenant: tenant("main"),
        name: name.to_owned(),
        scopes: vec![Scope::Admin],
        password: password("correct horse battery"),
    }
}

pub async fn tokens_are_verified_until_revoked_or_expired(
    meta: Arc<dyn Meta>,
    clock: Arc<ManualClock>,
) -> Result<()> {
    let tenant = tenant("main");
    let device: springhouse_model::DeviceId = "d1".parse().expect("a device's name");
    let new = NewToken {
        tenant: tenant.clone(),
        site: Some("home-1".parse().expect("a site's name")),
        name: "gateway".to_owned(),
        scopes: vec![Scope::Ingest, Scope::Read],
        device: Some(device.clone()),
        expires_at: Some(START.plus_micros(HOUR_US)),
    };
    let (info, text) = meta.create_token(new.clone()).await?;
    let (forever, other_text) = meta.create_token(NewToken { expires_at: None, ..new }).await?;
    assert_eq!(text.expose().len(), "shk_".len() + 16 + 1 + 43);
    assert_eq!(meta.verify_token(text.expose()).await?, Some(info.clone()));

    let mixed = format!("shk_{}_{}", info.id, &other_text.expose()[21..]);
    let cut = &text.expose()[..text.expose().len() - 1];
    let unknown = "shk_0000000000000000_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for wrong in [mixed.as_str(), cut, unknown, "", "shk_", "shk__", "admin", "shk_\u{0}_\u{0}"] {
        assert_eq!(meta.verify_token(wrong).await?, None, "{wrong}");
    }

    clock.advance_micros(HOUR_US);
    assert_eq!(meta.verify_token(text.expose()).await?, None, "expired");
    assert_eq!(meta.valid_tokens().await?, [forever.id.clone()].into());
    assert_eq!(meta.verify_token(other_text.expose()).await?, Some(forever.clone()));
    assert_eq!(meta.tokens(&tenant).await?.len(), 2);
    assert_eq!(meta.revoke_device_tokens(&tenant, &device, Some(&forever.id)).await?, 1);
    assert!(meta.revoke_token(&tenant, &forever.id).await?);
    assert_eq!(meta.verify_token(other_text.expose()).await?, None, "revoked");
    assert!(!meta.revoke_token(&tenant, &forever.id).await?);
    Ok(())
}

pub async fn certificates_are_valid_until_revoked_or_over(
    meta: Arc<dyn Meta>,
    clock: Arc<ManualClock>,
) -> Result<()> {
    let (tenant, other) = (tenant("main"), super::tenant("other"));
    let device: DeviceId = "d1".parse().expect("a device's name");
    let add = async |serial: &str, tenant: &TenantId, hours: i64| {
        let not_after = START.plus_micros(hours * HOUR_US);
        let (serial, tenant, device) = (serial.to_owned(), tenant.clone(), device.clone());
        meta.add_certificate(NewCertificate { serial, tenant, device, not_before: START, not_after }).await
    };
    let first = add("01", &tenant, 1).await?;
    assert_eq!((first.issued_at, first.revoked_at), (START, None));
    clock.advance_micros(1);
    let second = add("02", &tenant, 2).await?;
    add("03", &other, 2).await?;
    assert!(add("01", &other, 2).await.is_err(), "a serial is there once");
    assert_eq!(meta.certificate("01").await?, Some(first.clone()));
    assert_eq!(meta.certificate("04").await?, None);
    assert_eq!(meta.certificates(&tenant, &device).await?, [second.clone(), first]);

    let all = ["01", "02", "03", "04"].map(String::from);
    assert_eq!(meta.valid_certificates(&all).await?, ["01", "02", "03"].map(String::from).into());
    clock.advance_micros(HOUR_US);
    assert_eq!(
        meta.valid_certificates(&all).await?,
        ["02", "03"].map(String::from).into(),
        "the first is over"
    );
    assert!(meta.revoke_certificates(&other, &device, Some("02")).await?.is_empty(), "of another tenant");
    assert_eq!(meta.revoke_certificates(&tenant, &device, None).await?, ["02"]);
    assert!(meta.revoke_certificates(&tenant, &device, None).await?.is_empty(), "revoked before");
    assert_eq!(meta.valid_certificates(&all).await?, ["03".to_owned()].into());
    assert_eq!(meta.revoked_certificates().await?, ["02".to_owned()].into());
    assert!(meta.certificate("02").await?.is_some_and(|entry| entry.revoked_at.is_some()));
    clock.advance_micros(HOUR_US);
    assert!(meta.revoked_certificates().await?.is_empty(), "over, nobody has to know any more");
    Ok(())
}

pub async fn claims_work_once_and_until_they_expire(
    meta: Arc<dyn Meta>,
    clock: Arc<ManualClock>,
) -> Result<()> {
    let tenant = tenant("main");
    let device = |name: &str| -> DeviceId { name.parse().expect("a device's name") };
    let until = START.plus_micros(HOUR_US);
    let replaced = meta.create_claim(&tenant, &device("d1"), until).await?;
    let claim = meta.create_claim(&tenant, &device("d1"), until).await?;
    let other = meta.create_claim(&tenant, &device("d2"), until).await?;
    assert!(claim.expose().starts_with("shc_"));
    let mixed = format!("{}{}", &claim.expose()[..21], &other.expose()[21..]);
    for wrong in [replaced.expose(), &mixed, "", "shc_", "shc__", "shk_0_0"] {
        assert_eq!(meta.take_claim(wrong).await?, None);
    }
    assert_eq!(meta.take_claim(claim.expose()).await?, Some((tenant, device("d1"))));
    assert_eq!(meta.take_claim(claim.expose()).await?, None, "used");
    clock.advance_micros(HOUR_US);
    assert_eq!(meta.take_claim(other.expose()).await?, None, "expired");
    Ok(())
}

pub async fn persons_sign_in_with_their_password_only(
    meta: Arc<dyn Meta>,
    _clock: Arc<ManualClock>,
) -> Result<()> {
    assert!(!meta.persons_exist().await?);
    let weak = NewPerson { password: password("12345678901"), ..new_person("ada") };
    assert!(matches!(meta.create_person(weak).await, Err(MetaError::Password(_))));
    let ada = meta.create_person(new_person("ada")).await?;
    assert!(meta.persons_exist().await?);
    assert!(matches!(meta.create_person(new_person("ada")).await, Err(MetaError::Conflict { .. })));

    let right = password("correct horse battery");
    assert_eq!(meta.verify_person("ada", &right).await?, Some(ada.clone()));
    assert_eq!(meta.verify_person("ada", &password("wrong horse battery")).await?, None);
    assert_eq!(meta.verify_person("bob", &right).await?, None);
    assert_eq!(meta.persons(&ada.tenant).await?, std::slice::from_ref(&ada));
    assert!(meta.persons(&tenant("other")).await?.is_empty());
    let elsewhere = meta.set_password(&tenant("other"), &ada.id, &right).await;
    assert!(matches!(elsewhere, Err(MetaError::NotFound { .. })));
    Ok(())
}

pub async fn sessions_end_by_time_sign_out_and_new_password(
    meta: Arc<dyn Meta>,
    clock: Arc<ManualClock>,
) -> Result<()> {
    let ada = meta.create_person(new_person("ada")).await?;
    let until = START.plus_micros(HOUR_US);
    let (first, second) =
        (meta.create_session(&ada.id, until).await?, meta.create_session(&ada.id, until).await?);
    assert_eq!(meta.session(first.expose()).await?, Some(ada.clone()));
    assert_eq!(meta.session("nonsense").await?, None);
    meta.drop_session(first.expose()).await?;
    assert_eq!(meta.session(first.expose()).await?, None);
    assert_eq!(meta.session(second.expose()).await?, Some(ada.clone()));

    meta.set_password(&ada.tenant, &ada.id, &password("another long password")).await?;
    assert_eq!(meta.session(second.expose()).await?, None);
    assert!(meta.verify_person("ada", &password("another long password")).await?.is_some());

    let third = meta.create_session(&ada.id, until).await?;
    clock.advance_micros(HOUR_US);
    assert_eq!(meta.session(third.expose()).await?, None);
    Ok(())
}

pub async fn links_work_once_and_until_they_expire(
    meta: Arc<dyn Meta>,
    clock: Arc<ManualClock>,
) -> Result<()> {
    let (tenant, until) = (tenant("main"), START.plus_micros(HOUR_US));
    let setup = meta.create_link(&tenant, LinkPurpose::Setup, until).await?;
    let weak = NewPerson { password: password("short"), ..new_person("ada") };
    assert!(meta.create_person_by_link(setup.expose(), weak).await.is_err());
    assert_eq!(meta.link(setup.expose()).await?.map(|link| link.purpose), Some(LinkPurpose::Setup));
    let ada = meta.create_person_by_link(setup.expose(), new_person("ada")).await?.expect("the first person");
    assert_eq!(meta.create_person_by_link(setup.expose(), new_person("eve")).await?, None);
    assert_eq!(meta.link(setup.expose()).await?, None);

    let purpose = LinkPurpose::SignIn { person: ada.id };
    let link = meta.create_link(&tenant, purpose.clone(), until).await?;
    assert_eq!(meta.create_person_by_link(link.expose(), new_person("eve")).await?, None, "not for set-up");
    let (one, two) = tokio::join!(meta.redeem_link(link.expose()), meta.redeem_link(link.expose()));
    let redeemed: Vec<_> = [one?, two?].into_iter().flatten().collect();
    assert_eq!(redeemed.len(), 1, "one of two gets it");
    assert_eq!(redeemed[0].purpose, purpose);

    let late = meta.create_link(&tenant, LinkPurpose::Setup, until).await?;
    clock.advance_micros(HOUR_US);
    assert_eq!(meta.redeem_link(late.expose()).await?, None);
    Ok(())
}
