// SPDX-License-Identifier: GPL-2.0

//! Whether a device is known to be bound to its driver.

pub trait DeviceContext {}

/// It is not known.
pub struct Normal;

/// It is bound.
pub struct Bound;

impl DeviceContext for Normal {}
impl DeviceContext for Bound {}
