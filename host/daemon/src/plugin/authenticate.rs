//! Plugins that ask others who may sign in, as the console's login sees them.

use crate::login::{Asked, Attempt, Authenticators, Unavailable, Verdict};
use crate::plugin::Supervisor;
use crate::plugin::bindings::login as wit;
use crate::plugin::inbox::Undone;
use crate::plugin::world::World;
use tokio::sync::oneshot;

impl Authenticators for Supervisor {
    fn authenticate(&self, name: &str, attempt: Attempt) -> Asked {
        let asked = ask(self, name, attempt);
        Box::pin(async move {
            let failed = |why: Undone| Unavailable(why.to_string());
            let answer = asked?.await.map_err(|_| failed(Undone::Failed))?;
            answer.map(verdict).map_err(Unavailable)
        })
    }
}

type Answer = oneshot::Receiver<Result<wit::Verdict, String>>;

fn ask(plugins: &Supervisor, id: &str, attempt: Attempt) -> Result<Answer, Unavailable> {
    let slot = plugins.slot(id).ok_or_else(|| Unavailable(Undone::NotRunning.to_string()))?;
    if slot.facts().is_some_and(|facts| facts.world != World::Authenticator) {
        return Err(Unavailable("this plugin is no authenticator".to_owned()));
    }
    let Attempt { user, password, peer, state } = attempt;
    let attempt = wit::Attempt { user, password, peer, state };
    let asked = slot.inbox.ask(move |instance| instance.authenticate(&attempt));
    asked.map_err(|why| Unavailable(why.to_string()))
}

fn verdict(verdict: wit::Verdict) -> Verdict {
    match verdict {
        wit::Verdict::Accepted(words) => Verdict::Accepted(words),
        wit::Verdict::Rejected => Verdict::Rejected,
        wit::Verdict::Challenge(wit::Challenge { state, prompt }) => {
            Verdict::Challenge { state, prompt }
        }
    }
}
