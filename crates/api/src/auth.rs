//! Who is asking, and whether he may. A bearer token or the session cookie of a person becomes a [`Caller`]; the
//! route table says what each route needs; a route that is not in the table is not answered.
//!
//! Verified credentials are remembered for a few seconds by their SHA-256, so that a busy client costs one lookup
//! per interval. What is revoked through this process is forgotten at once, and long-lived connections hear of it;
//! what another process revokes is noticed when the interval ends.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use springhouse_meta::{Meta, TOKEN_PREFIX, TokenInfo};
use springhouse_model::{Sensitive, TenantId};
use springhouse_policy::{Principal, Scope, Subject};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::problem::Problem;
use crate::routes::Need;
use crate::serve::{Peer, Secured};
use crate::state::App;

/// A browser keeps the two apart: what came over TLS does not travel without it, and a page without it cannot plant
/// the other (the prefix `__Host-`, RFC 6265bis section 4.1.3.2).
pub(crate) const SESSION_COOKIE: &str = "springhouse_session";
const SESSION_COOKIE_TLS: &str = "__Host-springhouse_session";
/// The header that a foreign page cannot add to a request without asking first (CORS preflight).
pub(crate) const CSRF_HEADER: &str = "x-springhouse";

/// How long a verified credential is believed without asking again.
pub const BELIEVED_FOR: Duration = Duration::from_secs(5);
/// More callers than this within [`BELIEVED_FOR`] are looked up each time.
const REMEMBERED_MAX: usize = 4096;

/// An authenticated request.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub principal: Principal,
    /// Name of the person or the token, for pages and records.
    pub name: Arc<str>,
    pub credential: Credential,
}

impl Caller {
    pub fn tenant(&self) -> &TenantId {
        &self.principal.tenant
    }

    pub fn require(&self, scope: Scope) -> Result<(), Problem> {
        if self.principal.has(scope) { Ok(()) } else { Err(lacks_scope(scope)) }
    }
}

fn lacks_scope(scope: Scope) -> Problem {
    Problem::forbidden("missing_scope", format!("this needs the scope `{scope}`"))
        .hint(format!("make a token with it: springhouse token create --scope {scope}"))
}

/// How a caller proved who he is; kept so that a long-lived connection can be asked again.
#[derive(Clone, Debug)]
pub(crate) enum Credential {
    Token(Sensitive<String>),
    Session(Sensitive<String>),
}

impl Credential {
    fn digest(&self) -> [u8; 32] {
        let (kind, text) = match self {
            Credential::Token(text) => (b't', text),
            Credential::Session(text) => (b's', text),
        };
        Sha256::new().chain_update([kind]).chain_update(text.expose()).finalize().into()
    }

    /// What the request carries; a token wins over a cookie.
    pub fn of(headers: &HeaderMap, secured: Secured) -> Option<Credential> {
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            let (scheme, text) = value.to_str().ok()?.split_once(' ')?;
            let is_token = scheme.eq_ignore_ascii_case("bearer") && text.trim().starts_with(TOKEN_PREFIX);
            return is_token.then(|| Credential::Token(Sensitive::new(text.trim().to_owned())));
        }
        session_cookie(headers, secured).map(Credential::Session)
    }
}

pub(crate) fn cookie_name(Secured(secured): Secured) -> &'static str {
    if secured { SESSION_COOKIE_TLS } else { SESSION_COOKIE }
}

pub(crate) fn session_cookie(headers: &HeaderMap, secured: Secured) -> Option<Sensitive<String>> {
    let own = cookie_name(secured);
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let found = cookies.flat_map(|value| value.split(';')).find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == own && !value.is_empty()).then(|| value.to_owned())
    })?;
    Some(Sensitive::new(found))
}

/// The memory of verified credentials.
pub(crate) struct Callers {
    meta: Arc<dyn Meta>,
    remembered: Mutex<HashMap<[u8; 32], (Instant, Caller)>>,
    /// Counts revocations, so that a lookup that overlaps one is not remembered.
    revocations: AtomicU64,
    revoked: watch::Sender<u64>,
}

impl Callers {
    pub fn new(meta: Arc<dyn Meta>) -> Callers {
        Callers {
            meta,
            remembered: Mutex::new(HashMap::new()),
            revocations: AtomicU64::new(0),
            revoked: watch::Sender::new(0),
        }
    }

    /// Who holds this credential; `None` when it is good for nothing.
    pub async fn who(&self, credential: &Credential) -> Result<Option<Caller>, Problem> {
        let digest = credential.digest();
        if let Some((verified_at, caller)) = self.remembered.lock().get(&digest)
            && verified_at.elapsed() < BELIEVED_FOR
        {
            return Ok(Some(caller.clone()));
        }
        let seen = self.revocations.load(Ordering::SeqCst);
        let caller = self.look_up(credential).await?;
        let mut remembered = self.remembered.lock();
        match &caller {
            Some(caller) if self.revocations.load(Ordering::SeqCst) == seen => {
                if remembered.len() >= REMEMBERED_MAX {
                    remembered.retain(|_, (verified_at, _)| verified_at.elapsed() < BELIEVED_FOR);
                }
                if remembered.len() < REMEMBERED_MAX {
                    remembered.insert(digest, (Instant::now(), caller.clone()));
                }
            }
            Some(_) => {}
            None => {
                remembered.remove(&digest);
            }
        }
        Ok(caller)
    }

    async fn look_up(&self, credential: &Credential) -> Result<Option<Caller>, Problem> {
        let (principal, name) = match credential {
            Credential::Token(text) => match self.meta.verify_token(text.expose()).await? {
                None => return Ok(None),
                Some(token) => (token_principal(&token), token.name),
            },
            Credential::Session(text) => match self.meta.session(text.expose()).await? {
                None => return Ok(None),
                Some(person) => {
                    let mut principal = Principal::person(person.tenant, person.id, person.name.clone());
                    principal.scopes = person.scopes;
                    (principal, person.name)
                }
            },
        };
        Ok(Some(Caller { principal, name: Arc::from(name), credential: credential.clone() }))
    }

    /// Forgets all credentials. Called by whatever revokes one, after it is revoked.
    pub fn forget_all(&self) {
        self.revocations.fetch_add(1, Ordering::SeqCst);
        self.remembered.lock().clear();
        self.revoked.send_modify(|count| *count += 1);
    }

    /// Changes after every revocation in this process.
    pub fn revoked(&self) -> watch::Receiver<u64> {
        self.revoked.subscribe()
    }
}

fn token_principal(token: &TokenInfo) -> Principal {
    match &token.device {
        Some(device) => Principal::device(token.tenant.clone(), token.site.clone(), device.clone()),
        None => Principal::token(
            token.tenant.clone(),
            token.site.clone(),
            token.id.clone(),
            token.name.clone(),
            token.scopes.clone(),
        ),
    }
}

/// Lets a request through when its caller may do what its route does.
pub(crate) async fn authorize(
    State(app): State<App>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let Some(path) = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()) else {
        return Ok(next.run(request).await); // the page and unknown addresses: nothing to protect
    };
    let Some(need) = app.needs.of(request.method(), &path) else {
        return Err(Problem::method_not_allowed(request.method()));
    };
    let credential = Credential::of(request.headers(), Secured::of(&app, request.extensions()));
    let caller = match &credential {
        Some(credential) => app.callers.who(credential).await?,
        None => None,
    };
    let by_cookie = matches!(credential, Some(Credential::Session(_)));
    if by_cookie
        && caller.is_some()
        && !is_safe(request.method())
        && !request.headers().contains_key(CSRF_HEADER)
    {
        return Err(Problem::forbidden(
            "csrf",
            "a request with the session cookie changes nothing without its header",
        )
        .hint("add the header `X-Springhouse: 1`"));
    }
    admit(need, caller.as_ref(), &request)?;
    if let Some(caller) = caller {
        request.extensions_mut().insert(caller);
    }
    Ok(next.run(request).await)
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn admit(need: Need, caller: Option<&Caller>, request: &Request) -> Result<(), Problem> {
    match (need, caller) {
        (Need::Nothing, _) => Ok(()),
        (Need::Scrape, None) if is_on_this_machine(request) => Ok(()),
        (_, None) => Err(Problem::unauthenticated()),
        (Need::Scope(scope), Some(caller)) => caller.require(scope),
        (Need::Scrape, Some(caller)) => caller.require(Scope::Read),
        // Which device it is for is known to the handler alone.
        (Need::Deliver, Some(caller)) => match caller.principal.subject {
            Subject::Device(_) => Ok(()),
            _ => caller.require(Scope::Ingest),
        },
    }
}

/// A request from this machine itself, not one that a proxy on this machine passes on.
fn is_on_this_machine(request: &Request) -> bool {
    let proxied = ["x-forwarded-for", "forwarded", "x-real-ip", "via"];
    request.extensions().get::<Peer>().is_some_and(|peer| peer.address.ip().to_canonical().is_loopback())
        && !proxied.iter().any(|name| request.headers().contains_key(*name))
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Caller>().cloned().ok_or_else(Problem::unauthenticated)
    }
}

/// The caller of a route that also answers strangers.
pub(crate) struct MaybeCaller(pub Option<Caller>);

impl<S: Send + Sync> FromRequestParts<S> for MaybeCaller {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(MaybeCaller(parts.extensions.get::<Caller>().cloned()))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (header::HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn a_token_wins_over_a_cookie() {
        let both = headers(&[("authorization", "bearer shk_1_a"), ("cookie", "springhouse_session=b")]);
        let told = Credential::of(&both, Secured(false));
        assert!(matches!(told, Some(Credential::Token(text)) if text.expose() == "shk_1_a"));
    }

    #[test]
    fn a_cookie_counts_only_over_the_kind_of_connection_that_set_it() {
        let both = headers(&[("cookie", "other=1; springhouse_session=b; __Host-springhouse_session=c")]);
        for (secured, expected) in [(false, "b"), (true, "c")] {
            let told = Credential::of(&both, Secured(secured));
            assert!(matches!(told, Some(Credential::Session(text)) if text.expose() == expected));
        }
        let plain = headers(&[("cookie", "springhouse_session=b")]);
        assert!(Credential::of(&plain, Secured(true)).is_none());
    }

    #[test]
    fn what_is_no_credential_of_ours_is_none() {
        for (name, value) in [
            ("authorization", "Basic abc"),
            ("authorization", "Bearer other"),
            ("cookie", "springhouse_session="),
        ] {
            assert!(Credential::of(&headers(&[(name, value)]), Secured(false)).is_none(), "{value}");
        }
    }
}
