//! Work as it arrives: what is to be run and ended, and what else the leader says to a worker.

use nox_contract::{RegisteredModules, StartWork, StopWork, Usage, Work, WorkMessage, beat::Held};

use super::{Attempt, Effect, Over, Phase, Session};

impl Session {
    /// Work has arrived: new, again, or out of order.
    pub fn on_work(&mut self, message: WorkMessage) {
        if message.session != self.id && !self.faults.other_sessions_heeded {
            return;
        }
        for work in message.work {
            if self.over != Over::No {
                return;
            }
            match work {
                Work::Start(start) => self.on_start(start),
                Work::Stop(stop) => self.on_stop(&stop),
                Work::Abandon(held) => self.on_abandon(held),
                Work::Superseded => self.supersede(),
                Work::Unreadable => {}
                Work::Joined => self.joined = true,
                Work::Modules(modules) => self.on_registered(*modules),
                Work::Refused { reason } => {
                    self.refused = Some(reason);
                    self.supersede();
                }
            }
        }
        if let Some(covers) = message.covers {
            self.inbox.cover(covers);
        }
    }

    fn on_registered(&mut self, registered: RegisteredModules) {
        let RegisteredModules { above, up_to, modules } = registered;
        let Some(before) = self.registered_up_to else { return };
        // What comes before is missing, or it has heard of all that.
        if above > before || up_to <= before {
            return;
        }
        self.registered_up_to = Some(up_to);
        let new = modules.into_iter().filter(|module| module.number > before);
        self.orders.push(Effect::Learn(new.collect()));
    }

    fn on_start(&mut self, start: Box<StartWork>) {
        let held = Held { job_id: start.job_id, attempt: start.attempt };
        let stopped = self.inbox.was_stopped(held);
        if !self.inbox.receive(start.number, &self.faults)
            || stopped
            || self.held.contains_key(&held)
        {
            return;
        }
        let token = start.token.clone();
        self.held.insert(
            held,
            Attempt { token, phase: Phase::Waiting, stopping: false, abandoned: false },
        );
        match self.hands_back() {
            Some(why) => self.hand_back_waiting(&why),
            None => self.orders.push(Effect::Run(start)),
        }
    }

    fn on_stop(&mut self, stop: &StopWork) {
        let held = Held { job_id: stop.job_id, attempt: stop.attempt };
        if !self.inbox.receive(stop.number, &self.faults) {
            return;
        }
        match self.held.get_mut(&held) {
            Some(attempt) => match attempt.phase {
                Phase::Waiting => {
                    attempt.phase = Phase::Ended;
                    self.orders.retain(|order| order.run() != Some(held));
                    self.owe_stopped(held, stop.token.clone(), Usage::default());
                }
                Phase::Told | Phase::Running { .. } => {
                    attempt.stopping = true;
                    self.orders.push(Effect::Kill(held));
                }
                // The end that is on its way frees the slot as well.
                Phase::Ended => {}
            },
            // It never came, or ended long ago; either way nothing of it runs.
            None => {
                if !self.faults.early_stop_forgotten {
                    self.inbox.stopped_early(stop.number, held);
                }
                self.owe_stopped(held, stop.token.clone(), Usage::default());
            }
        }
    }

    fn on_abandon(&mut self, held: Held) {
        let Some(attempt) = self.held.get_mut(&held) else { return };
        match attempt.phase {
            Phase::Waiting => {
                self.held.remove(&held);
                self.orders.retain(|order| order.run() != Some(held));
            }
            Phase::Told | Phase::Running { .. } if !attempt.abandoned => {
                attempt.abandoned = true;
                self.orders.push(Effect::Kill(held));
            }
            // Its end is already said; nobody will mind.
            Phase::Told | Phase::Running { .. } | Phase::Ended => {}
        }
    }
}
