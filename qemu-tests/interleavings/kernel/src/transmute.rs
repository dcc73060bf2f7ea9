// SPDX-License-Identifier: GPL-2.0

//! Types that can be converted to or from bytes.

/// # Safety
///
/// All bit patterns must be valid for the type.
pub unsafe trait FromBytes {}

/// # Safety
///
/// The type must have no padding.
pub unsafe trait AsBytes {}
