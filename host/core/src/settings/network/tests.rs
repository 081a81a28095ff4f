//! What is accepted, what is refused by which field, and that nothing panics.

use super::*;
use proptest::prelude::*;

const WHOLE: &str = "host_name = 'rack-7'\ndns = ['192.0.2.53', '2001:db8::53']\n\
    ntp = ['ntp.example.org', '192.0.2.123']\n[interfaces.eth0]\nipv4 = '192.0.2.7/24'\n\
    ipv4_gateway = '192.0.2.1'\nipv6 = '2001:db8::7/64'\nipv6_gateway = 'fe80::1'\n\
    [interfaces.eth1]\nipv4 = 'dhcp'\nipv6 = 'auto'\n";

fn network(text: &str) -> Network {
    Network::parse(text).expect("good")
}

#[test]
fn what_is_written_is_what_is_meant() {
    let whole = network(WHOLE);
    let eth0 = whole.interfaces["eth0"];
    let address = Ipv4Addr::new(192, 0, 2, 7);
    let gateway = Some(Ipv4Addr::new(192, 0, 2, 1));
    assert_eq!(eth0.ipv4, Ipv4::Static(Static { address, prefix: 24, gateway }));
    assert!(matches!(eth0.ipv6, Ipv6::Static(own) if own.prefix == 64));
    let learned = Interface { ipv4: Ipv4::Dhcp, ipv6: Ipv6::Auto };
    assert_eq!(whole.interfaces["eth1"], learned);
    assert_eq!(network(&whole.to_text()), whole, "and written again");
    assert_eq!(network(&Network::factory().to_text()), Network::factory());
    let off = network("ntp = []\n[interfaces.eth0]\nipv4 = 'dhcp'\nipv6 = 'off'\n");
    assert_eq!(off.ntp.as_deref(), Some(&[][..]), "off is not the same as learned");
}

/// What stands in the place of a line of [`WHOLE`], and the field that is
/// named.
#[test]
fn a_refusal_names_the_field() {
    for (line, instead, field) in [
        ("'rack-7'", "'Rack 7'", "host_name"),
        ("'rack-7'", "'-x'", "host_name"),
        ("'rack-7'", "'a.b'", "host_name"),
        ("'192.0.2.53', ", "'dns.example', ", "dns"),
        ("'192.0.2.53', ", "'127.0.0.1', ", "dns"),
        ("'192.0.2.53', ", "'1.1.1.1','1.1.1.2','1.1.1.3', ", "dns"),
        ("'ntp.example.org'", "'ntp example'", "ntp"),
        ("'ntp.example.org'", "'$(reboot)'", "ntp"),
        ("'ntp.example.org'", "'192.0.2.300'", "ntp"),
        ("'192.0.2.7/24'", "'192.0.2.7'", "interfaces.eth0.ipv4"),
        ("'192.0.2.7/24'", "'192.0.2.7/33'", "interfaces.eth0.ipv4"),
        ("'192.0.2.7/24'", "'192.0.2.7/+4'", "interfaces.eth0.ipv4"),
        ("'192.0.2.7/24'", "'192.0.2.255/24'", "interfaces.eth0.ipv4"),
        ("'192.0.2.7/24'", "'192.0.2.0/24'", "interfaces.eth0.ipv4"),
        ("'192.0.2.7/24'", "'239.0.2.7/24'", "interfaces.eth0.ipv4"),
        ("'192.0.2.7/24'", "'dhcp'", "interfaces.eth0.ipv4_gateway"),
        ("'192.0.2.1'", "'192.0.3.1'", "interfaces.eth0.ipv4_gateway"),
        ("'192.0.2.1'", "'192.0.2.7'", "interfaces.eth0.ipv4_gateway"),
        ("'192.0.2.1'", "'fe80::1'", "interfaces.eth0.ipv4_gateway"),
        ("'2001:db8::7/64'", "'fe80::7/64'", "interfaces.eth0.ipv6"),
        ("'2001:db8::7/64'", "'dhcp'", "interfaces.eth0.ipv6"),
        ("'2001:db8::7/64'", "'::1/128'", "interfaces.eth0.ipv6"),
        ("'fe80::1'", "'2001:db8:1::1'", "interfaces.eth0.ipv6_gateway"),
        ("eth1]", "'../x']", "interfaces"),
        ("eth1]", "lo]", "interfaces"),
        ("'dhcp'", "'192.0.2.7/24'", "interfaces.eth1.ipv4"),
        ("'dhcp'", "'10.0.0.2/8'\nipv4_gateway = '10.0.0.1'", "interfaces.eth1.ipv4_gateway"),
    ] {
        assert!(WHOLE.contains(line), "{line}");
        match Network::parse(&WHOLE.replace(line, instead)) {
            Err(DocumentError::Refused(refusal)) => {
                assert_eq!(refusal.field, field, "{instead}")
            }
            other => panic!("{instead}: {other:?}"),
        }
    }
}

#[test]
fn what_would_leave_nobody_a_way_is_refused_and_so_is_what_is_no_document() {
    let off = Network::parse("[interfaces.eth0]\nipv4 = 'off'\nipv6 = 'off'\n");
    assert!(off.expect_err("refused").to_string().contains("refused"));
    assert!(matches!(Network::parse(""), Err(DocumentError::Refused(_))), "no interface");
    let more = format!("{WHOLE}gateway = 'x'\n");
    assert!(matches!(Network::parse(&more), Err(DocumentError::Fields(_))), "unknown field");
    let newer = format!("form = 2\n{WHOLE}");
    assert!(matches!(Network::parse(&newer), Err(DocumentError::Form(_))));
    assert_eq!(Network::parse(&" ".repeat(LEN_MAX + 1)), Err(DocumentError::Length));
}

proptest! {
    /// No text makes a network that contradicts itself.
    #[test]
    fn whatever_is_accepted_is_written_and_read_as_the_same(
        v4 in "(dhcp|off|[0-9]{1,3}(\\.[0-9]{1,3}){3}/[0-9]{1,2})",
        v6 in "(auto|off|[0-9a-f]{1,4}::[0-9a-f]{1,4}/[0-9]{1,3})",
        gateway in prop::option::of("[0-9]{1,3}(\\.[0-9]{1,3}){3}"),
        ntp in prop::option::of(prop::collection::vec("\\PC{0,20}", 0..6)),
    ) {
        let interface = WrittenInterface {
            ipv4: v4, ipv4_gateway: gateway, ipv6: v6, ipv6_gateway: None,
        };
        let interfaces = [("eth0".to_owned(), interface)].into();
        let written = Written { ntp, interfaces, ..Written::default() };
        if let Ok(network) = Network::try_from(written) {
            prop_assert_eq!(&network, &Network::parse(&network.to_text()).expect("the same"));
            if let Ipv4::Static(Static { address, prefix, gateway: Some(gateway) }) =
                network.interfaces["eth0"].ipv4
            {
                prop_assert_eq!(
                    network_of_ipv4(address, prefix),
                    network_of_ipv4(gateway, prefix)
                );
                prop_assert_ne!(address, gateway);
            }
        }
    }

    #[test]
    fn no_document_is_too_odd(text in "\\PC{0,200}") {
        let _ = Network::parse(&text);
    }
}
