//! Every path of the console with the permission it needs. A path that is not
//! here does not exist; a row without a permission does not compile.

use super::api::{alarms, automation, bench, discharges, history, licence, plugins, strings};
use super::{
    Console, access, alarms_page, api, automation_page, commands, gate, metrics, openapi, orders,
    page, plugins_page, sign_in_settings, stream,
};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::Method;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, get, post};
use std::sync::Arc;

/// Longest body of a request, bytes.
const BODY_MAX: usize = 16 * 1_024;
/// The same of an upload: a plugin bundle, and a form around it.
const BUNDLE_MAX: usize = (8 << 20) + 4_096;

/// The same of rules and jobs, with the escapes of a form or of JSON.
const AUTOMATION_MAX: usize = 2 * evenkeel_core::automation::DOCUMENT_MAX;
/// The same of a keyring.
const KEYRING_MAX: usize = 1 << 20;

/// The same of a list of thresholds.
const THRESHOLDS_MAX: usize = 1 << 20;

/// Who may use a route. Writes are for administrators, whatever the row says,
/// but for [`Permission::Public`] and [`Permission::Leave`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Everybody.
    Public,
    /// Whoever holds a session, even before the first password was changed.
    Session,
    /// Whoever is signed in and has their own password.
    SignedIn,
    /// The same, and the request is no activity: a page left open does not
    /// keep a session alive.
    SignedInPassive,
    /// Administrators, reading too.
    Administrator,
    /// Whoever is signed in, and monitoring systems that hold the token.
    Metrics,
    /// Whoever holds a session, to end it. The one write for which no
    /// administrator is needed.
    Leave,
}

/// One row of the table.
pub struct Route {
    /// Its method.
    pub method: Method,
    /// Its path.
    pub path: &'static str,
    /// Who may use it.
    pub permission: Permission,
    handler: MethodRouter<Arc<Console>>,
}

/// The table.
#[must_use]
pub fn table() -> Vec<Route> {
    use Permission::{Administrator, Leave, Metrics, Public, Session, SignedIn, SignedInPassive};
    let row = |method, path, permission, handler| Route { method, path, permission, handler };
    let read = |path, permission, handler| row(Method::GET, path, permission, handler);
    let write = |path, permission, handler| row(Method::POST, path, permission, handler);
    vec![
        read("/", SignedIn, get(page::live)),
        read("/login", Public, get(page::login)),
        write("/login", Public, post(access::login_form)),
        write("/login/answer", Public, post(access::answer_form)),
        read("/password", Session, get(page::password)),
        write("/password", Session, post(access::password_form)),
        write("/logout", Leave, post(access::logout_form)),
        write("/orders", SignedIn, post(orders::order_form)),
        read("/alarms", SignedIn, get(alarms_page::alarms)),
        write("/alarms/{id}", SignedIn, post(alarms_page::act)),
        read("/plugins", SignedIn, get(plugins_page::plugins)),
        read("/plugins/{id}", SignedIn, get(plugins_page::plugin)),
        write("/plugins/{id}", SignedIn, post(plugins_page::act)),
        read("/bundles/{digest}", SignedIn, get(plugins_page::bundle)),
        write("/bundles/{digest}", SignedIn, post(plugins_page::install)),
        write(
            "/bundles",
            SignedIn,
            post(plugins_page::upload).layer(DefaultBodyLimit::max(BUNDLE_MAX)),
        ),
        read("/automation", SignedIn, get(automation_page::automation)),
        write(
            "/automation",
            SignedIn,
            post(automation_page::change).layer(DefaultBodyLimit::max(AUTOMATION_MAX)),
        ),
        write("/sign-in", SignedIn, post(sign_in_settings::put_form)),
        read("/assets/{version}/{file}", Public, get(page::asset)),
        write("/api/v1/login", Public, post(access::login)),
        write("/api/v1/login/answer", Public, post(access::answer)),
        write("/api/v1/password", Session, post(access::password)),
        write("/api/v1/logout", Leave, post(access::logout)),
        read("/api/v1/session", SignedInPassive, get(access::session)),
        read("/api/v1/sign-in", SignedIn, get(sign_in_settings::get)),
        write("/api/v1/sign-in", SignedIn, post(sign_in_settings::put)),
        read("/api/v1/points", SignedIn, get(api::points)),
        read("/api/v1/strings", SignedIn, get(strings::strings)),
        read("/api/v1/devices", SignedIn, get(bench::devices)),
        read("/api/v1/buses", SignedIn, get(bench::buses)),
        read("/api/v1/tests", SignedIn, get(bench::tests)),
        read("/api/v1/discharges", SignedIn, get(discharges::discharges)),
        read("/api/v1/discharges/{id}", SignedIn, get(discharges::discharge)),
        read("/api/v1/discharges/{id}/rows", SignedIn, get(discharges::rows)),
        write("/api/v1/orders", SignedIn, post(orders::order)),
        read("/api/v1/commands", SignedIn, get(commands::commands)),
        write("/api/v1/commands", SignedIn, post(commands::command)),
        read("/api/v1/alarms", SignedIn, get(alarms::alarms)),
        write("/api/v1/alarms/{id}/{action}", SignedIn, post(alarms::act)),
        read("/api/v1/thresholds", SignedIn, get(alarms::thresholds)),
        write(
            "/api/v1/thresholds",
            SignedIn,
            post(alarms::put_thresholds).layer(DefaultBodyLimit::max(THRESHOLDS_MAX)),
        ),
        write(
            "/api/v1/thresholds/preview",
            SignedIn,
            post(alarms::preview).layer(DefaultBodyLimit::max(THRESHOLDS_MAX)),
        ),
        read("/api/v1/automation", SignedIn, get(automation::automation)),
        write(
            "/api/v1/automation",
            SignedIn,
            post(automation::put).layer(DefaultBodyLimit::max(AUTOMATION_MAX)),
        ),
        write(
            "/api/v1/automation/rehearsal",
            SignedIn,
            post(automation::rehearse).layer(DefaultBodyLimit::max(AUTOMATION_MAX)),
        ),
        read("/api/v1/automation/status", SignedIn, get(automation::status)),
        read("/api/v1/licence", SignedIn, get(licence::licence)),
        write("/api/v1/licence", SignedIn, post(licence::install)),
        write("/api/v1/licence/{name}/delete", SignedIn, post(licence::remove)),
        read("/api/v1/plugins", SignedIn, get(plugins::list)),
        write("/api/v1/plugins", SignedIn, post(plugins::put)),
        read("/api/v1/plugins/{id}", SignedIn, get(plugins::detail)),
        write("/api/v1/plugins/{id}/{action}", SignedIn, post(plugins::act)),
        read("/api/v1/bundles", SignedIn, get(plugins::bundles)),
        write(
            "/api/v1/bundles",
            SignedIn,
            post(plugins::upload).layer(DefaultBodyLimit::max(BUNDLE_MAX)),
        ),
        write(
            "/api/v1/bundles/inspect",
            SignedIn,
            post(plugins::inspect).layer(DefaultBodyLimit::max(BUNDLE_MAX)),
        ),
        write("/api/v1/bundles/{digest}/delete", SignedIn, post(plugins::delete_bundle)),
        read("/api/v1/plugin-keys", SignedIn, get(plugins::keys)),
        write("/api/v1/plugin-keys", SignedIn, post(plugins::add_key)),
        write("/api/v1/plugin-keys/{id}/withdraw", SignedIn, post(plugins::withdraw_key)),
        write("/api/v1/plugin-keys/{id}/restore", SignedIn, post(plugins::restore_key)),
        write(
            "/api/v1/plugin-keyring",
            SignedIn,
            post(plugins::put_keyring).layer(DefaultBodyLimit::max(KEYRING_MAX)),
        ),
        read("/api/v1/events", SignedIn, get(api::events)),
        read("/api/v1/history", SignedIn, get(history::history)),
        read("/api/v1/history/export", SignedIn, get(history::export)),
        read("/api/v1/history/check", SignedIn, get(history::check)),
        write(
            "/api/v1/history/import",
            SignedIn,
            post(history::import).layer(DefaultBodyLimit::disable()),
        ),
        read("/api/v1/guard", SignedIn, get(api::guard)),
        read("/api/v1/store", SignedIn, get(api::store::store)),
        read("/api/v1/audit", Administrator, get(api::audit::audit)),
        read("/api/v1/audit/export", Administrator, get(api::audit::export)),
        read("/metrics", Metrics, get(metrics::metrics)),
        read("/api/v1/stream", SignedInPassive, get(stream::stream)),
        read("/api/v1/openapi.json", SignedIn, get(openapi::document)),
    ]
}

/// The router: every row behind its gate, everything behind the headers.
pub fn router(console: &Arc<Console>) -> Router {
    let mut router = Router::new();
    for route in table() {
        let guarded = route
            .handler
            .route_layer(from_fn_with_state((console.clone(), route.permission), gate::permit));
        router = router.route(route.path, guarded);
    }
    router
        .fallback(gate::not_found)
        .method_not_allowed_fallback(gate::method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(from_fn(gate::check_request))
        .layer(from_fn(gate::set_headers))
        .with_state(console.clone())
}
