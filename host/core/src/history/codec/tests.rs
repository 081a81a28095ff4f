//! What is written comes back, whatever it was; what is damaged is named.

use super::super::record::{PhaseCode, Span};
use super::*;
use crate::points::Quality;
use proptest::prelude::*;

const PLACE: Place = Place { level: Level::Raw, period: 20_000, string: 3, part: 1 };

fn any_span() -> impl Strategy<Value = Option<Span>> {
    let value = prop_oneof![13_500i32..13_700, -(1i32 << 29)..(1 << 29)];
    let flat = value.clone().prop_map(Span::of);
    let spread = (value, 0..1 << 29, 0..40).prop_map(|(mean, up, down)| Span {
        min: mean - down,
        mean,
        max: mean + up,
    });
    proptest::option::of(prop_oneof![flat, spread])
}

fn any_quality() -> impl Strategy<Value = Quality> {
    prop_oneof![
        Just(Quality::Good),
        Just(Quality::Estimated),
        Just(Quality::Stale),
        Just(Quality::Bad)
    ]
}

prop_compose! {
    fn any_head()(
        unix_ms in prop_oneof![0..=super::super::record::TIME_MAX, 1_780_000_000_000u64..1_780_000_100_000],
        spans in proptest::array::uniform6(any_span()),
        phase in any::<u8>(),
        inhibits in any::<u32>(),
    ) -> Head {
        let [blocks_mv, blocks_dc, target_mv, current_ma, string_mv, ambient_dc] = spans;
        let phase = PhaseCode(phase);
        Head { unix_ms, blocks_mv, blocks_dc, target_mv, current_ma, string_mv, ambient_dc, phase, inhibits }
    }
}

/// Of what changes rarely: any number, or three that lie apart.
fn any_rare() -> impl Strategy<Value = Option<Span<u32>>> {
    let single = (0..u32::MAX).prop_map(Span::of);
    let spread = (0..4_000_000u32, 0..1u32 << 30, 0..40u32).prop_map(|(mean, up, down)| Span {
        min: mean.saturating_sub(down),
        mean,
        max: mean + up,
    });
    proptest::option::of(prop_oneof![3 => single, 1 => spread])
}

prop_compose! {
    fn any_record()(
        spans in proptest::array::uniform3(any_span()),
        rare in proptest::array::uniform3(any_rare()),
        quality in any_quality(),
        temperature_quality in any_quality(),
        fault in any::<u8>(),
        flags in any::<u8>(),
    ) -> Record {
        let [voltage_mv, temperature_dc, duty] = spans;
        let [resistance_uohm, charge_pm, capacity_cah] = rare;
        let duty_hp = duty.unwrap_or_default();
        Record {
            voltage_mv, temperature_dc, duty_hp, resistance_uohm, charge_pm, capacity_cah,
            quality, temperature_quality, fault, flags,
        }
    }
}

fn any_sheet() -> impl Strategy<Value = Sheet> {
    (1usize..24, 0usize..4).prop_flat_map(|(rows, blocks)| {
        let heads = proptest::collection::vec(any_head(), rows);
        let block = proptest::collection::vec(any_record(), rows);
        (heads, proptest::collection::vec(block, blocks))
            .prop_map(|(heads, blocks)| Sheet { heads, blocks })
    })
}

proptest! {
    #[test]
    fn whatever_was_written_comes_back(sheet in any_sheet(), level in 0u8..3) {
        let level = Level::from_code(level).expect("one of three");
        let place = Place { level, ..PLACE };
        prop_assert_eq!(decode(place, &sheet.encode(place)), Ok(sheet.clone()));
        prop_assert_eq!(Sheet::from_group(&sheet.to_group(7)), Ok((7, sheet)));
    }

    #[test]
    fn a_flipped_bit_is_found_where_it_is(
        sheet in any_sheet(), at in any::<prop::sample::Index>(), bit in 0u8..8,
    ) {
        let mut columns = sheet.encode(PLACE);
        let total: usize = columns.iter().map(Vec::len).sum();
        let (mut at, mut column) = (at.index(total), 0);
        while at >= columns[column].len() {
            at -= columns[column].len();
            column += 1;
        }
        columns[column][at] ^= 1 << bit;
        let (place, _) = decode(PLACE, &columns).expect_err("damaged");
        prop_assert_eq!(place, column.checked_sub(1));
        let mut group = sheet.to_group(1);
        let at = at % group.len();
        group[at] ^= 1 << bit;
        prop_assert!(Sheet::from_group(&group).is_err());
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..200), sealed in any::<bool>(),
    ) {
        let group = bytes.clone();
        if sealed {
            // Bytes that only a forger makes: the check sums are right.
            bytes.insert(0, HEADS);
            bytes = super::sealed(bytes, heads_digest(PLACE));
        }
        if let Ok(heads) = Heads::parse(PLACE, &bytes) {
            prop_assert!(heads.iter().take(5_000).all(|h| h.unix_ms <= super::super::record::TIME_MAX));
            for version in [BLOCK, BLOCK_SPREAD] {
                let mut block = vec![version];
                block.extend(&group);
                let block = super::sealed(block, block_digest(heads.crc, 0));
                let records = heads.block(0, &block).expect("sealed");
                prop_assert!(records.take(5_000).count() <= 5_000);
            }
        }
        for version in [GROUP, GROUP_SPREAD] {
            let mut group = [&[version][..], &group].concat();
            group.extend(CRC.checksum(&group).to_le_bytes());
            if let Ok((_, sheet)) = Sheet::from_group(&group) {
                prop_assert!(sheet.records() <= GROUP_RECORDS_MAX);
            }
        }
    }
}

#[test]
fn a_block_of_another_place_or_of_other_heads_is_not_taken() {
    let mut sheet = Sheet::from(&Row { blocks: vec![Record::default(); 2], ..Row::default() });
    let columns = sheet.encode(PLACE);
    let heads = Heads::parse(PLACE, &columns[0]).expect("whole");
    assert_eq!(heads.block(1, &columns[1]).map(drop), Err(Damage::Crc), "block 1 is not block 2");
    sheet.heads[0].unix_ms = 9;
    let other = sheet.encode(PLACE);
    assert_eq!(heads.block(0, &other[1]).map(drop), Err(Damage::Crc));
    let moved = Place { part: 2, ..PLACE };
    assert_eq!(Heads::parse(moved, &columns[0]).map(drop), Err(Damage::Crc));
    assert_eq!(Heads::parse(PLACE, &[0x20; 9]).map(drop), Err(Damage::Version(0x20)));
}

#[test]
fn what_a_sheet_cannot_hold_is_not_written() {
    assert_eq!(Sheet::default().encode(PLACE), Vec::<Vec<u8>>::new());
    let heads = vec![Head::default(); ROWS_MAX + 1];
    assert_eq!(Sheet { heads, blocks: vec![] }.encode(PLACE), Vec::<Vec<u8>>::new());
}

/// What the first version can say is written in it: older programs read it, and this one
/// reads theirs.
#[test]
fn what_is_one_reading_is_of_the_first_version() {
    let of = |charge_pm| {
        let record = Record { charge_pm: Some(charge_pm), ..Record::default() };
        Sheet::from(&Row { blocks: vec![record], ..Row::default() })
    };
    let place = Place { level: Level::Hour, ..PLACE };
    let flat = of(Span::of(990));
    let spread = of(Span { min: 100, mean: 700, max: 990 });
    for (sheet, block, group) in [(&flat, 0x11, 0x12), (&spread, 0x21, 0x22)] {
        let columns = sheet.encode(place);
        assert_eq!((columns[0][0], columns[1][0]), (HEADS, block));
        assert_eq!(sheet.to_group(1)[0], group);
        assert_eq!(decode(place, &columns).as_ref(), Ok(sheet));
    }
}
