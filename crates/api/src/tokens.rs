//! API tokens: made once, shown once, revoked at once.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use springhouse_meta::{NewToken, TokenInfo};
use springhouse_model::{SiteId, Timestamp};
use springhouse_policy::{Scope, Subject};
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::extract::{At, JsonBody};
use crate::problem::Problem;
use crate::state::App;

/// Longest name of a token, in characters.
const NAME_CHARACTERS_MAX: usize = 128;

/// A token without its secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenView {
    #[schema(example = "0f3a9c55d2b17e60")]
    id: String,
    name: String,
    #[schema(example = json!(["read"]))]
    scopes: Vec<String>,
    site: Option<String>,
    /// Set for a token that speaks for this device alone.
    device: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

impl From<TokenInfo> for TokenView {
    fn from(token: TokenInfo) -> TokenView {
        TokenView {
            id: token.id,
            name: token.name,
            scopes: token.scopes.iter().map(ToString::to_string).collect(),
            site: token.site.map(|site| site.to_string()),
            device: token.device.map(|device| device.to_string()),
            created_at: token.created_at,
            expires_at: token.expires_at,
        }
    }
}

/// The tokens of the tenant that are not revoked.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "access", responses((status = 200, body = [TokenView])))]
pub(crate) async fn list(State(app): State<App>, caller: Caller) -> Result<Json<Vec<TokenView>>, Problem> {
    let tokens = app.meta.tokens(caller.tenant()).await?;
    Ok(Json(tokens.into_iter().map(TokenView::from).collect()))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenDraft {
    #[schema(example = "dashboard")]
    name: String,
    /// admin, write, read, ingest
    #[schema(example = json!(["read"]))]
    scopes: Vec<String>,
    /// Where readings of unknown devices belong that come with this token.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    site: Option<SiteId>,
    #[serde(default, alias = "expires_at")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires: Option<Timestamp>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct TokenMade {
    id: String,
    /// Shown here and never again.
    #[schema(example = "shk_0f3a9c55d2b17e60_…")]
    token: String,
}

/// Makes a token.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "access", request_body = TokenDraft,
    responses((status = 201, body = TokenMade)))]
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    JsonBody(draft): JsonBody<TokenDraft>,
) -> Result<(StatusCode, Json<TokenMade>), Problem> {
    let name = draft.name.trim();
    if name.is_empty() || name.chars().count() > NAME_CHARACTERS_MAX {
        let detail = format!("a token's name has 1 to {NAME_CHARACTERS_MAX} characters");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_name", detail));
    }
    let scopes = draft.scopes.iter().map(|scope| scope.parse()).collect::<Result<Vec<Scope>, _>>();
    let scopes = scopes.map_err(|error| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_scope", error.to_string())
    })?;
    if scopes.is_empty() {
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_scope", "a token needs a scope")
            .hint("admin, write, read or ingest"));
    }
    if draft.expires.is_some_and(|expires| expires <= app.clock.now()) {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid_expiry",
            "`expires` lies in the past",
        ));
    }
    let token = NewToken {
        tenant: caller.tenant().clone(),
        site: draft.site,
        name: name.to_owned(),
        scopes,
        device: None,
        expires_at: draft.expires,
    };
    let (info, text) = app.meta.create_token(token).await?;
    tracing::info!(token = %info.id, "token created");
    Ok((StatusCode::CREATED, Json(TokenMade { id: info.id, token: text.expose().clone() })))
}

/// Revokes a token; what was open with it is closed.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "access", params(("id" = String, Path)),
    responses((status = 204)))]
pub(crate) async fn revoke(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
) -> Result<StatusCode, Problem> {
    if !app.meta.revoke_token(caller.tenant(), &id).await? {
        return Err(Problem::not_found("token", id));
    }
    app.revoked(
        |principal| matches!(&principal.subject, Subject::Token { id: revoked, .. } if *revoked == id),
    );
    tracing::info!(token = %id, "token revoked");
    Ok(StatusCode::NO_CONTENT)
}
