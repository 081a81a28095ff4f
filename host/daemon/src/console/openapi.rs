//! The OpenAPI 3.1 document of the API, made from the handlers and the table of
//! routes. A test holds `host/daemon/openapi.json` and the table against it, an
//! end-to-end test the answers of a running appliance.

use super::routes::{self, Permission, StepUp};
use super::{
    access, api, commands, orders, problem, required_factor, second_factor, sign_in_settings,
    step_up, stream,
};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use std::sync::LazyLock;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{self, ContentBuilder, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi};

/// What errors are sent as (RFC 9457).
const PROBLEM: &str = "application/problem+json";

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
        step_up::step_up,
        second_factor::show,
        second_factor::begin,
        second_factor::confirm,
        second_factor::remove,
        required_factor::get,
        required_factor::put,
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
        api::network::network,
        api::network::put,
        api::network::confirm,
        api::network::give_up,
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
        api::site::site,
        api::site::put,
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
        api::guard_settings::settings,
        api::guard_settings::put,
        api::guard_settings::preview,
        api::commissioning::commissioning,
        api::store::store,
        api::support::support,
        api::audit::audit,
        api::audit::export,
        stream::stream,
        document,
    ),
    components(schemas(problem::Problem)),
    modifiers(&Gate)
)]
struct Document;

/// What is the same for all: who may ask, and what is answered before a handler
/// sees anything.
struct Gate;

impl Modify for Gate {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let session = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new("__Host-sid")));
        let token = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme("session", session);
        components.add_security_scheme("token", token);
        for route in routes::table() {
            let Some(item) = document.paths.paths.get_mut(route.path) else { continue };
            let operation = if route.method == "GET" { &mut item.get } else { &mut item.post };
            if let Some(operation) = operation {
                gated(operation, route.permission, route.step_up);
            }
        }
    }
}

/// What the gate and the parsing of the request add to an operation.
fn gated(operation: &mut Operation, permission: Permission, step_up: StepUp) {
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && status.as_str() >= "400"
            && let Some(content) = response.content.shift_remove("application/json")
        {
            response.content.insert(PROBLEM.to_owned(), content);
        }
    }
    let mut say = |status: &str, description: &str| {
        let responses = &mut operation.responses.responses;
        responses.entry(status.to_owned()).or_insert_with(|| {
            let schema = Ref::from_schema_name("Problem");
            let content = ContentBuilder::new().schema(Some(schema)).build();
            ResponseBuilder::new().description(description).content(PROBLEM, content).into()
        });
    };
    let json = matches!(&operation.request_body, Some(RefOr::T(body))
        if body.content.contains_key("application/json"));
    if operation.request_body.is_some() {
        say("413", "More was sent than is ever taken");
    }
    if json {
        say("415", "The body is no application/json");
        say("422", "The body has other fields, or other values, than are known");
    }
    if json || operation.parameters.as_ref().is_some_and(|all| !all.is_empty()) {
        say("400", "The request makes no sense; the detail says what of it");
    }
    let by = |name| SecurityRequirement::new(name, [""; 0]);
    if permission == Permission::Public {
        say("403", "Another site's page asks");
        operation.security = Some(Vec::new());
        return;
    }
    operation.security = Some(vec![by("session"), by("token")]);
    say(
        "401",
        match step_up {
            StepUp::No => "Nobody is signed in",
            StepUp::Always | StepUp::ByAct => {
                "Nobody is signed in, or the password of the session is old: `step-up`"
            }
        },
    );
    say(
        "403",
        &match permission.needs() {
            Some((area, level)) => format!("It needs {level} in {area}, or a session"),
            None => "The first password is still to be changed, or it needs a session".to_owned(),
        },
    );
}

/// This document.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "system",
    responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
pub async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], TEXT.as_str()).into_response()
}
