//! Every interface of the host, through the tape: what each function answers is
//! recorded, or given back as it was recorded.

use super::Taped;
use crate::caps::clock::Clock;
use crate::caps::commands::{Commands, Offers};
use crate::caps::config::Config;
use crate::caps::contacts::Contacts;
use crate::caps::crypto::{Crypto, Secret};
use crate::caps::events::Events;
use crate::caps::hid::{Device, Hid};
use crate::caps::kv::Kv;
use crate::caps::log::Log;
use crate::caps::net_client::{Connection, Datagrams, NetClient};
use crate::caps::net_server::NetServer;
use crate::caps::points::Points;
use crate::caps::random::Random;
use crate::caps::reader::Reader;
use crate::caps::serial::{Port, Serial};
use crate::caps::snmp_client::{Agent, Snmp};
use crate::plugin::bindings::clock::clock;
use crate::plugin::bindings::commands::{commands, offers};
use crate::plugin::bindings::config::config;
use crate::plugin::bindings::contacts::contacts;
use crate::plugin::bindings::crypto::crypto;
use crate::plugin::bindings::events::{events, types};
use crate::plugin::bindings::hid::hid;
use crate::plugin::bindings::kv::kv;
use crate::plugin::bindings::log::log;
use crate::plugin::bindings::net_client::net_client;
use crate::plugin::bindings::net_server::net_server;
use crate::plugin::bindings::points::{points, reader};
use crate::plugin::bindings::random::random;
use crate::plugin::bindings::serial::serial;
use crate::plugin::bindings::snmp_client::snmp_client;
use wasmtime::component::Resource;

/// Each function of an interface, through the tape.
macro_rules! taped {
    ($type:ty: $bound:path {
        $(fn $name:ident($($arg:ident: $argument:ty),*) -> $answer:ty;)*
    }) => {
        impl $bound for Taped<'_, $type> {
            $(fn $name(&mut self, $($arg: $argument),*) -> $answer {
                let host = &mut *self.host;
                let call = concat!(stringify!($type), ".", stringify!($name));
                self.tape.host(call, || <$type as $bound>::$name(host, $($arg),*))
            })*
        }
    };
}

/// The same for functions that may end in a trap.
macro_rules! taped_trappable {
    ($type:ty: $bound:path {
        $(fn $name:ident($($arg:ident: $argument:ty),*) -> $answer:ty;)*
    }) => {
        impl $bound for Taped<'_, $type> {
            $(fn $name(&mut self, $($arg: $argument),*) -> wasmtime::Result<$answer> {
                let call = concat!(stringify!($type), ".", stringify!($name));
                self.trappable(call, |host| <$type as $bound>::$name(host, $($arg),*))
            })*
        }
    };
}

/// The same for a resource: the function that opens one, its methods, those
/// that compute with a secret, and its end. The number of a handle stands for
/// the thing.
macro_rules! taped_resource {
    ($type:ty: $bound:path, $resource:ident or $error:ty {
        static fn $open:ident($($opened:ident: $opening:ty),*);
        $(fn $name:ident($($arg:ident: $argument:ty),*) -> $answer:ty;)*
        $(withheld fn $secret:ident($($given:ident: $giving:ty),*);)*
    }) => {
        impl $bound for Taped<'_, $type> {
            fn $open(
                &mut self,
                $($opened: $opening),*
            ) -> wasmtime::Result<Result<Resource<$resource>, $error>> {
                let call = concat!(stringify!($resource), ".", stringify!($open));
                let opened = self.trappable(call, |host| {
                    let opened = <$type as $bound>::$open(host, $($opened),*)?;
                    Ok(opened.map(|resource| resource.rep()))
                });
                Ok(opened?.map(Resource::new_own))
            }

            $(fn $name(
                &mut self,
                resource: Resource<$resource>,
                $($arg: $argument),*
            ) -> wasmtime::Result<Result<$answer, $error>> {
                let call = concat!(stringify!($resource), ".", stringify!($name));
                self.trappable(call, |host| <$type as $bound>::$name(host, resource, $($arg),*))
            })*

            $(fn $secret(
                &mut self,
                resource: Resource<$resource>,
                $($given: $giving),*
            ) -> wasmtime::Result<Result<Vec<u8>, $error>> {
                let call = concat!(stringify!($resource), ".", stringify!($secret));
                self.withheld(call, |host| <$type as $bound>::$secret(host, resource, $($given),*))
            })*

            fn drop(&mut self, resource: Resource<$resource>) -> wasmtime::Result<()> {
                let call = concat!(stringify!($resource), ".drop");
                self.trappable(call, |host| <$type as $bound>::drop(host, resource))
            }
        }
    };
}

taped! { Log: log::Host {
    fn write(level: log::Level, message: String) -> ();
}}
taped! { Clock: clock::Host {
    fn now_ms() -> u64;
    fn sleep_ms(ms: u32) -> ();
    fn utc_ms() -> Option<u64>;
}}
taped! { Config: config::Host {
    fn get(name: String) -> Option<config::Value>;
}}
taped! { Random: random::Host {
    fn bytes(len: u32) -> Vec<u8>;
}}
taped! { Kv: kv::Host {
    fn get(key: String) -> Result<Option<Vec<u8>>, kv::Error>;
    fn set(key: String, value: Vec<u8>) -> Result<(), kv::Error>;
    fn delete(key: String) -> Result<(), kv::Error>;
    fn keys() -> Result<Vec<String>, kv::Error>;
}}
taped! { Points: points::Host {
    fn publish(updates: Vec<points::Update>) -> Result<(), points::Error>;
    fn lost(reason: String) -> ();
}}
taped! { Reader: reader::Host {
    fn get(names: Vec<String>) -> Result<Vec<Option<reader::Point>>, reader::Error>;
    fn list(
        prefix: String, after: Option<String>, max: u32
    ) -> Result<Vec<reader::Point>, reader::Error>;
}}
taped! { Offers: offers::Host {
    fn announce(list: Vec<offers::Offer>) -> Result<(), offers::Error>;
}}
taped! { Commands: commands::Host {
    fn list() -> Vec<commands::Command>;
    fn run(target: String, name: String, value: Option<String>) -> Result<(), commands::Error>;
}}
taped! { Contacts: contacts::Host {
    fn read(name: String) -> Result<contacts::Reading, contacts::Error>;
    fn switch(name: String, closed: bool) -> Result<(), contacts::Error>;
    fn measure(name: String) -> Result<contacts::Measurement, contacts::Error>;
}}
taped! { Events: events::Host {
    fn since(sequence: u64, max: u32) -> Result<Vec<types::Event>, events::Error>;
    fn raise(severity: u32, kind: String, text: String) -> Result<(), events::Error>;
}}
taped! { NetServer: net_server::Host {
    fn send(connection: u64, data: Vec<u8>) -> Result<(), net_server::Error>;
    fn close(connection: u64) -> ();
}}

taped! { Serial: serial::Host {} }
taped_resource! { Serial: serial::HostPort, Port or serial::Error {
    static fn open(name: String, line: serial::Line);
    fn transact(
        tx: Vec<u8>, end: serial::ReplyEnd, max: u32, timeout_ms: u32
    ) -> Vec<u8>;
    fn send(tx: Vec<u8>, timeout_ms: u32) -> ();
    fn read_frame(end: serial::ReplyEnd, max: u32, timeout_ms: u32) -> Vec<u8>;
    fn set_lines(dtr: bool, rts: bool) -> ();
    fn lines() -> (bool, bool, bool, bool);
    fn send_break(ms: u32) -> ();
}}

taped! { Hid: hid::Host {} }
taped_resource! { Hid: hid::HostDevice, Device or hid::Error {
    static fn open(name: String);
    fn descriptor() -> Vec<u8>;
    fn ids() -> (u16, u16);
    fn read(timeout_ms: u32) -> Vec<u8>;
    fn write(report: Vec<u8>) -> ();
    fn get_feature(id: u8, max: u32) -> Vec<u8>;
    fn set_feature(report: Vec<u8>) -> ();
}}

taped_trappable! { Crypto: crypto::Host {
    fn digest(algorithm: u32, data: Vec<u8>) -> Result<Vec<u8>, crypto::Error>;
    fn ed25519_verify(public_key: Vec<u8>, message: Vec<u8>, signature: Vec<u8>) -> bool;
}}
taped_resource! { Crypto: crypto::HostSecret, Secret or crypto::Error {
    static fn open(name: String);
    withheld fn hmac(algorithm: u32, data: Vec<u8>);
    withheld fn digest(algorithm: u32, before: Vec<u8>, after: Vec<u8>);
}}

taped_trappable! { NetClient: net_client::Host {
    fn transport_of(endpoint: String) -> Result<net_client::Transport, net_client::Error>;
}}
taped_resource! { NetClient: net_client::HostConnection, Connection or net_client::Error {
    static fn connect(endpoint: String, timeout_ms: u32);
    fn write(data: Vec<u8>, timeout_ms: u32) -> ();
    fn read(max: u32, timeout_ms: u32) -> Vec<u8>;
}}
taped_resource! { NetClient: net_client::HostDatagrams, Datagrams or net_client::Error {
    static fn open(endpoint: String);
    fn send(data: Vec<u8>) -> ();
    fn receive(timeout_ms: u32) -> Vec<u8>;
}}

taped! { Snmp: snmp_client::Host {} }
taped_resource! { Snmp: snmp_client::HostAgent, Agent or snmp_client::Error {
    static fn open(name: String);
    fn get(oids: Vec<Vec<u32>>) -> Vec<snmp_client::Binding>;
    fn walk(root: Vec<u32>, max: u32) -> Vec<snmp_client::Binding>;
    fn set(bindings: Vec<snmp_client::Binding>) -> ();
}}
