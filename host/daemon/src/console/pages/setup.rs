//! The setup (facts/console-ux.md §4.6, §5 page 2): a list of steps with how far
//! each is, and a page for every step. A step saves what its ordinary page saves,
//! the same way; whatever is left out stays marked as not set, here and on the
//! live page. It can be left at any time and taken up again. Needs no script.

mod steps;

use super::fields::{Fields, Sent};
use super::reader::Reader;
use super::{VERSION, none};
use crate::accounts::rights::{Area, Level};
use crate::console::Console;
use crate::console::by::By;
use crate::console::page;
use crate::console::problem::Problem;
use crate::console::setup::{self, State as Far, Step};
use crate::console::who::Who;
use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect};
use fluent_bundle::FluentArgs;
use std::sync::Arc;
use steps::{Content, Outcome};

#[derive(Template)]
#[template(path = "pages/setup.html")]
struct SetupPage<'a> {
    version: &'a str,
    who: Who<'a>,
    rows: Vec<Row>,
    /// The first step that nobody has come to, or else the first that was left.
    next: Option<Step>,
}

/// A step in the list.
struct Row {
    step: Step,
    title: String,
    /// How far it is, in words and as the style sheet knows it.
    state: String,
    status: &'static str,
}

#[derive(Template)]
#[template(path = "pages/setup_step.html")]
struct StepPage<'a> {
    version: &'a str,
    who: Who<'a>,
    step: Step,
    title: String,
    help: String,
    /// `Step 2 of 6`.
    place: String,
    content: Content,
    problem: String,
}

/// The list.
pub async fn show(State(console): State<Arc<Console>>, reader: Reader) -> page::Answer {
    let far = |step| setup::state(&console, step).map(|far| (step, far));
    let far = Step::ALL.into_iter().map(far).collect::<Result<Vec<_>, _>>();
    let far = far.map_err(|e| Problem::store(&e))?;
    let first = |wanted| far.iter().find(|(_, far)| *far == wanted).map(|(step, _)| *step);
    let row = |(step, far): &(Step, Far)| Row {
        step: *step,
        title: reader.word(&format!("page-setup-{}", step.as_str())),
        state: reader.word(&format!("page-setup-is-{}", far.as_str())),
        status: match far {
            Far::Set => "ok",
            Far::Left => "warning",
            Far::Open => "unknown",
        },
    };
    let page = SetupPage {
        version: &VERSION,
        who: reader.who(Area::System, Level::Configure),
        rows: far.iter().map(row).collect(),
        next: first(Far::Open).or_else(|| first(Far::Left)),
    };
    Ok(reader.show(StatusCode::OK, &page))
}

/// A step.
pub async fn step(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Path(word): Path<String>,
) -> page::Answer {
    let step = named(&word)?;
    let content = steps::content(&console, &reader, step)?;
    Ok(reader.show(StatusCode::OK, &step_page(&reader, step, content, String::new())))
}

/// A button of a step was pressed.
pub async fn act(
    by: By,
    reader: Reader,
    Path(word): Path<String>,
    Sent(sent): Sent<Fields>,
) -> page::Answer {
    let step = named(&word)?;
    let outcome = match sent.one("act") {
        "skip" => Outcome::Left,
        "settle" => Outcome::Settled,
        _ => steps::perform(&by, &reader, step, &sent).await?,
    };
    let to = match outcome {
        Outcome::Settled => Far::Set,
        Outcome::Left => Far::Left,
        Outcome::Again => {
            return Ok(Redirect::to(&format!("/setup/{}", step.as_str())).into_response());
        }
        Outcome::Shown(status, content, problem) => {
            return Ok(reader.show(status, &step_page(&reader, step, content, problem)));
        }
    };
    setup::say(&by.console, step, to).await.map_err(|e| Problem::store(&e))?;
    let next = step.next().map_or_else(String::new, |next| format!("/{}", next.as_str()));
    Ok(Redirect::to(&format!("/setup{next}")).into_response())
}

impl StepPage<'_> {
    /// What the button says that settles the step as it is; none: something is to
    /// be done first.
    const fn settles(&self) -> Option<&'static str> {
        match self.content {
            Content::Appliance { .. } | Content::Receiver { .. } => None,
            Content::Battery { .. } => Some("page-setup-battery-settle"),
            Content::Limits(_) => Some("page-setup-limits-settle"),
            Content::Ups { .. } => Some("page-setup-ups-settle"),
            Content::Users { .. } => Some("page-setup-users-settle"),
        }
    }
}

fn named(word: &str) -> Result<Step, Problem> {
    Step::named(word).ok_or_else(|| none(format!("the setup has no step {word:?}")))
}

fn step_page(reader: &Reader, step: Step, content: Content, problem: String) -> StepPage<'_> {
    let at = Step::ALL.into_iter().position(|other| other == step).unwrap_or_default();
    let mut args = FluentArgs::new();
    args.set("number", (at + 1) as f64);
    args.set("of", Step::ALL.len() as f64);
    let word = step.as_str();
    StepPage {
        version: &VERSION,
        who: reader.who(Area::System, Level::Configure),
        step,
        title: reader.word(&format!("page-setup-{word}")),
        help: reader.word(&format!("page-setup-{word}-help")),
        place: reader.say("page-setup-place", &args),
        content,
        problem,
    }
}
