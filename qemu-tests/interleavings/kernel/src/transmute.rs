// SPDX-License-Identifier: GPL-2.0

//! Types that are their bytes.

/// # Safety
///
/// All bytes must be valid for the type.
pub unsafe trait FromBytes {}

/// # Safety
///
/// The type must have no padding.
pub unsafe trait AsBytes {}
