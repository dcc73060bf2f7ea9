// SPDX-License-Identifier: GPL-2.0

//! Unit tests of sessions, with an image of ten bytes.

#[kernel::prelude::kunit_tests(rust_vfio_session)]
mod suite {
    use super::super::*;
    use zerocopy_derive::{
        Immutable,
        KnownLayout, //
    };

    const HEAD: usize = 4;
    const SIZE: usize = 10;

    #[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
    #[repr(C)]
    struct Ten([u8; SIZE]);

    /// A device that accepts heads that start with this byte.
    struct First(u8);

    #[vtable]
    impl StreamFormat for First {
        type Image = Ten;
        type Verified = Ten;
        type Reject = Error;

        const HEAD: usize = HEAD;

        fn check(&self, head: &Ten) -> Result {
            if head.0[0] == self.0 {
                Ok(())
            } else {
                Err(EPERM)
            }
        }

        fn verify(&self, data: &Data<Ten>) -> Result<Ten> {
            data.complete().copied().ok_or(ENODATA)
        }
    }

    const IMAGE: Ten = Ten([7, 1, 2, 3, 4, 5, 6, 7, 8, 9]);

    #[test]
    fn pre_copy_ends_with_enomsg_and_stop_copy_with_0() -> Result {
        let session = Saving::<First>::pre_copy(&Data::head(IMAGE, HEAD))?;

        assert_eq!(session.ahead(0)?.len(), HEAD);
        assert_eq!(session.initial_bytes(0)?, HEAD as u64);
        assert_eq!(session.ahead(HEAD), Err(ENOMSG));
        assert_eq!(session.initial_bytes(HEAD)?, 0);

        session.complete(&Data::whole(IMAGE))?;
        assert_eq!(session.initial_bytes(HEAD), Err(EINVAL));
        assert_eq!(session.ahead(HEAD)?.len(), SIZE - HEAD);
        assert_eq!(session.ahead(SIZE)?.len(), 0);

        session.close();
        assert_eq!(session.ahead(HEAD), Err(ENODEV));
        assert_eq!(session.initial_bytes(HEAD), Err(EINVAL));
        Ok(())
    }

    #[test]
    fn head_alone_can_be_complete() -> Result {
        let session = Saving::<First>::stop_copy(&Data::head(IMAGE, HEAD))?;
        assert_eq!(session.ahead(1)?.len(), HEAD - 1);
        assert_eq!(session.ahead(HEAD)?.len(), 0);
        assert_eq!(session.initial_bytes(0), Err(EINVAL));
        Ok(())
    }

    #[test]
    fn pre_copy_bytes_do_not_change() -> Result {
        let session = Saving::<First>::pre_copy(&Data::head(IMAGE, HEAD))?;
        let mut other = IMAGE;
        other.0[HEAD - 1] = 0;
        assert_eq!(session.complete(&Data::whole(other)), Err(EIO));
        assert_eq!(session.ahead(HEAD), Err(ENOMSG));
        assert_eq!(session.initial_bytes(0)?, HEAD as u64);
        Ok(())
    }

    #[test]
    fn stream_may_come_in_pieces() -> Result {
        let session = Resuming::new(First(7))?;
        for piece in IMAGE.0.chunks(3) {
            assert_eq!(session.verify(), Err(ENODATA));
            session.append(piece, 0)?;
        }
        assert_eq!(session.verify(), Ok(IMAGE));
        Ok(())
    }

    #[test]
    fn nothing_is_written_after_the_data_are_verified() -> Result {
        /// Accepts streams of any length of at least `HEAD`.
        struct Any;

        #[vtable]
        impl StreamFormat for Any {
            type Image = Ten;
            type Verified = usize;
            type Reject = Error;

            fn verify(&self, data: &Data<Ten>) -> Result<usize> {
                let len = data.as_slice().len();
                (len >= HEAD).then_some(len).ok_or(ENODATA)
            }
        }

        let session = Resuming::new(Any)?;
        session.append(&IMAGE.0[..HEAD - 1], 0)?;
        assert_eq!(session.verify(), Err(ENODATA));
        session.append(&IMAGE.0[HEAD - 1..HEAD], 0)?;
        assert_eq!(session.verify(), Ok(HEAD));
        assert_eq!(session.append(&IMAGE.0[HEAD..], 0), Err(ENODEV));
        assert_eq!(session.data(), Data::head(IMAGE, HEAD));
        Ok(())
    }

    #[test]
    fn mismatch_refuses_the_session() -> Result {
        let session = Resuming::new(First(8))?;
        session.append(&IMAGE.0[..HEAD - 1], 0)?;
        assert_eq!(session.verify(), Err(ENODATA));
        assert_eq!(session.reject(), None);
        for _ in 0..2 {
            assert_eq!(session.append(&IMAGE.0[..1], 0), Err(EPERM));
        }
        assert_eq!(session.verify(), Err(EPERM));
        assert_eq!(session.reject(), Some(EPERM));
        Ok(())
    }

    #[test]
    fn too_much_is_refused_before_any_of_it_is_taken() -> Result {
        let session = Resuming::new(First(7))?;
        assert_eq!(session.append(&IMAGE.0, 1), Err(ENOMEM));
        assert_eq!(session.append(&IMAGE.0, usize::MAX), Err(ENOMEM));
        session.append(&IMAGE.0, 0)?;
        assert_eq!(session.append(&IMAGE.0[..1], 0), Err(ENOMEM));
        Ok(())
    }

    #[test]
    fn session_that_is_over_takes_nothing() -> Result {
        let session = Resuming::new(First(7))?;
        session.close();
        assert_eq!(session.append(&IMAGE.0, 0), Err(ENODEV));
        Ok(())
    }

    #[test]
    fn data_outlive_the_session() -> Result {
        let coming = Resuming::new(First(8))?;
        assert_eq!(coming.append(&IMAGE.0[..HEAD], 0), Err(EPERM));
        let over = Session::resume(coming);
        assert_eq!(over.direction(), Direction::Resume);
        assert_eq!(over.data(), Data::head(IMAGE, HEAD));
        assert_eq!(over.bytes(), HEAD);
        assert_eq!(over.reject(), Some(EPERM));

        let over = Session::<First>::saved(&Data::whole(IMAGE))?;
        assert_eq!(over.direction(), Direction::Save);
        assert_eq!(over.data(), Data::whole(IMAGE));
        assert_eq!(over.bytes(), SIZE);
        assert_eq!(over.reject(), None);
        Ok(())
    }
}
