//! A series string: the Kirchhoff equations of facts/battery-science.md §2.3,
//! the thermal coupling of §2.7.
//!
//! # Terms
//! A *place* is a block with its module's terminals. Each module draws its own
//! supply current and, at duty d, the bypass current d·V/R_b from its block.
//! The *room* surrounds the cabinet, the cabinet's *air* the blocks.

use super::block::Block;
use super::breaker::Breaker;
use super::fault::BlockFault;
use super::supply::Source;

/// Longest step of the integration, s: the set is stiff (§2.3, numerics).
pub const STEP_MAX_S: f64 = 0.5;
/// Above this voltage across its terminals, in either direction, a module's
/// fuse blows, V (§1.1).
const FUSE_V: f64 = 150.0;
/// A stable float exists only up to this rise over the room, K (§2.7).
const STABLE_RISE_K: f64 = 14.4;
/// Seals and case of a block give way at this temperature, °C: the damage is
/// done, cooling does not mend it.
pub const LOST_C: f64 = 80.0;

/// A block in its string.
#[derive(Clone, Debug)]
pub struct Place {
    block: Block,
    module_a: f64,
    fuse_blown: bool,
    duty: f64,
    volts: f64,
    amps: f64,
}

impl Place {
    /// A block whose module draws `module_a` for itself.
    #[must_use]
    pub fn new(block: Block, module_a: f64) -> Self {
        let volts = block.source_v();
        Self { block, module_a, fuse_blown: false, duty: 0.0, volts, amps: 0.0 }
    }

    /// The block.
    #[must_use]
    pub fn block(&self) -> &Block {
        &self.block
    }

    /// Voltage across the block's terminals, V.
    #[must_use]
    pub fn volts(&self) -> f64 {
        self.volts
    }

    /// Current into the block, A.
    #[must_use]
    pub fn amps(&self) -> f64 {
        self.amps
    }

    /// Bypass that its module applies, 0 … 1.
    #[must_use]
    pub fn duty(&self) -> f64 {
        self.duty
    }

    /// The module's fuse is gone: it measures nothing and bypasses nothing.
    #[must_use]
    pub fn is_fuse_blown(&self) -> bool {
        self.fuse_blown
    }

    /// What the module takes beside the bypass, A. Across a gap there is
    /// nothing to take it from.
    #[must_use]
    pub fn draw_a(&self) -> f64 {
        if self.fuse_blown || self.block.is_open() { 0.0 } else { self.module_a }
    }

    fn bypass(&self) -> f64 {
        if self.fuse_blown { 0.0 } else { self.duty }
    }
}

/// How heat gets around.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Surroundings {
    /// Room temperature, °C.
    pub room_c: f64,
    /// From the cabinet's air to the room, W/K; infinite without a cabinet.
    pub cabinet_w_per_k: f64,
    /// Between neighbouring blocks, W/K.
    pub neighbour_w_per_k: f64,
}

impl Surroundings {
    /// Blocks on a rack in a room, apart from each other.
    #[must_use]
    pub fn open(room_c: f64) -> Self {
        Self { room_c, cabinet_w_per_k: f64::INFINITY, neighbour_w_per_k: 0.0 }
    }
}

/// Thermal runaway, as the plant knows it and nobody outside.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Runaway {
    /// Highest rise of a block over the room so far, K.
    pub worst_rise_k: f64,
    /// When a block first stood above every stable rise and its float current
    /// still heated it, seconds of the string's life: from here it goes on by
    /// itself until somebody opens the breaker.
    pub unstable_at_s: Option<f64>,
    /// When a block was lost.
    pub lost_at_s: Option<f64>,
}

/// Blocks in series.
#[derive(Clone, Debug)]
pub struct PlantString {
    places: Vec<Place>,
    bypass_ohm: f64,
    surroundings: Surroundings,
    /// The room goes there, °C, at this rate, K/s.
    ramp: Option<(f64, f64)>,
    air_c: f64,
    breaker: Breaker,
    /// (tap, Ω): leakage from below this place to the negative pole's ground.
    ground: Option<(usize, f64)>,
    leak_a: f64,
    amps: f64,
    elapsed_s: f64,
    runaway: Runaway,
}

impl PlantString {
    /// A string with its breaker closed and every bypass off.
    #[must_use]
    pub fn new(places: Vec<Place>, bypass_ohm: f64, surroundings: Surroundings) -> Self {
        Self {
            places,
            bypass_ohm,
            air_c: surroundings.room_c,
            surroundings,
            ramp: None,
            breaker: Breaker::default(),
            ground: None,
            leak_a: 0.0,
            amps: 0.0,
            elapsed_s: 0.0,
            runaway: Runaway::default(),
        }
    }

    /// The blocks in order, from the positive pole.
    #[must_use]
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// Current into the string, A; negative while it feeds the load.
    #[must_use]
    pub fn amps(&self) -> f64 {
        self.amps
    }

    /// Sum of the block voltages, V.
    #[must_use]
    pub fn volts(&self) -> f64 {
        self.places.iter().map(Place::volts).sum()
    }

    /// Voltage between the string's ends: the blocks and the links between
    /// them, V.
    #[must_use]
    pub fn terminal_v(&self) -> f64 {
        self.volts() + self.amps * self.link_ohm()
    }

    /// Current to ground, A.
    #[must_use]
    pub fn leak_a(&self) -> f64 {
        self.leak_a
    }

    /// Room and cabinet.
    #[must_use]
    pub fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }

    /// Temperature of the air around the blocks, °C.
    #[must_use]
    pub fn air_c(&self) -> f64 {
        self.air_c
    }

    /// What happened to it thermally.
    #[must_use]
    pub fn runaway(&self) -> &Runaway {
        &self.runaway
    }

    /// Its breaker.
    #[must_use]
    pub fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// Its breaker, to trip, close or break.
    pub fn breaker_mut(&mut self) -> &mut Breaker {
        &mut self.breaker
    }

    /// Change the room temperature, °C, evenly over `seconds`.
    pub fn set_ambient(&mut self, celsius: f64, seconds: f64) {
        let k_per_s = (celsius - self.surroundings.room_c).abs() / seconds;
        self.ramp = (seconds > 0.0).then_some((celsius, k_per_s));
        if self.ramp.is_none() {
            self.surroundings.room_c = celsius;
        }
    }

    /// Leakage from the negative end of a place to ground, Ω; `None`: none. The
    /// negative pole is the other path to ground.
    pub fn set_ground_fault(&mut self, fault: Option<(usize, f64)>) {
        self.ground = fault.map(|(tap, ohm)| (tap, ohm.max(1.0)));
    }

    /// Set the bypass of one place, clamped to 0 … 1, from the next step on.
    /// A place that does not exist is ignored.
    pub fn set_duty(&mut self, place: usize, duty: f64) {
        if let Some(place) = self.places.get_mut(place) {
            place.duty = duty.clamp(0.0, 1.0);
        }
    }

    /// Break a block; one that does not exist is ignored.
    pub fn inject(&mut self, place: usize, fault: BlockFault) {
        if let Some(place) = self.places.get_mut(place) {
            place.block.inject(fault);
        }
    }

    /// Mend a block and its module's fuse.
    pub fn mend(&mut self, place: usize) {
        if let Some(place) = self.places.get_mut(place) {
            place.block.mend();
            place.fuse_blown = false;
        }
    }

    /// Blow a module's fuse.
    pub fn blow_fuse(&mut self, place: usize) {
        if let Some(place) = self.places.get_mut(place) {
            place.fuse_blown = true;
        }
    }

    /// The string behind its terminals.
    pub(super) fn source(&self) -> Source {
        let (mut volts, mut ohm) = (0.0, self.link_ohm());
        for (index, place) in self.places.iter().enumerate() {
            let share = self.share(place);
            let block_ohm = place.block.ohm();
            volts += share * (place.block.source_v() - self.aside_a(index) * block_ohm);
            ohm += share * block_ohm;
        }
        Source { volts, ohm }
    }

    /// Carry this current now: voltages and currents that satisfy Kirchhoff.
    pub(super) fn carry(&mut self, amps: f64) {
        self.amps = amps;
        for index in 0..self.places.len() {
            let share = self.share(&self.places[index]);
            let net_a = amps - self.aside_a(index);
            let place = &mut self.places[index];
            place.volts = share * (place.block.source_v() + net_a * place.block.ohm());
            place.amps = net_a - place.bypass() * place.volts / self.bypass_ohm;
            place.fuse_blown |= place.volts.abs() > FUSE_V;
        }
        self.leak_a = self.ground.map_or(0.0, |(tap, ohm)| {
            self.places.iter().skip(tap + 1).map(Place::volts).sum::<f64>() / ohm
        });
    }

    /// Let `dt_s` seconds (at most [`STEP_MAX_S`]) pass with the currents that
    /// it carries.
    pub(super) fn step(&mut self, dt_s: f64) {
        self.breaker.step(dt_s);
        self.move_room(dt_s);
        self.air_c = self.cabinet_air_c();
        for place in &mut self.places {
            place.block.step(place.amps, dt_s, self.air_c);
        }
        self.conduct(dt_s);
        self.elapsed_s += dt_s;
        self.watch();
    }

    /// a_k of §2.3: the voltage divider of resistance and bypass.
    fn share(&self, place: &Place) -> f64 {
        1.0 / (1.0 + place.bypass() * place.block.ohm() / self.bypass_ohm)
    }

    /// What does not go through a block but beside it, bypass apart: its
    /// module's draw and, below the tap, the leakage.
    fn aside_a(&self, index: usize) -> f64 {
        let leaks = self.ground.is_some_and(|(tap, _)| index > tap);
        self.places[index].draw_a() + if leaks { self.leak_a } else { 0.0 }
    }

    fn link_ohm(&self) -> f64 {
        self.places.iter().map(|place| place.block.condition().link_ohm).sum()
    }

    fn move_room(&mut self, dt_s: f64) {
        if let Some((target_c, k_per_s)) = self.ramp {
            let room_c = &mut self.surroundings.room_c;
            let left_k = target_c - *room_c;
            *room_c += left_k.signum() * (k_per_s * dt_s).min(left_k.abs());
            if left_k == 0.0 {
                self.ramp = None;
            }
        }
    }

    /// The air's temperature at which as much heat leaves the cabinet as the
    /// blocks give off; air has no heat capacity to speak of.
    fn cabinet_air_c(&self) -> f64 {
        let (room_c, to_room) = (self.surroundings.room_c, self.surroundings.cabinet_w_per_k);
        if to_room.is_infinite() {
            return room_c;
        }
        let (mut heat, mut conductance) = (to_room * room_c, to_room);
        for place in &self.places {
            let cooling = place.block.condition().params.cooling_w_per_k;
            heat += cooling * place.block.celsius();
            conductance += cooling;
        }
        heat / conductance
    }

    /// Heat from neighbour to neighbour.
    fn conduct(&mut self, dt_s: f64) {
        let w_per_k = self.surroundings.neighbour_w_per_k;
        if w_per_k <= 0.0 {
            return;
        }
        for index in 1..self.places.len() {
            let (left, right) = (&self.places[index - 1].block, &self.places[index].block);
            let joules = w_per_k * (left.celsius() - right.celsius()) * dt_s;
            self.places[index - 1].block.absorb(-joules);
            self.places[index].block.absorb(joules);
        }
    }

    fn watch(&mut self) {
        let now_s = self.elapsed_s;
        let runaway = &mut self.runaway;
        for Place { block, .. } in &self.places {
            let rise_k = block.celsius() - self.surroundings.room_c;
            runaway.worst_rise_k = runaway.worst_rise_k.max(rise_k);
            let feeds_itself = block.net_w() > 0.0 && block.float_w() > block.net_w();
            if rise_k >= STABLE_RISE_K && feeds_itself && self.amps > 0.0 {
                runaway.unstable_at_s.get_or_insert(now_s);
            }
            if block.celsius() >= LOST_C {
                runaway.lost_at_s.get_or_insert(now_s);
            }
        }
    }
}
