//! How a person comes in: the set-up link of a hub without people, name and password, or a one-time link that the
//! hub printed. Whoever is in carries a cookie that scripts cannot read and other sites cannot send.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::{Deserialize, Serialize};
use springhouse_meta::{LinkPurpose, NewPerson};
use springhouse_model::Sensitive;
use springhouse_policy::Scope;
use utoipa::{IntoParams, ToSchema};

use crate::auth::{MaybeCaller, cookie_name, session_cookie};
use crate::extract::{JsonBody, Params};
use crate::problem::Problem;
use crate::serve::{PeerAddress, Secured};
use crate::state::App;

/// Longest name of a person, in characters.
const NAME_CHARACTERS_MAX: usize = 64;

#[derive(Serialize, ToSchema)]
pub(crate) struct Me {
    signed_in: bool,
    /// Nobody can sign in yet: the hub waits for its set-up link.
    setup_needed: bool,
    #[schema(example = "Ada")]
    name: Option<String>,
    #[schema(example = json!(["admin"]))]
    scopes: Vec<String>,
    #[schema(example = "main")]
    tenant: Option<String>,
}

/// Who am I?
#[utoipa::path(get, path = "/api/v1/me", tag = "access", responses((status = 200, body = Me)))]
pub(crate) async fn me(
    State(app): State<App>,
    MaybeCaller(caller): MaybeCaller,
) -> Result<Json<Me>, Problem> {
    let setup_needed = caller.is_none() && !app.meta.persons_exist().await?;
    Ok(Json(Me {
        signed_in: caller.is_some(),
        setup_needed,
        name: caller.as_ref().map(|caller| caller.name.to_string()),
        scopes: caller
            .iter()
            .flat_map(|caller| caller.principal.scopes.iter().map(ToString::to_string))
            .collect(),
        tenant: caller.map(|caller| caller.principal.tenant.to_string()),
    }))
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct Setup {
    /// The secret of the link that the hub printed at its start.
    link: String,
    #[schema(example = "Ada")]
    name: String,
    /// At least 10 characters.
    password: String,
}

/// Creates the first person, once, and signs in.
#[utoipa::path(post, path = "/api/v1/setup", tag = "access", request_body = Setup,
    responses((status = 200, body = Me), (status = 403, description = "The link is used, expired or wrong")))]
pub(crate) async fn setup(
    State(app): State<App>,
    PeerAddress(peer): PeerAddress,
    secured: Secured,
    JsonBody(body): JsonBody<Setup>,
) -> Result<Response, Problem> {
    let name = check_name(&body.name)?;
    let password = Sensitive::new(body.password);
    let link = Sensitive::new(body.link);
    // Guessing links is as hopeless as guessing tokens, but hashing passwords for strangers is not free.
    app.attempts.begin("", peer).map_err(too_many)?;
    let tenant = match app.meta.link(link.expose()).await? {
        Some(found) if found.purpose == LinkPurpose::Setup => found.tenant,
        _ => return Err(bad_link()),
    };
    let person = NewPerson { tenant, name, scopes: vec![Scope::Admin], password };
    let _turn = app.hashing.acquire().await;
    let person = app.meta.create_person_by_link(link.expose(), person).await?.ok_or_else(bad_link)?;
    app.attempts.succeeded("", peer);
    tracing::info!(person = %person.id, "the first person has been created");
    signed_in(&app, secured, &person).await
}

fn bad_link() -> Problem {
    Problem::forbidden("bad_link", "this link is used up, expired or wrong")
        .hint("print another one with `springhouse link`")
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct SignIn {
    name: String,
    password: String,
}

/// Signs a person in by name and password.
#[utoipa::path(post, path = "/api/v1/sign-in", tag = "access", request_body = SignIn,
    responses((status = 200, body = Me), (status = 401, description = "Name or password is wrong"),
        (status = 429, description = "Too many attempts; see Retry-After")))]
pub(crate) async fn sign_in(
    State(app): State<App>,
    PeerAddress(peer): PeerAddress,
    secured: Secured,
    JsonBody(body): JsonBody<SignIn>,
) -> Result<Response, Problem> {
    app.attempts.begin(&body.name, peer).map_err(too_many)?;
    let password = Sensitive::new(body.password);
    // Argon2id takes a core and tens of MiB for a moment: a flood waits here and nowhere else.
    let turn = app.hashing.acquire().await;
    let person = app.meta.verify_person(&body.name, &password).await?;
    drop(turn);
    let Some(person) = person else {
        metrics::counter!("springhouse_sign_in_failures_total").increment(1);
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "wrong_password", "name or password is wrong"));
    };
    app.attempts.succeeded(&body.name, peer);
    signed_in(&app, secured, &person).await
}

pub(crate) fn too_many(wait: std::time::Duration) -> Problem {
    let seconds = wait.as_secs().max(1);
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", "too many attempts to sign in")
        .hint(format!("try again in {seconds} s"))
        .retry_after_s(seconds)
}

fn check_name(name: &str) -> Result<String, Problem> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > NAME_CHARACTERS_MAX || name.chars().any(char::is_control) {
        let detail = format!("a name has 1 to {NAME_CHARACTERS_MAX} characters");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_name", detail));
    }
    Ok(name.to_owned())
}

async fn signed_in(
    app: &App,
    secured: Secured,
    person: &springhouse_meta::Person,
) -> Result<Response, Problem> {
    let cookie = start_session(app, secured, &person.id).await?;
    let body = Me {
        signed_in: true,
        setup_needed: false,
        name: Some(person.name.clone()),
        scopes: person.scopes.iter().map(ToString::to_string).collect(),
        tenant: Some(person.tenant.to_string()),
    };
    Ok(([(header::SET_COOKIE, cookie)], Json(body)).into_response())
}

async fn start_session(app: &App, secured: Secured, person: &str) -> Result<HeaderValue, Problem> {
    let life = app.options.session;
    let expires_at = app.clock.now().plus_micros(i64::try_from(life.as_micros()).unwrap_or(i64::MAX));
    let secret = app.meta.create_session(person, expires_at).await?;
    Ok(cookie(secured, secret.expose(), life.as_secs()))
}

fn cookie(secured: Secured, value: &str, age_s: u64) -> HeaderValue {
    let name = cookie_name(secured);
    let secure = if secured.0 { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Strict{secure}");
    let mut header = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
    header.set_sensitive(true);
    header
}

/// Ends the session of this cookie.
#[utoipa::path(post, path = "/api/v1/sign-out", tag = "access", responses((status = 204)))]
pub(crate) async fn sign_out(
    State(app): State<App>,
    secured: Secured,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if let Some(secret) = session_cookie(&headers, secured) {
        app.meta.drop_session(secret.expose()).await?;
        app.callers.forget_all();
    }
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie(secured, "", 0))]).into_response())
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Welcome {
    link: Option<String>,
}

/// Follows a one-time link: signs in and goes on to the page. A set-up link goes to the form that asks for a name
/// and a password, and is used up by that.
#[utoipa::path(get, path = "/welcome", tag = "access", params(Welcome),
    responses((status = 303, description = "To the page")))]
pub(crate) async fn welcome(
    State(app): State<App>,
    secured: Secured,
    MaybeCaller(caller): MaybeCaller,
    Params(Welcome { link }): Params<Welcome>,
) -> Result<Response, Problem> {
    let link = Sensitive::new(link.unwrap_or_default());
    let found = app.meta.link(link.expose()).await?;
    match found.map(|found| found.purpose) {
        Some(LinkPurpose::Setup) => {
            Ok(Redirect::to(&format!("/setup?link={}", link.expose())).into_response())
        }
        Some(LinkPurpose::SignIn { person }) => {
            if app.meta.redeem_link(link.expose()).await?.is_none() {
                return Ok(Redirect::to("/sign-in?link=used").into_response());
            }
            let cookie = start_session(&app, secured, &person).await?;
            Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response())
        }
        // A link that is opened twice by one who is in does no harm.
        None if caller.is_some() => Ok(Redirect::to("/").into_response()),
        None => Ok(Redirect::to("/sign-in?link=used").into_response()),
    }
}
