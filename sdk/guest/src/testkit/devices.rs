//! USB-HID devices and contacts for tests.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::bench::Bench;
use super::fault::Fault;
use super::net::Waited;
use crate::host::{Contact, Contacts, ContactsError, Hid, HidDevice, HidError, Measurement};

/// Age of a stale contact, ms.
const STALE_MS: u64 = 3_600_000;
/// Input reports that the system keeps of a device; what comes then is lost.
const REPORTS_MAX: usize = 64;

/// A HID device.
#[derive(Clone, Debug, Default)]
pub struct BenchHid {
    /// Report descriptor.
    pub descriptor: Vec<u8>,
    /// Vendor id, product id.
    pub ids: (u16, u16),
    /// Input reports to come.
    pub reports: VecDeque<Vec<u8>>,
    /// Feature reports by id, the id as first byte.
    pub features: BTreeMap<u8, Vec<u8>>,
    /// Output reports that it answers, and the input reports that it sends then.
    pub answers: Vec<(Vec<u8>, Vec<Vec<u8>>)>,
    /// Answers that come a poll later.
    pub late: Vec<Vec<u8>>,
    /// Output reports that were written.
    pub written: Vec<Vec<u8>>,
    /// Feature reports that were sent.
    pub set: Vec<Vec<u8>>,
    /// What is wrong with it.
    pub fault: Fault,
}

impl BenchHid {
    /// Its ids: the words of every error begin with them, as on the appliance.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{:04x}:{:04x}", self.ids.0, self.ids.1)
    }

    /// Input reports that it sends by itself.
    pub(super) fn send(&mut self, reports: &[Vec<u8>]) {
        for report in reports.iter().filter(|_| self.fault != Fault::Silent) {
            if self.reports.len() < REPORTS_MAX {
                self.reports.push_back(self.fault.report(report.clone()));
            }
        }
    }

    /// Nothing is to be had of a device that is not there, not even what it
    /// sent before.
    fn here(&mut self) -> Result<&mut Self, HidError> {
        match self.fault {
            Fault::Unplugged => {
                self.reports.clear();
                self.late.clear();
                Err(self.error(HidError::NO_DEVICE, "is not connected; check its cable and power"))
            }
            _ => Ok(self),
        }
    }

    /// The same, of one that answers.
    fn answering(&mut self) -> Result<&mut Self, HidError> {
        let hid = self.here()?;
        match hid.fault {
            Fault::Silent => Err(hid.error(HidError::IO, "does not answer")),
            _ => Ok(hid),
        }
    }

    fn error(&self, code: u32, words: &str) -> HidError {
        HidError::new(code, format!("{} {words}", self.address()))
    }
}

impl Hid for Bench {
    fn open_hid(&mut self, name: &str) -> Result<Box<dyn HidDevice>, HidError> {
        let denied = || HidError::new(HidError::DENIED, format!("{name:?} is not granted"));
        let device = Rc::clone(self.hids.get(name).ok_or_else(denied)?);
        Ok(Box::new(HidHandle { device, waited: Rc::clone(&self.waited) }))
    }
}

struct HidHandle {
    device: Rc<RefCell<BenchHid>>,
    waited: Waited,
}

impl HidDevice for HidHandle {
    fn descriptor(&mut self) -> Result<Vec<u8>, HidError> {
        Ok(self.device.borrow_mut().here()?.descriptor.clone())
    }

    fn ids(&mut self) -> Result<(u16, u16), HidError> {
        Ok(self.device.borrow_mut().here()?.ids)
    }

    fn read(&mut self, timeout_ms: u32) -> Result<Vec<u8>, HidError> {
        let mut device = self.device.borrow_mut();
        let report = device.here()?.reports.pop_front();
        report.ok_or_else(|| {
            self.waited.set(self.waited.get() + u64::from(timeout_ms.min(30_000)));
            device.error(HidError::TIMEOUT, &format!("sent no report within {timeout_ms} ms"))
        })
    }

    fn write(&mut self, report: &[u8]) -> Result<(), HidError> {
        let mut device = self.device.borrow_mut();
        let device = device.answering()?;
        device.written.push(report.to_vec());
        let answer = device.answers.iter().find(|(question, _)| question == report);
        let answer = answer.map(|(_, answer)| answer.clone()).unwrap_or_default();
        match device.fault {
            Fault::Late => device.late.extend(answer),
            _ => device.send(&answer),
        }
        Ok(())
    }

    fn get_feature(&mut self, id: u8, max: u32) -> Result<Vec<u8>, HidError> {
        let mut device = self.device.borrow_mut();
        let Some(report) = device.answering()?.features.get(&id).cloned() else {
            return Err(device.error(HidError::IO, &format!("has no feature report {id:#04x}")));
        };
        let mut report = device.fault.report(report);
        report.truncate(max as usize);
        Ok(report)
    }

    fn set_feature(&mut self, report: &[u8]) -> Result<(), HidError> {
        let id = *report.first().ok_or_else(|| HidError::new(HidError::INVALID, "no report id"))?;
        let mut device = self.device.borrow_mut();
        let device = device.answering()?;
        device.features.insert(id, report.to_vec());
        device.set.push(report.to_vec());
        Ok(())
    }
}

/// What the words of every error about a contact begin with: its device.
pub(super) const CONTACTS: &str = "TEST";

impl Contacts for Bench {
    fn read_contact(&mut self, name: &str) -> Result<Contact, ContactsError> {
        let mut contact = *self.contacts.get(name).ok_or_else(|| not_granted(name))?;
        self.answers(name)?;
        match &self.contacts_fault {
            Fault::Stale(stale) if stale == name => contact.age_ms = STALE_MS,
            Fault::Bounces(loose) if loose == name => {
                contact.closed ^= self.readings.is_multiple_of(2);
                self.readings += 1;
            }
            _ => {}
        }
        Ok(contact)
    }

    fn switch_contact(&mut self, name: &str, closed: bool) -> Result<(), ContactsError> {
        if !self.contacts.contains_key(name) {
            return Err(not_granted(name));
        }
        if self.read_only.contains(name) {
            let detail = format!("{name:?} is granted for reading");
            return Err(ContactsError::new(ContactsError::DENIED, detail));
        }
        self.answers(name)?;
        if self.contacts_fault == Fault::Refused {
            let detail = format!("{CONTACTS}.{name} was not switched: the guard refuses it");
            return Err(ContactsError::new(ContactsError::FAILED, detail));
        }
        self.contacts.insert(name.to_owned(), Contact { closed, age_ms: 0 });
        self.switched.push((name.to_owned(), closed));
        Ok(())
    }

    fn measure_contact(&mut self, name: &str) -> Result<Measurement, ContactsError> {
        let value = *self.signals.get(name).ok_or_else(|| not_granted(name))?;
        self.answers(name)?;
        let is_stale = matches!(&self.contacts_fault, Fault::Stale(stale) if stale == name);
        match value.is_finite() {
            true => Ok(Measurement { value, age_ms: if is_stale { STALE_MS } else { 0 } }),
            false => Err(unknown(name, "its signal is none")),
        }
    }
}

impl Bench {
    fn answers(&self, name: &str) -> Result<(), ContactsError> {
        match self.contacts_fault.hides(name) {
            true => Err(unknown(name, "the device does not answer")),
            false => Ok(()),
        }
    }
}

fn unknown(name: &str, words: &str) -> ContactsError {
    ContactsError::new(ContactsError::UNKNOWN, format!("{CONTACTS}.{name}: {words}"))
}

fn not_granted(name: &str) -> ContactsError {
    ContactsError::new(ContactsError::DENIED, format!("{name:?} is not granted"))
}

#[cfg(test)]
mod tests {
    use super::super::fault::{At, Damage};
    use super::*;

    fn hid() -> (Rc<RefCell<BenchHid>>, Box<dyn HidDevice>) {
        let mut bench = Bench::default();
        let device = BenchHid { ids: (0x51d, 2), ..BenchHid::default() };
        let device = Rc::new(RefCell::new(device));
        bench.hids.insert("ups".into(), Rc::clone(&device));
        let handle = bench.open_hid("ups").unwrap();
        (device, handle)
    }

    #[test]
    fn a_device_comes_and_goes_under_a_good_handle() {
        let (device, mut hid) = hid();
        assert_eq!(hid.read(10).unwrap_err().code, HidError::TIMEOUT);
        hid.set_feature(&[7, 1]).unwrap();
        assert_eq!(hid.get_feature(7, 9).unwrap(), [7, 1]);
        assert_eq!(hid.get_feature(8, 9).unwrap_err().code, HidError::IO);
        device.borrow_mut().send(&[vec![1, 2]]);
        device.borrow_mut().fault = Fault::Unplugged;
        let gone = hid.ids().unwrap_err();
        assert_eq!(gone.code, HidError::NO_DEVICE);
        assert!(gone.detail.starts_with("051d:0002 "), "{gone}");
        assert!(hid.write(&[1]).is_err() && device.borrow().written.is_empty());
        device.borrow_mut().fault = Fault::None;
        assert_eq!(hid.ids().unwrap(), (0x51d, 2));
        assert_eq!(hid.read(10).unwrap_err().code, HidError::TIMEOUT, "what it sent is gone");
        device.borrow_mut().fault = Fault::Silent;
        device.borrow_mut().send(&[vec![1, 2]]);
        assert_eq!(hid.read(10).unwrap_err().code, HidError::TIMEOUT);
        assert_eq!(hid.get_feature(7, 9).unwrap_err().code, HidError::IO);
    }

    #[test]
    fn reports_are_damaged_one_by_one() {
        let (device, mut hid) = hid();
        hid.set_feature(&[7, 1]).unwrap();
        device.borrow_mut().fault = Fault::Damaged(At::Report(vec![7, 1]), Damage::Cut(1));
        device.borrow_mut().send(&[vec![7, 1], vec![6, 1]]);
        assert_eq!(hid.get_feature(7, 9).unwrap(), [7]);
        assert_eq!(hid.read(1).unwrap(), [7]);
        assert_eq!(hid.read(1).unwrap(), [6, 1]);
    }

    #[test]
    fn an_output_report_is_answered_at_once_late_or_by_nobody() {
        let (device, mut hid) = hid();
        device.borrow_mut().answers.push((vec![0, 1], vec![vec![0, 9]]));
        hid.write(&[0, 1]).unwrap();
        hid.write(&[0, 2]).unwrap();
        assert_eq!(hid.read(1).unwrap(), [0, 9]);
        assert!(hid.read(1).is_err(), "the other was no question");
        device.borrow_mut().fault = Fault::Late;
        hid.write(&[0, 1]).unwrap();
        assert_eq!(hid.read(1).unwrap_err().code, HidError::TIMEOUT);
        assert_eq!(device.borrow().late, [[0, 9]]);
        device.borrow_mut().fault = Fault::Silent;
        assert_eq!(hid.write(&[0, 1]).unwrap_err().code, HidError::IO);
    }

    #[test]
    fn contacts_are_read_switched_and_fail_as_the_test_wants() {
        let mut bench = Bench::default();
        assert_eq!(bench.switch_contact("out", true).unwrap_err().code, ContactsError::DENIED);
        for name in ["out", "in"] {
            bench.contacts.insert(name.into(), Contact { closed: false, age_ms: 9 });
        }
        bench.switch_contact("out", true).unwrap();
        assert!(bench.read_contact("out").unwrap().closed);
        assert_eq!(bench.switched, [("out".to_owned(), true)]);
        bench.read_only.insert("out".into());
        assert_eq!(bench.switch_contact("out", false).unwrap_err().code, ContactsError::DENIED);
        bench.read_only.clear();
        bench.contacts_fault = Fault::Refused;
        let refused = bench.switch_contact("out", false).unwrap_err();
        assert!(refused.code == ContactsError::FAILED && refused.detail.starts_with("TEST.out"));
        bench.contacts_fault = Fault::Unknown("in".into());
        assert_eq!(bench.read_contact("in").unwrap_err().code, ContactsError::UNKNOWN);
        assert!(bench.read_contact("out").is_ok());
        bench.contacts_fault = Fault::Stale("in".into());
        assert_eq!(bench.read_contact("in").unwrap().age_ms, STALE_MS);
        bench.contacts_fault = Fault::Bounces("in".into());
        let levels: Vec<_> = (0..4).map(|_| bench.read_contact("in").unwrap().closed).collect();
        assert_eq!(levels, [true, false, true, false]);
        bench.contacts_fault = Fault::Silent;
        assert!(bench.read_contact("out").is_err());
    }

    #[test]
    fn signals_are_measured() {
        let mut bench = Bench::default();
        bench.signals = BTreeMap::from([("warm".into(), 21.5), ("torn".into(), f64::NAN)]);
        assert_eq!(bench.measure_contact("warm").unwrap().value, 21.5);
        assert_eq!(bench.measure_contact("torn").unwrap_err().code, ContactsError::UNKNOWN);
        assert_eq!(bench.measure_contact("out").unwrap_err().code, ContactsError::DENIED);
        bench.contacts_fault = Fault::Stale("warm".into());
        assert_eq!(bench.measure_contact("warm").unwrap().age_ms, STALE_MS);
    }
}
