//! Which shards are this instance's, as the consumer group and the placement record say.

use tracing::{debug, info, warn};

use super::{At, Event, Released, Run, Seat, Slot};
use crate::sink::kafka::group::Holders;
use crate::sink::kafka::placement::Placement;

/// So many looks at the record in a row must say that it is behind this configuration: one may have met an old state of it.
const LOOKS: u32 = 2;

impl Run {
    pub(super) fn assign(&mut self, partitions: &[i32]) {
        self.owned.extend(partitions);
        for partition in partitions {
            let Some(number) =
                self.slots.iter().position(|slot| slot.starter.partition() == Some(*partition))
            else {
                debug!(partition, "assigned, and no shard of this configuration");
                continue;
            };
            let slot = &mut self.slots[number];
            info!(shard = %slot.starter.figures.id, "assigned");
            slot.is_ours = true;
            slot.starter.figures.shard.health.assigned();
            if slot.at == At::Pause {
                // Nobody else has it, and it is not open yet.
                slot.starter.figures.shard.health.opening(slot.starter.plan.batch.interval);
            }
            self.go_on(number);
        }
        self.take_seat();
    }

    /// Has shards let go: in order, or at once where nobody waits for that.
    pub(super) fn release(&mut self, partitions: &[i32], released: Option<&Released>) {
        self.owned.retain(|owned| !partitions.contains(owned));
        let is_meant = |partition: Option<i32>| partition.is_some_and(|own| partitions.contains(&own));
        for slot in self.slots.iter_mut().filter(|slot| is_meant(slot.starter.partition())) {
            slot.is_ours = false;
            let orders = &slot.starter.orders;
            let id = &slot.starter.figures.id;
            match released {
                Some(released) => {
                    info!(shard = %id, "revoked: what is queued is committed, then another instance has it");
                    slot.awaited.push(released.clone());
                }
                None => {
                    warn!(shard = %id, "lost: it ends at once; what is not committed comes again elsewhere");
                    orders.abandon.cancel();
                }
            }
            orders.stop.cancel();
            if slot.at != At::Work {
                slot.awaited.clear();
            }
            if slot.at != At::Work || released.is_none() {
                // One that was lost is not ours to speak of, also while it ends.
                slot.starter.figures.shard.health.standby();
            }
        }
        self.take_seat();
    }

    /// Heeds what the record says by now: where the number of a stream's shards was changed by a later configuration, they let
    /// go. They go on at their new places where the number is that of this configuration again.
    pub(super) fn place_anew(&mut self, placement: &Placement) {
        if let Some(slot) = self.slots.iter().find(|slot| slot.starter.is_ahead_of(placement)) {
            self.ahead += 1;
            if self.ahead < LOOKS || self.drain.is_cancelled() {
                return;
            }
            // As after the record was lost. The next start announces this one again.
            let stream = &slot.starter.figures.id.stream;
            self.heed(Event::TakenOver(format!("of an earlier configuration (stream {stream})")));
            return;
        }
        self.ahead = 0;
        self.placement.renew(placement);
        for number in 0..self.slots.len() {
            let slot = &mut self.slots[number];
            let starter = &mut slot.starter;
            let id = starter.figures.id.clone();
            // A record that was lost says nothing until it is written again.
            if !placement.is_shared(&id.stream) {
                continue;
            }
            let place = placement.place(&id, starter.stream.shards);
            let was = std::mem::replace(&mut starter.place, place);
            if starter.partition() == was.map(|was| was.partition) {
                continue;
            }
            slot.superseded = slot.starter.why_superseded();
            slot.is_ours = slot.starter.partition().is_some_and(|own| self.owned.contains(&own));
            if slot.is_ours {
                slot.starter.figures.shard.health.assigned();
            }
            match &slot.superseded {
                Some(reason) => warn!(shard = %id, reason, "superseded: what is queued is committed"),
                None => info!(shard = %id, "the stream was placed anew; it goes on there"),
            }
            slot.starter.orders.stop.cancel();
            if let (At::Pause, Some(reason)) = (slot.at, &slot.superseded) {
                slot.starter.figures.shard.health.superseded(reason);
            }
            self.go_on(number);
        }
        self.take_seat();
    }

    /// Tells of each shard that is not this instance's who has it.
    pub(super) fn tell_holders(&self, holders: &Holders) {
        let own = self.seat.as_ref().map(Seat::instance_id);
        for Slot { starter, .. } in &self.slots {
            let holder = starter.partition().and_then(|partition| holders.get(&partition));
            // The group may have given this instance a shard of which it has not heard yet.
            let other = holder.filter(|holder| Some(&***holder) != own);
            starter.figures.shard.health.held_by(other.cloned());
        }
    }

    /// Keeps a place in the group where there is a shard to run, and tells which of those that it was given stand still.
    pub(super) fn take_seat(&mut self) {
        let Some(seat) = &self.seat else { return };
        seat.set_idle(self.slots.iter().all(|slot| slot.superseded.is_some()));
        let placement = self.placement.get();
        let is_known = |partition: &i32| {
            self.slots.iter().any(|slot| slot.starter.partition() == Some(*partition))
                || placement.is_past(*partition)
        };
        let unknown: Vec<i32> = self.owned.iter().copied().filter(|partition| !is_known(partition)).collect();
        if !unknown.is_empty() && unknown != seat.get().unknown {
            warn!(
                partitions = ?unknown,
                "this instance was given shards that its configuration does not have, and that stand still: those of a stream \
                 which is gone, or which only other instances know, or of a later configuration. Give all instances the same one"
            );
        }
        seat.set_unknown(unknown);
    }
}
