//! Access tokens: how `users` signs them, and how everybody else tells whether one is good.

mod bearer;
mod keys;
mod session;
mod token;
mod verifier;

pub use bearer::bearer;
pub use keys::{Jwk, Keys, Signer, read_jwks, write_jwks};
pub use token::{Claims, LIFETIME, TokenError, verify};
pub use verifier::{AuthError, Identity, Verifier};
