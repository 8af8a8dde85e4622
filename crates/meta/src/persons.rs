//! Persons who sign in at the page, their sessions, and the one-time links that let the first one in.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use springhouse_model::{Sensitive, TenantId, Timestamp};
use springhouse_policy::Scope;

use crate::Result;

/// A person to be created. Names are unique over tenants, since a person signs in by name alone.
#[derive(Clone, Debug)]
pub struct NewPerson {
    pub tenant: TenantId,
    pub name: String,
    pub scopes: Vec<Scope>,
    pub password: Sensitive<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    pub id: String,
    pub tenant: TenantId,
    pub name: String,
    pub scopes: Vec<Scope>,
    pub created_at: Timestamp,
}

/// What a one-time link is good for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum LinkPurpose {
    /// Naming the first person of the hub.
    Setup,
    /// Signing in as this person without a password.
    SignIn { person: String },
}

/// A one-time link without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub tenant: TenantId,
    pub purpose: LinkPurpose,
    pub expires_at: Timestamp,
}

#[async_trait]
pub trait Persons: Send + Sync {
    /// Whether anybody can sign in; false means that the hub waits for its set-up link.
    async fn persons_exist(&self) -> Result<bool>;
    async fn persons(&self, tenant: &TenantId) -> Result<Vec<Person>>;
    async fn create_person(&self, person: NewPerson) -> Result<Person>;
    /// Redeems a set-up link and creates the person in one transaction; `None` when the link is not good. A refused
    /// password or name leaves the link as it was.
    async fn create_person_by_link(&self, secret: &str, person: NewPerson) -> Result<Option<Person>>;
    /// `None` for a wrong password and for an unknown name alike, after the same work.
    async fn verify_person(&self, name: &str, password: &Sensitive<String>) -> Result<Option<Person>>;
    /// Also ends the person's sessions.
    async fn set_password(&self, tenant: &TenantId, id: &str, password: &Sensitive<String>) -> Result<()>;
    /// Signs a person in; the text goes into a cookie.
    async fn create_session(&self, person: &str, expires_at: Timestamp) -> Result<Sensitive<String>>;
    async fn session(&self, secret: &str) -> Result<Option<Person>>;
    async fn drop_session(&self, secret: &str) -> Result<()>;
    async fn create_link(
        &self,
        tenant: &TenantId,
        purpose: LinkPurpose,
        expires_at: Timestamp,
    ) -> Result<Sensitive<String>>;
    /// What the link is good for, without using it up.
    async fn link(&self, secret: &str) -> Result<Option<Link>>;
    /// Uses the link up; of two that try, one gets it.
    async fn redeem_link(&self, secret: &str) -> Result<Option<Link>>;
}
