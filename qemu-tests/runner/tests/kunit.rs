// SPDX-License-Identifier: GPL-2.0

//! The KUnit tests of our modules, in a machine.

#![forbid(unsafe_code)]

mod common;

use anyhow::Result;
use common::run;
use protocol::Scenario;
use runner::Machine;

mod driver {
    use super::*;

    #[test]
    fn kunit() -> Result<()> {
        run(Machine::new(Scenario::Kunit))?.expect_clean()
    }
}
