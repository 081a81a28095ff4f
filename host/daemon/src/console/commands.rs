//! Commands to UPSes and to the appliance over the HTTP API. What can cut
//! power or empty a battery must be confirmed by its name; each command that
//! was tried is an event that names who gave it ([`crate::commands`]).

use super::Console;
use super::access::bad_json;
use super::by::By;
use super::problem::Problem;
use crate::commands::{CommandError, Offered, Parameter};
use crate::trail;
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use evenkeel_core::danger::danger_of;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Something that can be told to a device or to the appliance.
#[derive(Serialize, ToSchema)]
pub struct CommandOut {
    /// Subtree of the device: `ups.0`, `string.1`, `guard`.
    target: String,
    /// Its name.
    command: String,
    /// For people.
    description: String,
    /// What it takes.
    parameter: ParameterOut,
    /// What it does that may hurt; null when it is harmless. Such a command
    /// needs `confirm`.
    danger: Option<&'static str>,
}

/// What a command takes.
#[derive(Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum ParameterOut {
    /// Nothing.
    None {},
    /// A whole number.
    Number {
        /// The least.
        low: i64,
        /// The greatest.
        high: i64,
    },
    /// One of these words.
    Word {
        /// The words.
        words: Vec<String>,
    },
    /// Visible text.
    Text {
        /// Most bytes.
        bytes_max: u32,
    },
}

/// What to tell whom.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandIn {
    /// Subtree of the device: `ups.0`, `string.1`, `guard`.
    target: String,
    /// The command's name.
    command: String,
    /// What it takes, as text; nothing for a command that takes nothing.
    #[serde(default)]
    value: Option<String>,
    /// `<target>:<command>`, for a command that may hurt.
    #[serde(default)]
    confirm: Option<String>,
}

impl From<Offered> for CommandOut {
    fn from(offered: Offered) -> Self {
        let Offered { target, offer } = offered;
        let parameter = match offer.parameter {
            Parameter::None => ParameterOut::None {},
            Parameter::Number(low, high) => ParameterOut::Number { low, high },
            Parameter::Word(words) => ParameterOut::Word { words },
            Parameter::Text(bytes_max) => ParameterOut::Text { bytes_max },
        };
        let danger = danger_of(&offer.name);
        let (command, description) = (offer.name, offer.description);
        Self { target, command, description, parameter, danger }
    }
}

/// Everything that can be told now.
#[utoipa::path(get, path = "/api/v1/commands", tag = "orders",
    responses((status = 200, body = Vec<CommandOut>)))]
pub async fn commands(State(console): State<Arc<Console>>) -> Json<Vec<CommandOut>> {
    Json(console.commands.list().into_iter().map(CommandOut::from).collect())
}

/// Tell a device or the appliance what to do, and wait for the outcome, 30 s
/// at most.
#[utoipa::path(post, path = "/api/v1/commands", request_body = CommandIn, tag = "orders", responses(
    (status = 204, description = "Done"),
    (status = 400, body = Problem, description = "The value does not fit the command"),
    (status = 404, body = Problem, description = "There is no such target, or it does not offer this"),
    (status = 409, body = Problem, description = "The device refused or did not answer; the detail says which"),
    (status = 428, body = Problem, description = "The command may hurt and was not confirmed"),
    (status = 503, body = Problem, description = "Too many commands wait for the target"),
    (status = 504, body = Problem, description = "No outcome in time; it may still happen")))]
pub async fn command(
    By { console, caller, from }: By,
    body: Result<Json<CommandIn>, JsonRejection>,
) -> Result<StatusCode, Problem> {
    let Json(wish) = body.map_err(bad_json)?;
    let offered = console.commands.list();
    let known = offered.iter().any(|o| o.target == wish.target && o.offer.name == wish.command);
    if let Some(danger) = danger_of(&wish.command).filter(|_| known) {
        confirmed(&wish, danger)?;
    }
    let (commands, who) = (Arc::clone(&console.commands), format!("{} from {from}", caller.user));
    // Waits for a driver: not on a thread of the runtime. The switchboard
    // bounds how many wait.
    let run = move || commands.run(&who, &wish.target, &wish.command, wish.value.as_deref());
    let outcome = tokio::task::spawn_blocking(run).await;
    // It was told on the other thread, unless it was not even tried.
    let tried = !matches!(
        outcome,
        Ok(Err(CommandError::Unknown { .. } | CommandError::Invalid { .. } | CommandError::Busy))
    );
    if tried {
        trail::told();
    }
    match outcome {
        Ok(Ok(())) => Ok(StatusCode::NO_CONTENT),
        Ok(Err(error)) => Err(problem(&error)),
        Err(_) => Err(problem(&CommandError::Late)),
    }
}

fn confirmed(wish: &CommandIn, danger: &str) -> Result<(), Problem> {
    let wanted = format!("{}:{}", wish.target, wish.command);
    if wish.confirm.as_deref() == Some(wanted.as_str()) {
        return Ok(());
    }
    let status = StatusCode::PRECONDITION_REQUIRED;
    let detail = format!("this {danger}; send \"confirm\": \"{wanted}\" to have it done");
    Err(Problem::new(status, "confirm", "This command may hurt").detail(detail))
}

fn problem(error: &CommandError) -> Problem {
    let (status, kind, title) = match error {
        CommandError::Unknown { .. } => {
            (StatusCode::NOT_FOUND, "no-command", "There is no such command")
        }
        CommandError::Invalid { .. } => {
            (StatusCode::BAD_REQUEST, "bad-value", "The value does not fit the command")
        }
        CommandError::Failed(_) => (StatusCode::CONFLICT, "refused", "The command was not done"),
        CommandError::Busy => {
            (StatusCode::SERVICE_UNAVAILABLE, "busy", "Too many commands wait for the target")
        }
        CommandError::Late => {
            (StatusCode::GATEWAY_TIMEOUT, "late", "Nobody knows whether the command was done")
        }
    };
    let problem = Problem::new(status, kind, title).detail(error.to_string());
    if matches!(error, CommandError::Busy) { problem.retry_after(5) } else { problem }
}
