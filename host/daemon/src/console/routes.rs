//! Every path of the console with the permission it needs. A path that is not
//! here does not exist; a row without a permission does not compile.

use super::api::{
    accounts, alarms, automation, bench, certificate, commissioning, configuration, discharges,
    firmware, guard_settings, history, licence, network, plugins, reports, reset, sessions, site,
    strings, support, webhooks,
};
use super::pages::{
    audit, automation as automation_page, block, certificate as certificate_page,
    commissioning as commissioning_page, configuration as configuration_page, discharge,
    discharges as discharges_page, events, firmware as firmware_page, job, licence as licence_page,
    network as network_page, rehearsal, rule, schedule, second_factor as second_factor_page,
    setup as setup_page, string, thresholds, webhooks as webhooks_page,
};
use super::{
    Console, access, accounts_page, alarms_page, api, commands, compress, gate, metrics, openapi,
    orders, page, plugins_page, required_factor, second_factor, sign_in_settings, step_up, stream,
};
use crate::accounts::rights::{Area, Level};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::Method;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, get, post};
use std::sync::Arc;

/// The same of the guard's settings, with the escapes of a form or of JSON.
const GUARD_SETTINGS_MAX: usize = 3 * evenkeel_core::settings::TEXT_MAX + 4_096;
/// Longest body of a request, bytes.
const BODY_MAX: usize = 16 * 1_024;
/// The same of an upload: a plugin bundle, and a form around it.
const BUNDLE_MAX: usize = (8 << 20) + 4_096;

/// The same of a licence file, and a form around it.
const LICENCE_MAX: usize = crate::licence::FILE_LEN_MAX + 4_096;
/// The same of a certificate with its chain and key, and a form around them.
const CERTIFICATE_MAX: usize = crate::certificate::LEN_MAX + 4_096;
/// The same of rules and jobs, with the escapes of a form or of JSON.
const AUTOMATION_MAX: usize = 2 * evenkeel_core::automation::DOCUMENT_MAX;
/// The same of a file with the configuration, and a form around it.
const CONFIGURATION_MAX: usize = super::configuration::file::BYTES_MAX + 4_096;
/// The same with the escapes of a form or of JSON.
const CONFIGURATION_FORM_MAX: usize = 3 * super::configuration::file::BYTES_MAX + 4_096;
/// The same of a form with a whole table of fields.
const FORM_MAX: usize = 256 * 1_024;
/// The same of a keyring.
const KEYRING_MAX: usize = 1 << 20;

/// The same of a list of thresholds.
const THRESHOLDS_MAX: usize = 1 << 20;

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Everybody.
    Public,
    /// Whoever holds a session, even before the first password was changed.
    Session,
    /// Whoever holds a session, to end it.
    Leave,
    /// Whoever is signed in and has their own password, whatever their rights.
    /// Asking is no activity: a page left open does not keep a session alive.
    SignedIn,
    /// Whoever has this level in this area.
    Of(Area, Level),
    /// Whoever may see this area; no activity.
    Watch(Area),
    /// Whoever may see [`Area::System`], and monitoring systems that hold the
    /// token of the configuration; no activity.
    Metrics,
}

impl Permission {
    /// What somebody needs for it, beyond being signed in.
    #[must_use]
    pub const fn needs(self) -> Option<(Area, Level)> {
        match self {
            Self::Public | Self::Session | Self::Leave | Self::SignedIn => None,
            Self::Of(area, level) => Some((area, level)),
            Self::Watch(area) => Some((area, Level::View)),
            Self::Metrics => Some((Area::System, Level::View)),
        }
    }

    /// Whether a person causes such a request: their session lasts on.
    #[must_use]
    pub const fn is_activity(self) -> bool {
        !matches!(self, Self::SignedIn | Self::Watch(_) | Self::Metrics)
    }
}

/// One row of the table.
pub struct Route {
    /// Its method.
    pub method: Method,
    /// Its path.
    pub path: &'static str,
    /// Who may use it.
    pub permission: Permission,
    /// Whether a session must have shown its password just now.
    pub step_up: StepUp,
    handler: MethodRouter<Arc<Console>>,
}

/// Whether people give their password once more when the last one is old
/// (SEC-045): for accounts, trust, grants, certificates, firmware, uploads, the
/// reset, and commands that switch something. Programs with a token are not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepUp {
    /// Never.
    No,
    /// Always.
    Always,
    /// For some of its acts: its handler looks.
    ByAct,
}

/// The table.
#[must_use]
pub fn table() -> Vec<Route> {
    use Area::{
        Accounts, Alarms, Audit, Automation, Battery, Devices, Events, History, Plugins, System,
    };
    use Level::{Configure, Operate, View};
    use Permission::{Leave, Metrics, Of, Public, Session, SignedIn, Watch};
    let row = |method, path, permission, handler| {
        let step_up = StepUp::No;
        Route { method, path, permission, step_up, handler }
    };
    let read = |path, permission, handler| row(Method::GET, path, permission, handler);
    let see = |path, area, handler| read(path, Of(area, View), handler);
    let write = |path, permission, handler| row(Method::POST, path, permission, handler);
    let step_up = |path, permission, handler| {
        let step_up = StepUp::Always;
        Route { step_up, ..write(path, permission, handler) }
    };
    let by_act = |path, permission, handler| {
        let step_up = StepUp::ByAct;
        Route { step_up, ..write(path, permission, handler) }
    };
    vec![
        see("/", Battery, get(page::live)),
        read("/login", Public, get(page::login)),
        write("/login", Public, post(access::login_form)),
        write("/login/answer", Public, post(access::answer_form)),
        read("/password", Session, get(page::password)),
        write("/password", Session, post(access::password_form)),
        read("/second-factor", Session, get(second_factor_page::show)),
        write("/second-factor", Session, post(second_factor_page::act)),
        read("/step-up", Session, get(step_up::show)),
        write("/step-up", Session, post(step_up::confirm)),
        write("/logout", Leave, post(access::logout_form)),
        by_act("/orders", Of(Battery, Operate), post(orders::order_form)),
        see("/strings/{id}", Battery, get(string::show)),
        by_act("/strings/{id}", Of(Battery, Operate), post(string::act)),
        see("/blocks/{id}", Battery, get(block::show)),
        by_act("/blocks/{id}", Of(Battery, Operate), post(block::act)),
        see("/commissioning", Battery, get(commissioning_page::show)),
        // To look at settings is no danger, and to begin some of the work is daily
        // work: its handler looks.
        by_act(
            "/commissioning",
            Of(Battery, Operate),
            post(commissioning_page::act).layer(DefaultBodyLimit::max(GUARD_SETTINGS_MAX)),
        ),
        see("/commissioning/report", Battery, get(commissioning_page::show_report)),
        see("/discharges", History, get(discharges_page::show)),
        see("/discharges/{id}", History, get(discharge::show)),
        see("/events", Events, get(events::show)),
        see("/thresholds", Alarms, get(thresholds::show)),
        write(
            "/thresholds",
            Of(Alarms, Configure),
            post(thresholds::change).layer(DefaultBodyLimit::max(FORM_MAX)),
        ),
        see("/audit", Audit, get(audit::show)),
        see("/alarms", Alarms, get(alarms_page::alarms)),
        write("/alarms/{id}", Of(Alarms, Operate), post(alarms_page::act)),
        see("/plugins", Plugins, get(plugins_page::plugins)),
        see("/plugins/{id}", Plugins, get(plugins_page::plugin)),
        step_up("/plugins/{id}", Of(Plugins, Configure), post(plugins_page::act)),
        see("/bundles/{digest}", Plugins, get(plugins_page::bundle)),
        step_up("/bundles/{digest}", Of(Plugins, Configure), post(plugins_page::install)),
        step_up(
            "/bundles",
            Of(Plugins, Configure),
            post(plugins_page::upload).layer(DefaultBodyLimit::max(BUNDLE_MAX)),
        ),
        see("/automation", Automation, get(automation_page::show)),
        write(
            "/automation",
            Of(Automation, Configure),
            post(automation_page::change).layer(DefaultBodyLimit::max(AUTOMATION_MAX)),
        ),
        read("/automation/job", Of(Automation, Configure), get(job::show)),
        write("/automation/job", Of(Automation, Configure), post(job::change)),
        read("/automation/rule", Of(Automation, Configure), get(rule::show)),
        write("/automation/rule", Of(Automation, Configure), post(rule::change)),
        see("/automation/rehearsal", Automation, get(rehearsal::show)),
        write(
            "/automation/rehearsal",
            Of(Automation, View),
            post(rehearsal::run).layer(DefaultBodyLimit::max(FORM_MAX)),
        ),
        see("/schedule", Automation, get(schedule::show)),
        write("/schedule", Of(Automation, Configure), post(schedule::change)),
        read("/schedule/entry", Of(Automation, Configure), get(schedule::entry)),
        write("/schedule/entry", Of(Automation, Configure), post(schedule::change_entry)),
        see("/webhooks", Automation, get(webhooks_page::show)),
        write("/webhooks", Of(System, Configure), post(webhooks_page::act)),
        read("/webhooks/edit", Of(System, Configure), get(webhooks_page::edit)),
        write("/webhooks/edit", Of(System, Configure), post(webhooks_page::change)),
        see("/licence", System, get(licence_page::show)),
        step_up(
            "/licence",
            Of(System, Configure),
            post(licence_page::change).layer(DefaultBodyLimit::max(LICENCE_MAX)),
        ),
        step_up("/licence/{name}/delete", Of(System, Configure), post(licence_page::forget)),
        see("/network", System, get(network_page::show)),
        step_up("/network", Of(System, Configure), post(network_page::save)),
        step_up("/network/{action}", Of(System, Configure), post(network_page::act)),
        see("/certificate", System, get(certificate_page::show)),
        step_up(
            "/certificate",
            Of(System, Configure),
            post(certificate_page::install).layer(DefaultBodyLimit::max(CERTIFICATE_MAX)),
        ),
        step_up("/certificate/{action}", Of(System, Configure), post(certificate_page::act)),
        see("/configuration", System, get(configuration_page::show)),
        step_up(
            "/configuration",
            Of(System, Configure),
            post(configuration_page::upload).layer(DefaultBodyLimit::max(CONFIGURATION_MAX)),
        ),
        step_up(
            "/configuration/import",
            Of(System, Configure),
            post(configuration_page::import).layer(DefaultBodyLimit::max(CONFIGURATION_FORM_MAX)),
        ),
        // And view or configure in the area of the document: their handlers look.
        see("/configuration/{document}", System, get(configuration_page::document)),
        step_up(
            "/configuration/{document}",
            Of(System, Configure),
            post(configuration_page::restore),
        ),
        see("/setup", System, get(setup_page::show)),
        read("/setup/{step}", Of(System, Configure), get(setup_page::step)),
        // And what an act needs elsewhere: its handler looks.
        by_act("/setup/{step}", Of(System, Configure), post(setup_page::act)),
        see("/firmware", System, get(firmware_page::show)),
        // Streamed, as over the API.
        step_up("/firmware", Of(System, Configure), post(firmware_page::install)),
        step_up("/firmware/{action}", Of(System, Configure), post(firmware_page::act)),
        // And configure in every other area: its handlers look.
        step_up("/factory-reset", Of(System, Configure), post(firmware_page::reset)),
        see("/accounts", Accounts, get(accounts_page::accounts)),
        step_up("/accounts", Of(Accounts, Configure), post(accounts_page::act)),
        see("/api/v1/users", Accounts, get(accounts::users)),
        step_up("/api/v1/users", Of(Accounts, Configure), post(accounts::add_user)),
        step_up("/api/v1/users/{name}", Of(Accounts, Configure), post(accounts::put_user)),
        step_up(
            "/api/v1/users/{name}/{action}",
            Of(Accounts, Configure),
            post(accounts::act_on_user),
        ),
        see("/api/v1/roles", Accounts, get(accounts::roles)),
        see("/api/v1/roles/{name}/preview", Accounts, get(accounts::preview)),
        step_up("/api/v1/roles/{name}", Of(Accounts, Configure), post(accounts::put_role)),
        step_up(
            "/api/v1/roles/{name}/delete",
            Of(Accounts, Configure),
            post(accounts::delete_role),
        ),
        see("/api/v1/groups", Accounts, get(accounts::groups)),
        step_up("/api/v1/groups/{name}", Of(Accounts, Configure), post(accounts::put_group)),
        step_up(
            "/api/v1/groups/{name}/delete",
            Of(Accounts, Configure),
            post(accounts::delete_group),
        ),
        see("/api/v1/tokens", Accounts, get(accounts::tokens)),
        step_up("/api/v1/tokens", Of(Accounts, Configure), post(accounts::add_token)),
        step_up(
            "/api/v1/tokens/{id}/delete",
            Of(Accounts, Configure),
            post(accounts::delete_token),
        ),
        step_up("/sign-in", Of(Accounts, Configure), post(sign_in_settings::put_form)),
        read("/assets/{version}/{file}", Public, get(page::asset)),
        write("/api/v1/login", Public, post(access::login)),
        write("/api/v1/login/answer", Public, post(access::answer)),
        write("/api/v1/password", Session, post(access::password)),
        read("/api/v1/second-factor", SignedIn, get(second_factor::show)),
        write("/api/v1/second-factor", Session, post(second_factor::begin)),
        write("/api/v1/second-factor/confirm", Session, post(second_factor::confirm)),
        write("/api/v1/second-factor/remove", Session, post(second_factor::remove)),
        see("/api/v1/second-factor/required", Accounts, get(required_factor::get)),
        step_up(
            "/api/v1/second-factor/required",
            Of(Accounts, Configure),
            post(required_factor::put),
        ),
        write("/api/v1/step-up", Session, post(step_up::step_up)),
        write("/api/v1/logout", Leave, post(access::logout)),
        read("/api/v1/session", SignedIn, get(access::session)),
        // Their own; those of all for who may see or configure accounts: the handlers look.
        read("/api/v1/sessions", SignedIn, get(sessions::sessions)),
        write("/api/v1/sessions/{id}/end", SignedIn, post(sessions::end)),
        see("/api/v1/sign-in", Accounts, get(sign_in_settings::get)),
        step_up("/api/v1/sign-in", Of(Accounts, Configure), post(sign_in_settings::put)),
        see("/api/v1/points", Devices, get(api::points)),
        see("/api/v1/strings", Battery, get(strings::strings)),
        see("/api/v1/devices", Battery, get(bench::devices)),
        see("/api/v1/buses", Battery, get(bench::buses)),
        see("/api/v1/tests", Battery, get(bench::tests)),
        see("/api/v1/discharges", History, get(discharges::discharges)),
        see("/api/v1/discharges/{id}", History, get(discharges::discharge)),
        see("/api/v1/discharges/{id}/rows", History, get(discharges::rows)),
        by_act("/api/v1/orders", Of(Battery, Operate), post(orders::order)),
        see("/api/v1/commands", Devices, get(commands::commands)),
        step_up("/api/v1/commands", Of(Devices, Operate), post(commands::command)),
        see("/api/v1/alarms", Alarms, get(alarms::alarms)),
        write("/api/v1/alarms/{id}/{action}", Of(Alarms, Operate), post(alarms::act)),
        see("/api/v1/thresholds", Alarms, get(alarms::thresholds)),
        write(
            "/api/v1/thresholds",
            Of(Alarms, Configure),
            post(alarms::put_thresholds).layer(DefaultBodyLimit::max(THRESHOLDS_MAX)),
        ),
        write(
            "/api/v1/thresholds/preview",
            Of(Alarms, View),
            post(alarms::preview).layer(DefaultBodyLimit::max(THRESHOLDS_MAX)),
        ),
        see("/api/v1/automation", Automation, get(automation::automation)),
        write(
            "/api/v1/automation",
            Of(Automation, Configure),
            post(automation::put).layer(DefaultBodyLimit::max(AUTOMATION_MAX)),
        ),
        write(
            "/api/v1/automation/rehearsal",
            Of(Automation, View),
            post(automation::rehearse).layer(DefaultBodyLimit::max(AUTOMATION_MAX)),
        ),
        see("/api/v1/automation/status", Automation, get(automation::status)),
        see("/api/v1/webhooks", Automation, get(webhooks::webhooks)),
        write("/api/v1/webhooks/{name}", Of(System, Configure), post(webhooks::put)),
        write("/api/v1/webhooks/{name}/delete", Of(System, Configure), post(webhooks::remove)),
        write("/api/v1/webhooks/{name}/test", Of(System, Configure), post(webhooks::test)),
        see("/api/v1/licence", System, get(licence::licence)),
        step_up("/api/v1/licence", Of(System, Configure), post(licence::install)),
        step_up("/api/v1/licence/{name}/delete", Of(System, Configure), post(licence::remove)),
        see("/api/v1/certificate", System, get(certificate::certificate)),
        step_up(
            "/api/v1/certificate",
            Of(System, Configure),
            post(certificate::install).layer(DefaultBodyLimit::max(CERTIFICATE_MAX)),
        ),
        step_up("/api/v1/certificate/request", Of(System, Configure), post(certificate::request)),
        step_up("/api/v1/certificate/confirm", Of(System, Configure), post(certificate::confirm)),
        step_up("/api/v1/certificate/give-up", Of(System, Configure), post(certificate::give_up)),
        step_up("/api/v1/certificate/remove", Of(System, Configure), post(certificate::remove)),
        see("/api/v1/configuration", System, get(configuration::configuration)),
        see("/api/v1/configuration/export", System, get(configuration::export)),
        step_up(
            "/api/v1/configuration/import",
            Of(System, Configure),
            post(configuration::import).layer(DefaultBodyLimit::max(CONFIGURATION_FORM_MAX)),
        ),
        see("/api/v1/configuration/{document}", System, get(configuration::history)),
        see("/api/v1/configuration/{document}/diff", System, get(configuration::diff)),
        step_up(
            "/api/v1/configuration/{document}/restore",
            Of(System, Configure),
            post(configuration::restore),
        ),
        see("/api/v1/network", System, get(network::network)),
        step_up("/api/v1/network", Of(System, Configure), post(network::put)),
        step_up("/api/v1/network/confirm", Of(System, Configure), post(network::confirm)),
        step_up("/api/v1/network/give-up", Of(System, Configure), post(network::give_up)),
        see("/api/v1/site", System, get(site::site)),
        write("/api/v1/site", Of(System, Configure), post(site::put)),
        see("/api/v1/firmware", System, get(firmware::firmware)),
        // Streamed: its length is bounded by the handler.
        step_up("/api/v1/firmware", Of(System, Configure), post(firmware::install)),
        step_up("/api/v1/firmware/{action}", Of(System, Configure), post(firmware::act)),
        step_up("/api/v1/factory-reset", Of(System, Configure), post(reset::reset)),
        see("/api/v1/plugins", Plugins, get(plugins::list)),
        step_up("/api/v1/plugins", Of(Plugins, Configure), post(plugins::put)),
        see("/api/v1/plugins/{id}", Plugins, get(plugins::detail)),
        step_up("/api/v1/plugins/{id}/{action}", Of(Plugins, Configure), post(plugins::act)),
        see("/api/v1/plugins/{id}/reports", Plugins, get(reports::list)),
        read(
            "/api/v1/plugins/{id}/reports/{unix_ms}/recording",
            Of(Plugins, Configure),
            get(reports::recording),
        ),
        see("/api/v1/bundles", Plugins, get(plugins::bundles)),
        step_up(
            "/api/v1/bundles",
            Of(Plugins, Configure),
            post(plugins::upload).layer(DefaultBodyLimit::max(BUNDLE_MAX)),
        ),
        step_up(
            "/api/v1/bundles/inspect",
            Of(Plugins, Configure),
            post(plugins::inspect).layer(DefaultBodyLimit::max(BUNDLE_MAX)),
        ),
        step_up(
            "/api/v1/bundles/{digest}/delete",
            Of(Plugins, Configure),
            post(plugins::delete_bundle),
        ),
        see("/api/v1/plugin-keys", Plugins, get(plugins::keys)),
        step_up("/api/v1/plugin-keys", Of(Plugins, Configure), post(plugins::add_key)),
        step_up(
            "/api/v1/plugin-keys/{id}/withdraw",
            Of(Plugins, Configure),
            post(plugins::withdraw_key),
        ),
        step_up(
            "/api/v1/plugin-keys/{id}/restore",
            Of(Plugins, Configure),
            post(plugins::restore_key),
        ),
        step_up(
            "/api/v1/plugin-keyring",
            Of(Plugins, Configure),
            post(plugins::put_keyring).layer(DefaultBodyLimit::max(KEYRING_MAX)),
        ),
        see("/api/v1/events", Events, get(api::events)),
        see("/api/v1/history", History, get(history::history)),
        see("/api/v1/history/export", History, get(history::export)),
        see("/api/v1/history/points", History, get(history::points::points)),
        see("/api/v1/history/points/names", History, get(history::points::names)),
        see("/api/v1/history/check", History, get(history::check)),
        step_up(
            "/api/v1/history/import",
            Of(History, Configure),
            post(history::import).layer(DefaultBodyLimit::disable()),
        ),
        see("/api/v1/guard", System, get(api::guard)),
        see("/api/v1/guard/settings", Battery, get(guard_settings::settings)),
        step_up(
            "/api/v1/guard/settings",
            Of(Battery, Configure),
            post(guard_settings::put).layer(DefaultBodyLimit::max(GUARD_SETTINGS_MAX)),
        ),
        write(
            "/api/v1/guard/settings/preview",
            Of(Battery, View),
            post(guard_settings::preview).layer(DefaultBodyLimit::max(GUARD_SETTINGS_MAX)),
        ),
        see("/api/v1/commissioning", Battery, get(commissioning::commissioning)),
        see("/api/v1/store", System, get(api::store::store)),
        read("/api/v1/support", Of(System, Configure), get(support::support)),
        see("/api/v1/audit", Audit, get(api::audit::audit)),
        see("/api/v1/audit/export", Audit, get(api::audit::export)),
        read("/metrics", Metrics, get(metrics::metrics)),
        read("/api/v1/stream", Watch(Battery), get(stream::stream)),
        read("/api/v1/openapi.json", SignedIn, get(openapi::document)),
    ]
}

/// The router: every row behind its gate, everything behind the headers.
pub fn router(console: &Arc<Console>) -> Router {
    let mut router = Router::new();
    for route in table() {
        let guarded = route.handler.route_layer(from_fn_with_state(
            (console.clone(), route.permission, route.step_up),
            gate::permit,
        ));
        router = router.route(route.path, guarded);
    }
    router
        .fallback(gate::not_found)
        .method_not_allowed_fallback(gate::method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(from_fn(gate::check_request))
        .layer(from_fn_with_state(console.clone(), gate::set_headers))
        .layer(compress::layer())
        .layer(from_fn(compress::only_what_is_read))
        .with_state(console.clone())
}
