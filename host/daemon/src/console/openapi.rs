//! The OpenAPI 3.1 document of the API, made from the handlers. A test holds
//! `host/daemon/openapi.json` and the table of routes against it.

use super::{access, api, commands, orders, problem, second_factor, sign_in_settings, stream};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use std::sync::LazyLock;
use utoipa::OpenApi;

/// The document as text.
pub static TEXT: LazyLock<String> =
    LazyLock::new(|| Document::openapi().to_pretty_json().unwrap_or_default() + "\n");

/// What the appliance knows, orders to it, and signing in. All times are ms since 1970
/// (UTC), all ages ms. Errors are problem+json. Sign in first; the session is
/// the `__Host-sid` cookie. Programs send a token instead: `Authorization: Bearer`.
#[derive(OpenApi)]
#[openapi(
    info(title = "Evenkeel", version = "1"),
    paths(
        access::login,
        access::answer,
        access::password,
        access::logout,
        access::session,
        second_factor::show,
        second_factor::begin,
        second_factor::confirm,
        second_factor::remove,
        api::accounts::users,
        api::accounts::add_user,
        api::accounts::put_user,
        api::accounts::act_on_user,
        api::accounts::roles,
        api::accounts::preview,
        api::accounts::put_role,
        api::accounts::delete_role,
        api::accounts::groups,
        api::accounts::put_group,
        api::accounts::delete_group,
        api::accounts::tokens,
        api::accounts::add_token,
        api::accounts::delete_token,
        api::sessions::sessions,
        api::sessions::end,
        sign_in_settings::get,
        sign_in_settings::put,
        api::points,
        api::strings::strings,
        api::bench::devices,
        api::bench::buses,
        api::bench::tests,
        api::discharges::discharges,
        api::discharges::discharge,
        api::discharges::rows,
        orders::order,
        commands::commands,
        commands::command,
        api::automation::automation,
        api::automation::put,
        api::automation::rehearse,
        api::automation::status,
        api::certificate::certificate,
        api::certificate::install,
        api::certificate::request,
        api::certificate::confirm,
        api::certificate::give_up,
        api::certificate::remove,
        api::configuration::configuration,
        api::configuration::export,
        api::configuration::import,
        api::configuration::history,
        api::configuration::diff,
        api::configuration::restore,
        api::webhooks::webhooks,
        api::webhooks::put,
        api::webhooks::remove,
        api::webhooks::test,
        api::licence::licence,
        api::licence::install,
        api::licence::remove,
        api::firmware::firmware,
        api::firmware::install,
        api::firmware::act,
        api::reset::reset,
        api::plugins::list,
        api::plugins::detail,
        api::reports::list,
        api::reports::recording,
        api::plugins::put,
        api::plugins::act,
        api::plugins::bundles,
        api::plugins::inspect,
        api::plugins::upload,
        api::plugins::delete_bundle,
        api::plugins::keys,
        api::plugins::add_key,
        api::plugins::withdraw_key,
        api::plugins::restore_key,
        api::plugins::put_keyring,
        api::alarms::alarms,
        api::alarms::act,
        api::alarms::thresholds,
        api::alarms::put_thresholds,
        api::alarms::preview,
        api::events,
        api::history::history,
        api::history::export,
        api::history::points::points,
        api::history::points::names,
        api::history::check,
        api::history::import,
        api::guard,
        api::store::store,
        api::support::support,
        api::audit::audit,
        api::audit::export,
        stream::stream,
        document,
    ),
    components(schemas(problem::Problem))
)]
struct Document;

/// This document.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "system",
    responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
pub async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], TEXT.as_str()).into_response()
}
