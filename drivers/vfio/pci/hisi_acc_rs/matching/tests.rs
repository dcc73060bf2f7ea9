// SPDX-License-Identifier: GPL-2.0

//! Unit tests: which streams are accepted, and which are refused.

#[kernel::prelude::kunit_tests(hisi_acc_rs_matching)]
mod suite {
    use super::super::*;
    use crate::stream::Promise;
    use zerocopy::{
        byteorder::little_endian::U64,
        FromZeros, //
    };

    const HERE: LocalDevice = LocalDevice {
        device: 0xa251,
        queue_count: 32,
        isolation: 0,
        hardware: 0x30,
    };

    fn image() -> Image {
        let mut image = Image::new_zeroed();
        image.magic.set(stream::MAGIC_V2);
        image.queue_count.set(32);
        image.device.set(0xa251);
        image.major.set(1);
        image.set_extension(Promise::State, 0x30);
        for dma in [
            &mut image.eqe_dma,
            &mut image.aeqe_dma,
            &mut image.sqc_dma,
            &mut image.cqc_dma,
        ] {
            dma.set(0x1000);
        }
        image
    }

    fn parse(image: Image, len: usize) -> Result<Verified, Reject> {
        HERE.verify(&Data::head(image, len))
    }

    fn refused(image: Image) -> Option<Field> {
        parse(image, stream::SIZE).err().map(|reject| reject.field)
    }

    #[test]
    fn complete_stream_carries_its_values() {
        let mut image = image();
        image.page_size.set(2);
        image.eq_int_mask.set(1);
        image.eqc[6].set(0x107ff);
        image.sqc_dma.set(0x1234_5678_9abc);
        assert!(matches!(
            parse(image, stream::SIZE),
            Ok(Verified::Driver(DriverState {
                page_size: PageSize::Size64K,
                eq_int_mask: 1,
                aeq_int_mask: 0,
                events: EventContexts { eqc: [.., 0x107ff], .. },
                sqc,
                ..
            })) if sqc.get() == 0x1234_5678_9abc
        ));
    }

    #[test]
    fn each_field_of_the_match_data_is_compared() {
        let with = |change: fn(&mut Image)| {
            let mut image = image();
            change(&mut image);
            refused(image)
        };
        assert_eq!(with(|i| i.magic.set(1)), Some(Field::Magic));
        assert_eq!(with(|i| i.major.set(2)), Some(Field::Major));
        assert_eq!(with(|i| i.minor.set(9)), None);
        assert_eq!(with(|i| i.device.set(0xa256)), Some(Field::Device));
        assert_eq!(with(|i| i.queue_count.set(33)), Some(Field::QueueCount));
        assert_eq!(with(|i| i.isolation.set(1)), Some(Field::Isolation));
        assert_eq!(
            with(|i| i.set_extension(Promise::State, 0x50)),
            Some(Field::Hardware)
        );
        assert_eq!(with(|i| i.queue_base.set(77)), None);
    }

    #[test]
    fn stream_of_version_1_is_taken_by_its_contexts() {
        let mut image = image();
        image.magic.set(stream::MAGIC_V1);
        image.major.set(0);
        assert_eq!(parse(image, stream::SIZE), Ok(Verified::NoDriver));
        assert_eq!(parse(image, stream::MATCH_SIZE), Ok(Verified::NoDriver));

        image.eqc[1].set(0x2000);
        image.aeqc[2].set(1);
        image.eqe_dma.set(0);
        image.aeqe_dma.set(0);
        assert!(matches!(
            parse(image, stream::SIZE),
            Ok(Verified::Driver(DriverState {
                events: EventContexts {
                    eqc: [_, 0x2000, ..],
                    aeqc: [_, _, 1, ..]
                },
                ..
            }))
        ));

        image.queue_count.set(31);
        assert_eq!(refused(image), Some(Field::QueueCount));
    }

    #[test]
    fn numbers_for_the_hardware_are_bounded() {
        let with = |change: fn(&mut Image)| {
            let mut image = image();
            change(&mut image);
            refused(image)
        };
        assert_eq!(with(|i| i.page_size.set(3)), Some(Field::PageSize));
        assert_eq!(with(|i| i.vf_state.set(2)), Some(Field::VfState));
        assert_eq!(with(|i| i.ifc_int_set.set(1)), Some(Field::IfcIntSet));
    }

    #[test]
    fn truncated_stream_is_refused() {
        for len in [0, 39, 41, 175] {
            let reject = parse(image(), len).err();
            assert_eq!(reject.map(|r| r.field), Some(Field::Length));
            assert_eq!(reject.map(|r| r.got), Some(len as u64));
        }
    }

    #[test]
    fn match_data_alone_are_complete_unless_more_was_promised() {
        let mut image = image();
        assert_eq!(
            parse(image, stream::MATCH_SIZE).err().map(|r| r.field),
            Some(Field::Length)
        );
        image.set_extension(Promise::Nothing, 0x30);
        assert_eq!(parse(image, stream::MATCH_SIZE), Ok(Verified::NoDriver));

        // The C driver does not promise anything.
        let mut plain = Image::new_zeroed();
        plain.magic = image.magic;
        plain.queue_count = image.queue_count;
        plain.device = image.device;
        plain.major = image.major;
        assert_eq!(parse(plain, stream::MATCH_SIZE), Ok(Verified::NoDriver));
    }

    #[test]
    fn function_without_queues_has_no_driver() {
        fn zero(dma: &mut U64) {
            dma.set(0);
        }
        for change in [
            (|i| zero(&mut i.eqe_dma)) as fn(&mut Image),
            |i| zero(&mut i.aeqe_dma),
            |i| zero(&mut i.sqc_dma),
            |i| zero(&mut i.cqc_dma),
        ] {
            let mut image = image();
            change(&mut image);
            assert_eq!(parse(image, stream::SIZE), Ok(Verified::NoDriver));
        }
    }
}
