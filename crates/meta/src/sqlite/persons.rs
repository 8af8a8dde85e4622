//! Persons, sessions and links in SQLite.

use async_trait::async_trait;
use springhouse_model::{Sensitive, TenantId, Timestamp};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::rows::{Columns, to_json};
use super::{Durability, SqliteMeta, database};
use crate::secrets::{digest, hash_password, password_matches, random_id, random_secret};
use crate::{Link, LinkPurpose, MetaError, NewPerson, Person, Persons, Result};

#[async_trait]
impl Persons for SqliteMeta {
    async fn persons_exist(&self) -> Result<bool> {
        let row = sqlx::query("SELECT id FROM persons LIMIT 1")
            .fetch_optional(&self.readers)
            .await
            .map_err(database("look for persons"))?;
        Ok(row.is_some())
    }

    async fn persons(&self, tenant: &TenantId) -> Result<Vec<Person>> {
        sqlx::query("SELECT * FROM persons WHERE tenant = $1 ORDER BY name")
            .bind(tenant.as_str())
            .fetch_all(&self.readers)
            .await
            .map_err(database("list persons"))?
            .iter()
            .map(person)
            .collect()
    }

    async fn create_person(&self, new: NewPerson) -> Result<Person> {
        let hash = hash_password(&new.password).await?;
        let mut write = self.write(Durability::Full).await?;
        let person = insert(write.sql(), new, &hash, self.now()).await?;
        write.commit().await?;
        Ok(person)
    }

    async fn create_person_by_link(&self, secret: &str, new: NewPerson) -> Result<Option<Person>> {
        let hash = hash_password(&new.password).await?;
        let mut write = self.write(Durability::Full).await?;
        match redeem(write.sql(), secret, self.now()).await? {
            Some(link) if link.purpose == LinkPurpose::Setup && link.tenant == new.tenant => {}
            _ => return Ok(None),
        }
        let person = insert(write.sql(), new, &hash, self.now()).await?;
        write.commit().await?;
        Ok(Some(person))
    }

    async fn verify_person(&self, name: &str, password: &Sensitive<String>) -> Result<Option<Person>> {
        let row = sqlx::query("SELECT * FROM persons WHERE name = $1")
            .bind(name)
            .fetch_optional(&self.readers)
            .await
            .map_err(database("look up a person"))?;
        let Some(row) = row else {
            password_matches(password, None).await?;
            return Ok(None);
        };
        let hash = Columns { table: "persons", row: &row }.text("password_hash")?;
        let person = person(&row)?;
        Ok(password_matches(password, Some(hash)).await?.then_some(person))
    }

    async fn set_password(&self, tenant: &TenantId, id: &str, password: &Sensitive<String>) -> Result<()> {
        let hash = hash_password(password).await?;
        let mut write = self.write(Durability::Full).await?;
        let doing = "set a password";
        let changed = sqlx::query("UPDATE persons SET password_hash = $3 WHERE tenant = $1 AND id = $2")
            .bind(tenant.as_str())
            .bind(id)
            .bind(&hash)
            .execute(write.sql())
            .await
            .map_err(database(doing))?;
        if changed.rows_affected() == 0 {
            return Err(MetaError::NotFound { kind: "person", name: id.to_owned() });
        }
        let sessions = sqlx::query("DELETE FROM sessions WHERE person = $1").bind(id);
        sessions.execute(write.sql()).await.map_err(database(doing))?;
        write.commit().await
    }

    async fn create_session(&self, person: &str, expires_at: Timestamp) -> Result<Sensitive<String>> {
        let secret = random_secret()?;
        let doing = "create a session";
        let mut write = self.write(Durability::Full).await?;
        // Whoever signs in sweeps, so that the table stays small without a task of its own.
        let expired = sqlx::query("DELETE FROM sessions WHERE expires_at <= $1").bind(self.now().micros());
        expired.execute(write.sql()).await.map_err(database(doing))?;
        sqlx::query("INSERT INTO sessions (digest, person, expires_at) VALUES ($1, $2, $3)")
            .bind(digest(secret.expose()))
            .bind(person)
            .bind(expires_at.micros())
            .execute(write.sql())
            .await
            .map_err(database(doing))?;
        write.commit().await?;
        Ok(secret)
    }

    async fn session(&self, secret: &str) -> Result<Option<Person>> {
        let row = sqlx::query(
            "SELECT p.* FROM sessions s JOIN persons p ON p.id = s.person
             WHERE s.digest = $1 AND s.expires_at > $2",
        )
        .bind(digest(secret))
        .bind(self.now().micros())
        .fetch_optional(&self.readers)
        .await
        .map_err(database("look up a session"))?;
        row.as_ref().map(person).transpose()
    }

    async fn drop_session(&self, secret: &str) -> Result<()> {
        let mut write = self.write(Durability::Full).await?;
        sqlx::query("DELETE FROM sessions WHERE digest = $1")
            .bind(digest(secret))
            .execute(write.sql())
            .await
            .map_err(database("drop a session"))?;
        write.commit().await
    }

    async fn create_link(
        &self,
        tenant: &TenantId,
        purpose: LinkPurpose,
        expires_at: Timestamp,
    ) -> Result<Sensitive<String>> {
        let secret = random_secret()?;
        let doing = "create a link";
        let mut write = self.write(Durability::Full).await?;
        let expired = sqlx::query("DELETE FROM links WHERE expires_at <= $1").bind(self.now().micros());
        expired.execute(write.sql()).await.map_err(database(doing))?;
        sqlx::query("INSERT INTO links (digest, tenant, purpose, expires_at) VALUES ($1, $2, $3, $4)")
            .bind(digest(secret.expose()))
            .bind(tenant.as_str())
            .bind(to_json(&purpose)?)
            .bind(expires_at.micros())
            .execute(write.sql())
            .await
            .map_err(database(doing))?;
        write.commit().await?;
        Ok(secret)
    }

    async fn link(&self, secret: &str) -> Result<Option<Link>> {
        let row = sqlx::query("SELECT * FROM links WHERE digest = $1 AND expires_at > $2")
            .bind(digest(secret))
            .bind(self.now().micros())
            .fetch_optional(&self.readers)
            .await
            .map_err(database("look up a link"))?;
        row.as_ref().map(link).transpose()
    }

    async fn redeem_link(&self, secret: &str) -> Result<Option<Link>> {
        let mut write = self.write(Durability::Full).await?;
        let link = redeem(write.sql(), secret, self.now()).await?;
        write.commit().await?;
        Ok(link)
    }
}

async fn redeem(connection: &mut SqliteConnection, secret: &str, now: Timestamp) -> Result<Option<Link>> {
    let row = sqlx::query("DELETE FROM links WHERE digest = $1 AND expires_at > $2 RETURNING *")
        .bind(digest(secret))
        .bind(now.micros())
        .fetch_optional(connection)
        .await
        .map_err(database("redeem a link"))?;
    row.as_ref().map(link).transpose()
}

async fn insert(
    connection: &mut SqliteConnection,
    new: NewPerson,
    hash: &str,
    created_at: Timestamp,
) -> Result<Person> {
    let person =
        Person { id: random_id()?, tenant: new.tenant, name: new.name, scopes: new.scopes, created_at };
    let inserted = sqlx::query(
        "INSERT INTO persons (id, tenant, name, scopes, password_hash, created_at)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name) DO NOTHING",
    )
    .bind(&person.id)
    .bind(person.tenant.as_str())
    .bind(&person.name)
    .bind(to_json(&person.scopes)?)
    .bind(hash)
    .bind(created_at.micros())
    .execute(connection)
    .await
    .map_err(database("create a person"))?;
    match inserted.rows_affected() {
        0 => Err(MetaError::Conflict { kind: "person", name: person.name }),
        _ => Ok(person),
    }
}

fn person(row: &SqliteRow) -> Result<Person> {
    let columns = Columns { table: "persons", row };
    Ok(Person {
        id: columns.text("id")?,
        tenant: columns.word("tenant")?,
        name: columns.text("name")?,
        scopes: columns.json("scopes")?,
        created_at: columns.time("created_at")?,
    })
}

fn link(row: &SqliteRow) -> Result<Link> {
    let columns = Columns { table: "links", row };
    Ok(Link {
        tenant: columns.word("tenant")?,
        purpose: columns.json("purpose")?,
        expires_at: columns.time("expires_at")?,
    })
}
