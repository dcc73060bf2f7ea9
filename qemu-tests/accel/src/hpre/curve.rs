// SPDX-License-Identifier: GPL-2.0

//! Curves `y² = x³ + ax + b` over a prime field, whose parameters are part of each request.
//!
//! Points are in Jacobian coordinates, because these require only one inversion for a whole multiplication. The
//! formulas are from the literature (Cohen, Miyaji, Ono 1998). Nothing here runs in constant time: the keys are test
//! keys.

use num_bigint::BigUint;

/// A curve.
#[derive(Debug)]
pub(super) struct Curve {
    p: BigUint,
    a: BigUint,
    b: BigUint,
}

/// `x / z²`, `y / z³`; infinity has `z` zero.
#[derive(Debug, Clone)]
struct Point {
    x: BigUint,
    y: BigUint,
    z: BigUint,
}

impl Curve {
    /// Returns `None` if `p` is not an odd number above 3. It is not checked whether `p` is a prime; otherwise the
    /// results are meaningless.
    pub(super) fn new(p: BigUint, a: BigUint, b: &BigUint) -> Option<Self> {
        (p > BigUint::from(3_u8) && p.bit(0)).then(|| Self {
            a: a % &p,
            b: b % &p,
            p,
        })
    }

    fn is_on(&self, x: &BigUint, y: &BigUint) -> bool {
        let right = (x * x + &self.a) * x + &self.b;
        x < &self.p && y < &self.p && y * y % &self.p == right % &self.p
    }

    /// Multiplies the point `(x, y)` by `factor`. Returns `None` if it is not on the curve, or if the product is
    /// infinity.
    pub(super) fn multiply(
        &self,
        factor: &BigUint,
        x: BigUint,
        y: BigUint,
    ) -> Option<(BigUint, BigUint)> {
        if !self.is_on(&x, &y) {
            return None;
        }
        let point = Point {
            x,
            y,
            z: BigUint::from(1_u8),
        };
        let mut product = Point {
            x: BigUint::from(1_u8),
            y: BigUint::from(1_u8),
            z: BigUint::ZERO,
        };
        for bit in (0..factor.bits()).rev() {
            product = self.double(&product);
            if factor.bit(bit) {
                product = self.add(&product, &point);
            }
        }
        self.affine(&product)
    }

    /// Converts to affine coordinates. Returns `None` for infinity: zero has no inverse.
    fn affine(&self, point: &Point) -> Option<(BigUint, BigUint)> {
        let inverse = point.z.modinv(&self.p)?;
        let square = self.product(&inverse, &inverse);
        let x = self.product(&point.x, &square);
        let y = self.product(&point.y, &self.product(&square, &inverse));
        Some((x, y))
    }

    fn product(&self, left: &BigUint, right: &BigUint) -> BigUint {
        left * right % &self.p
    }

    /// Returns `left - right`, where `right` is below `p`.
    fn difference(&self, left: &BigUint, right: &BigUint) -> BigUint {
        (left + &self.p - right) % &self.p
    }

    fn double(&self, point: &Point) -> Point {
        let square = self.product(&point.y, &point.y);
        let s = self.product(&point.x, &square) * 4_u8 % &self.p;
        let z_square = self.product(&point.z, &point.z);
        let m =
            (&point.x * &point.x * 3_u8 + &self.a * self.product(&z_square, &z_square)) % &self.p;
        let twice = &s * 2_u8 % &self.p;
        let x = self.difference(&self.product(&m, &m), &twice);
        let eighth = self.product(&square, &square) * 8_u8 % &self.p;
        let y = self.difference(&self.product(&m, &self.difference(&s, &x)), &eighth);
        let z = &point.y * &point.z * 2_u8 % &self.p;
        Point { x, y, z }
    }

    fn add(&self, left: &Point, right: &Point) -> Point {
        if left.z == BigUint::ZERO {
            return right.clone();
        }
        let left_square = self.product(&left.z, &left.z);
        let right_square = self.product(&right.z, &right.z);
        let u1 = self.product(&left.x, &right_square);
        let u2 = self.product(&right.x, &left_square);
        let s1 = self.product(&left.y, &self.product(&right_square, &right.z));
        let s2 = self.product(&right.y, &self.product(&left_square, &left.z));
        let (h, r) = (self.difference(&u2, &u1), self.difference(&s2, &s1));
        if h == BigUint::ZERO && r == BigUint::ZERO {
            return self.double(left);
        }
        let h_square = self.product(&h, &h);
        let h_cube = self.product(&h_square, &h);
        let v = self.product(&u1, &h_square);
        let twice = &v * 2_u8 % &self.p;
        let x = self.difference(&self.difference(&self.product(&r, &r), &h_cube), &twice);
        let y = self.difference(
            &self.product(&r, &self.difference(&v, &x)),
            &self.product(&s1, &h_cube),
        );
        let z = self.product(&self.product(&left.z, &right.z), &h);
        Point { x, y, z }
    }
}
