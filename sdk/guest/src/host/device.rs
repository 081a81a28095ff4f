//! Devices besides serial ones: USB-HID (`evenkeel:hid`) and contacts
//! (`evenkeel:contacts`).

/// USB-HID devices under the logical names of the manifest.
pub trait Hid {
    /// The device that the administrator granted under `name`.
    ///
    /// # Errors
    /// [`HidError`] when it is not granted.
    fn open_hid(&mut self, name: &str) -> Result<Box<dyn HidDevice>, HidError>;
}

/// One HID device. Reports are whole, with their report id as first byte (0
/// where the device has none).
pub trait HidDevice {
    /// The report descriptor (USB HID 1.11 §6.2.2), at most 4,096 bytes.
    ///
    /// # Errors
    /// [`HidError`].
    fn descriptor(&mut self) -> Result<Vec<u8>, HidError>;

    /// Vendor id, product id.
    ///
    /// # Errors
    /// [`HidError`].
    fn ids(&mut self) -> Result<(u16, u16), HidError>;

    /// The next input report, within 30,000 ms; 0 asks what is there.
    ///
    /// # Errors
    /// [`HidError`]. A device that was unplugged is [`HidError::NO_DEVICE`]
    /// until it is there again: the handle stays good.
    fn read(&mut self, timeout_ms: u32) -> Result<Vec<u8>, HidError>;

    /// Send an output report.
    ///
    /// # Errors
    /// [`HidError`].
    fn write(&mut self, report: &[u8]) -> Result<(), HidError>;

    /// A feature report of at most `max` bytes.
    ///
    /// # Errors
    /// [`HidError`].
    fn get_feature(&mut self, id: u8, max: u32) -> Result<Vec<u8>, HidError>;

    /// Send a feature report.
    ///
    /// # Errors
    /// [`HidError`].
    fn set_feature(&mut self, report: &[u8]) -> Result<(), HidError>;
}

/// Contacts under the logical names of the manifest.
pub trait Contacts {
    /// An input or output as it was last read.
    ///
    /// # Errors
    /// [`ContactsError`].
    fn read_contact(&mut self, name: &str) -> Result<Contact, ContactsError>;

    /// Switch an output; returns when the guard has acknowledged it. Each relay
    /// may be switched ten times at once and then once a minute. Relays that
    /// protection uses are refused.
    ///
    /// # Errors
    /// [`ContactsError`].
    fn switch_contact(&mut self, name: &str, closed: bool) -> Result<(), ContactsError>;

    /// An analogue input as it was last read. A broken wire or sensor is
    /// [`ContactsError::UNKNOWN`], as a silent device is.
    ///
    /// # Errors
    /// [`ContactsError`].
    fn measure_contact(&mut self, name: &str) -> Result<Measurement, ContactsError>;
}

/// A contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Closed, or open.
    pub closed: bool,
    /// Milliseconds since it was read.
    pub age_ms: u64,
}

/// What an analogue input reads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measurement {
    /// On the scale of the guard's settings; A for a current sensor.
    pub value: f64,
    /// Milliseconds since it was read.
    pub age_ms: u64,
}

error! {
    /// Why a HID device could not be used.
    HidError {
        /// The name is not granted to this plugin.
        DENIED = 1,
        /// The device is absent; it is retried at the next call.
        NO_DEVICE = 2,
        /// No report before the deadline.
        TIMEOUT = 3,
        /// A parameter is out of range.
        INVALID = 4,
        /// The operating system reported an error.
        IO = 5,
        /// The plugin's budget for this interface is used up.
        QUOTA = 6,
    }
}

error! {
    /// Why a contact could not be used.
    ContactsError {
        /// The name is not granted, or not for this: an input cannot be
        /// switched, an output only where the grant says so.
        DENIED = 1,
        /// There is no such contact now: its device does not answer.
        UNKNOWN = 2,
        /// The guard refused or did not answer.
        FAILED = 3,
        /// Switched more often than a relay bears, or read too often.
        QUOTA = 4,
    }
}
