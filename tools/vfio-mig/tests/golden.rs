// SPDX-License-Identifier: GPL-2.0

//! What the commands print, for the files that emulated hosts have had with both drivers.
//!
//! `tests/golden/*.trycmd` have the commands and what is expected; `TRYCMD=overwrite` writes what
//! they print. `tests/recorded` has the files; `make record` records them anew.

#[test]
fn commands_print_what_is_expected() {
    trycmd::TestCases::new().case("tests/golden/*.trycmd").run();
}
