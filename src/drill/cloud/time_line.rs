//! What happens by itself, and when: SQL's look at its key, the self-heal window, the buffer, coming back.
//!
//! Where the documentation leaves a choice, this is what was chosen:
//! * The window (30 minutes) is counted from the look that first fails, which is when the `Started` event is recorded.
//! * Settings are dropped when the window ends, not when the database is re-validated.
//! * Re-validation is accepted within the window too, and brings databases back at once.
//! * While the vault cannot be reached at all (5xx), databases stay `Online` for the buffer; the `Started` event is
//!   recorded all the same.

use jiff::{SignedDuration, Timestamp};

use super::resources::Access;
use super::state::{Event, Outcome, State, after_minutes};
use crate::clock::add;

impl State {
    /// Lets everything happen that is due by `now`.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let ((at, _), event) = entry.remove_entry();
            self.now = self.now.max(at);
            self.happen(event);
        }
        self.now = self.now.max(now);
        self.purge_what_is_due();
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::KeyCheck { server } => self.check_key(server),
            Event::WindowEnds { server, database, epoch } if self.is_current(server, database, epoch) => {
                self.end_window(server, database);
            }
            Event::HealBegins { server, database, epoch } if self.is_current(server, database, epoch) => {
                self.begin_return(server, database, false);
            }
            Event::BackOnline { server, database, epoch } if self.is_current(server, database, epoch) => {
                self.finish_return(server, database);
            }
            Event::WindowEnds { .. } | Event::HealBegins { .. } | Event::BackOnline { .. } => {}
            Event::OperationEnds { operation } => self.end_operation(operation),
            Event::Touch => self.touch(),
            Event::PickUp { server } => self.pick_up(server),
            Event::Alert { entry } => self.alert_on(entry),
            Event::Post { body } if self.world.alerts.webhooks => self.due_alerts.push(body),
            Event::Post { .. } => {}
            Event::Publish { event } => self.due_events.push(event),
            Event::Expiry { vault, key, version, expires, near } => {
                self.expiry(&vault, &key, &version, expires, near);
            }
        }
    }

    fn is_current(&self, server: usize, database: usize, epoch: u64) -> bool {
        self.servers[server].databases[database].epoch == epoch
    }

    /// Something has changed that a server may depend on: each looks again at its next turn.
    pub(crate) fn touch(&mut self) {
        self.watch_vaults();
        for server in 0..self.servers.len() {
            if !self.servers[server].watching && self.servers[server].protector.is_some() {
                self.servers[server].watching = true;
                let at = self.next_turn(server);
                self.schedule(at, Event::KeyCheck { server });
            }
        }
    }

    /// The next time, after now, that it is this server's turn to look.
    pub(crate) fn next_turn(&self, server: usize) -> Timestamp {
        let first = self.servers[server].first_check;
        let period = i64::from(self.world.timing.key_check_minutes.max(1)) * 60;
        let passed = self.now.duration_since(first).as_secs();
        let turns = if passed < 0 { 0 } else { passed / period + 1 };
        add(first, SignedDuration::from_secs(turns * period))
    }

    fn check_key(&mut self, server: usize) {
        let access = self.key_access(server);
        for database in 0..self.servers[server].databases.len() {
            match (self.servers[server].databases[database].access, &access) {
                (Access::Online, Err(why)) => self.lose(server, database, why.unreachable, &why.message),
                (Access::Losing { since, unreachable }, Ok(())) => self.heal(server, database, since, unreachable),
                (Access::Losing { unreachable: true, .. }, Err(why)) if !why.unreachable => {
                    let access = Access::Losing { since: self.now, unreachable: false };
                    self.wait_out(server, database, access);
                }
                (Access::Healing { since, unreachable }, Err(_)) => {
                    self.wait_out(server, database, Access::Losing { since, unreachable });
                }
                _ => {}
            }
        }
        let settled = self.servers[server].databases.iter().all(|database| match database.access {
            Access::Online => access.is_ok(),
            Access::Lost { .. } => true,
            _ => false,
        });
        self.servers[server].watching = !settled;
        if !settled {
            let at = self.next_turn(server);
            self.schedule(at, Event::KeyCheck { server });
        }
    }

    /// The first failed look at a key.
    fn lose(&mut self, server: usize, database: usize, unreachable: bool, why: &str) {
        self.losses += 1;
        let id = self.servers[server].databases[database].id.clone();
        let correlation = self.new_guid(&format!("loss|{}", id.key()));
        self.servers[server].databases[database].correlation = correlation;
        self.wait_out(server, database, Access::Losing { since: self.now, unreachable });
        self.log_database(server, database, "MakeDatabaseInaccessible", "Started", why);
        if self.world.alerts.old_events {
            self.log_database(server, database, "MakeDatabaseInaccessible", "InProgress", why);
        }
        self.log_health(server, database, false);
    }

    /// Sets a losing state, and when it ends.
    fn wait_out(&mut self, server: usize, database: usize, access: Access) {
        let epoch = self.set_access(server, database, access);
        if let Access::Losing { since, unreachable } = access {
            let timing = &self.world.timing;
            let length =
                if unreachable { f64::from(timing.buffer_hours) * 60.0 } else { f64::from(timing.window_minutes) };
            let at = after_minutes(since, length);
            self.schedule(at, Event::WindowEnds { server, database, epoch });
        }
    }

    fn set_access(&mut self, server: usize, database: usize, access: Access) -> u64 {
        let database = &mut self.servers[server].databases[database];
        database.access = access;
        database.epoch += 1;
        database.epoch
    }

    /// Access is back within the window: the service will bring the database back.
    fn heal(&mut self, server: usize, database: usize, since: Timestamp, unreachable: bool) {
        let epoch = self.set_access(server, database, Access::Healing { since, unreachable });
        let label = format!("heal|{}|{since}", self.servers[server].databases[database].id.key());
        let wait = if unreachable {
            SignedDuration::from_secs(60)
        } else {
            self.draw_minutes(self.world.timing.self_heal, &label)
        };
        self.schedule(add(self.now, wait), Event::HealBegins { server, database, epoch });
    }

    fn end_window(&mut self, server: usize, database: usize) {
        let Access::Losing { since, unreachable } = self.servers[server].databases[database].access else { return };
        if self.key_access(server).is_ok() {
            self.heal(server, database, since, unreachable);
            return;
        }
        self.set_access(server, database, Access::Lost { since });
        let settings = &mut self.servers[server].databases[database].settings;
        settings.tags.clear();
        settings.elastic_pool = None;
        settings.failover_group = None;
        settings.read_scale = false;
        settings.auto_pause_minutes = None;
        settings.pitr_days = None;
        settings.ltr_weekly = None;
        self.log_database(server, database, "MakeDatabaseInaccessible", "Succeeded", "");
        if unreachable {
            self.log_health(server, database, false);
        }
    }

    /// A database begins to come back; how long it takes depends on its size. Answers when it will be there.
    pub(crate) fn begin_return(&mut self, server: usize, database: usize, lost: bool) -> Timestamp {
        let since = match self.servers[server].databases[database].access {
            Access::Losing { since, .. } | Access::Healing { since, .. } | Access::Lost { since } => since,
            Access::ComingBack { since, .. } => since,
            Access::Online => return self.now,
        };
        let epoch = self.set_access(server, database, Access::ComingBack { since, lost });
        self.log_database(server, database, "MakeDatabaseAccessible", "Started", "");
        let size = i64::from(self.servers[server].databases[database].settings.size_gb);
        let at = add(self.now, SignedDuration::from_secs(45 + 2 * size));
        self.schedule(at, Event::BackOnline { server, database, epoch });
        at
    }

    fn finish_return(&mut self, server: usize, database: usize) {
        let Access::ComingBack { since, lost } = self.servers[server].databases[database].access else { return };
        if let Err(why) = self.key_access(server) {
            self.log_database(server, database, "MakeDatabaseAccessible", "Failed", &why.message);
            if lost {
                self.set_access(server, database, Access::Lost { since });
            } else {
                self.wait_out(server, database, Access::Losing { since, unreachable: false });
            }
            self.fail_revalidation(server, why.code, &why.message);
            return;
        }
        self.set_access(server, database, Access::Online);
        self.log_database(server, database, "MakeDatabaseAccessible", "Succeeded", "");
        self.log_health(server, database, true);
    }

    fn fail_revalidation(&mut self, server: usize, code: &'static str, message: &str) {
        let running = self.operations.iter_mut().rev().find(|operation| {
            operation.server == server && operation.change.is_none() && operation.outcome == Outcome::Running
        });
        if let Some(operation) = running {
            operation.outcome = Outcome::Failed { code, message: message.to_owned() };
        }
    }

    /// Lets everybody look again on the second that a key becomes valid or expires.
    pub(crate) fn queue_key_dates(&mut self) {
        let versions = self.vaults.iter().flat_map(|vault| &vault.keys).flat_map(|key| &key.versions);
        let dates: Vec<i64> = versions.flat_map(|version| [version.not_before, version.expires]).flatten().collect();
        for second in dates {
            if let Ok(at) = Timestamp::from_second(second)
                && at > self.now
            {
                self.schedule(at, Event::Touch);
            }
        }
    }
}
