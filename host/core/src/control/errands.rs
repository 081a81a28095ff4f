//! The odd jobs of one bus: at most one errand is under way, and what a
//! person began (discovery, addressing) comes before what happens by itself
//! (measuring resistances, looking for the break of a ring).

use crate::bus::commission::{Commission, Place, Progress, Refusal};
use crate::bus::discover::Discovery;
use crate::bus::errand::{Errand, Outcome};
use crate::bus::master::Master;
use crate::bus::topology::{Cable, RingCheck, RingWatch, locate_in_line};
use crate::bus::wire::{DeviceKind, Found, IoFlags, Led};
use crate::image::{AddressNote, BusWork};
use crate::settings::GuardSettings;

/// See the head of this file.
pub struct Errands {
    /// What belongs where: modules, then devices.
    places: Vec<Place>,
    work: BusWork,
    discovery: Discovery,
    commission: Commission,
    /// Of a ring: its panel's index, and the check of its cable.
    ring: Option<(usize, RingCheck, RingWatch)>,
    checking: bool,
    cable: Cable,
    /// Addresses in cable order, and the replies that each missed in a row.
    order: Vec<u16>,
    missed: Vec<u32>,
    measure: Option<u16>,
    locate: Option<(u16, u8)>,
}

/// Who waits for the outcome of the errand that is chosen next.
enum Chosen {
    Locate,
    Measure,
    Work,
}

impl Errands {
    /// For a bus (from 0) of checked settings.
    pub fn new(settings: &GuardSettings, bus: usize) -> Self {
        let order = settings.modules_of(bus);
        let devices = settings.devices_of(bus);
        let panel = devices.iter().position(|(_, kind)| *kind == DeviceKind::Panel);
        let is_ring = settings.buses.get(bus).is_some_and(|b| b.ring);
        let ring = panel.filter(|_| is_ring).map(|index| {
            (index, RingCheck::new(devices[index].0, order.clone()), RingWatch::default())
        });
        let places = places(settings, bus);
        Self {
            work: BusWork::None,
            discovery: Discovery::default(),
            commission: Commission::new(places.clone()),
            ring,
            checking: false,
            cable: Cable::Whole,
            missed: vec![0; order.len()],
            measure: None,
            locate: None,
            order,
            places,
        }
    }

    /// Somebody gives out addresses.
    pub fn is_commissioning(&self) -> bool {
        matches!(self.work, BusWork::Addressing { .. })
    }

    /// Something that a person had it do goes on.
    pub fn is_busy(&self) -> bool {
        let addressing = self.is_commissioning();
        addressing || matches!(self.work, BusWork::Discovering { .. } | BusWork::LocatingBreak)
    }

    /// What a person had it do.
    pub fn work(&self) -> BusWork {
        self.work
    }

    /// How the cable is.
    pub fn cable(&self) -> Cable {
        self.cable
    }

    /// Stations that the last discovery found.
    pub fn found(&self) -> &[Found] {
        self.discovery.found()
    }

    /// Measure the resistance of this module's block next; false when another
    /// one waits.
    pub fn measure(&mut self, address: u16) -> bool {
        let free = self.measure.is_none();
        self.measure = self.measure.or(Some(address));
        free
    }

    /// Let a lamp show itself for so many seconds.
    pub fn locate(&mut self, address: u16, seconds: u8) {
        self.locate = Some((address, seconds));
    }

    /// Find everybody.
    pub fn discover(&mut self) {
        self.discovery.restart();
        self.work = BusWork::Discovering { searches: 0 };
    }

    /// Give these addresses by button; false when one of them is nobody's.
    pub fn address(&mut self, first: u16, count: u16) -> bool {
        let wanted = first..first.saturating_add(count);
        let places = self.places.iter().filter(|p| wanted.contains(&p.address)).copied();
        if count == 0 || places.clone().count() != usize::from(count) {
            return false;
        }
        self.commission.restart(places);
        let note = AddressNote::Waiting;
        self.work = BusWork::Addressing { next: first, done: 0, of: count, note };
        true
    }

    /// Ask a ring from both ends; false when it is none.
    pub fn locate_break(&mut self) -> bool {
        if self.ring.is_some() {
            self.begin_check();
            self.work = BusWork::LocatingBreak;
        }
        self.ring.is_some()
    }

    /// End whatever a person began.
    pub fn stop(&mut self) {
        self.work = BusWork::None;
    }

    /// Once per cycle, after the scan: take what came of the last errand, look
    /// at the cable, send the next errand.
    pub fn step(&mut self, master: &mut Master) {
        if let Some(outcome) = master.take_outcome() {
            self.take(&outcome);
        }
        self.look_at_cable(master);
        self.send(master);
    }

    /// When the master is idle: the next errand, if the last one has ended. It
    /// may still fit the cycle, so that a discovery takes as many searches as
    /// there is time for. False when there is nothing to go on with.
    pub fn go_on(&mut self, master: &mut Master) -> bool {
        let Some(outcome) = master.take_outcome() else { return false };
        self.take(&outcome);
        self.send(master)
    }

    fn send(&mut self, master: &mut Master) -> bool {
        let Some((errand, chosen)) = self.choose() else { return false };
        let taken = master.errand(errand).is_ok();
        match chosen {
            Chosen::Locate if taken => self.locate = None,
            Chosen::Measure if taken => self.measure = None,
            _ => {}
        }
        taken
    }

    fn choose(&self) -> Option<(Errand, Chosen)> {
        if let Some((address, hold_s)) = self.locate {
            let pattern = if hold_s > 0 { Led::Locate } else { Led::Normal };
            return Some((Errand::Led { address, pattern, hold_s }, Chosen::Locate));
        }
        let work = match self.work {
            BusWork::Discovering { .. } => self.discovery.errand(),
            BusWork::Addressing { .. } => self.commission.errand(),
            _ => None,
        };
        let check = || self.ring.as_ref().filter(|_| self.checking)?.1.errand();
        if let Some(errand) = work.or_else(check) {
            return Some((errand, Chosen::Work));
        }
        Some((Errand::Measure { address: self.measure? }, Chosen::Measure))
    }

    fn take(&mut self, outcome: &Outcome) {
        match self.work {
            BusWork::Discovering { .. } => {
                self.discovery.take(outcome);
                self.work = match self.discovery.is_done() {
                    false => BusWork::Discovering { searches: self.discovery.searches() },
                    true => BusWork::Discovered {
                        incomplete: self.discovery.is_incomplete(),
                        unclear: self.discovery.unclear().len() as u8,
                    },
                };
            }
            BusWork::Addressing { note, .. } => {
                let progress = self.commission.take(outcome);
                let note = progress.map_or(note, |progress| said(progress, note));
                let (done, of) = self.commission.count();
                self.work = match self.commission.place() {
                    None => BusWork::Addressed { count: of as u16 },
                    Some(place) => BusWork::Addressing {
                        next: place.address,
                        done: done as u16,
                        of: of as u16,
                        note,
                    },
                };
            }
            _ => {}
        }
        let Some((_, check, _)) = self.ring.as_mut().filter(|_| self.checking) else { return };
        check.take(outcome);
        if let Some(cable) = check.verdict() {
            (self.cable, self.checking) = (cable, false);
            if self.work == BusWork::LocatingBreak {
                self.work = BusWork::None;
            }
        }
    }

    fn begin_check(&mut self) {
        if let Some((_, check, _)) = &mut self.ring {
            check.restart();
            self.checking = true;
        }
    }

    /// A line tells by who is silent; of a ring the panel sees that it is
    /// open, and then both ends are asked.
    fn look_at_cable(&mut self, master: &Master) {
        let Some((panel, _, watch)) = &mut self.ring else {
            for (missed, module) in self.missed.iter_mut().zip(master.modules()) {
                *missed = module.missed;
            }
            self.cable = locate_in_line(&self.order, &self.missed);
            return;
        };
        let device = master.devices().get(*panel).filter(|d| d.missed == 0);
        let open = device.and_then(|d| Some(d.io?.0.flags.has(IoFlags::LOOP_OPEN)));
        let was_open = watch.is_open();
        let opened = watch.step(open);
        if was_open && !watch.is_open() {
            self.cable = Cable::Whole;
        }
        if opened {
            self.begin_check();
        }
    }
}

/// The note for people; waiting changes nothing that was said before.
fn said(progress: Progress, before: AddressNote) -> AddressNote {
    match progress {
        Progress::Waiting => before,
        Progress::Addressed { .. } => AddressNote::Taken,
        Progress::Refused(refusal) => match refusal {
            Refusal::InUse { .. } => AddressNote::InUse,
            Refusal::WrongType { .. } => AddressNote::WrongType,
            Refusal::AlreadyAddressed { .. } => AddressNote::AlreadyAddressed,
            Refusal::TwoButtons => AddressNote::TwoButtons,
            Refusal::NotConfirmed { .. } => AddressNote::NotConfirmed,
        },
    }
}

/// Every address of a bus and the type that belongs there.
fn places(settings: &GuardSettings, bus: usize) -> Vec<Place> {
    let mut places = Vec::new();
    for string in settings.strings.iter().filter(|s| usize::from(s.bus) == bus + 1) {
        let mut address = string.first_address;
        for run in string.runs() {
            let type_code = run.module.data().code;
            for _ in 0..run.blocks {
                places.push(Place { address, type_code });
                address += 1;
            }
        }
    }
    let devices = settings.devices_of(bus);
    places.extend(
        devices.iter().map(|(address, kind)| Place { address: *address, type_code: kind.code() }),
    );
    places
}
